"""safetensors files on disk: headers without the data, memory-mapped tensors, shards, no half-written files."""

import json
import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cooper.errors import CooperError
from cooper.files.rows import parsed, read_object, write_whole

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_LENGTH_BYTES = 8
_LARGEST_HEADER = 100_000_000  # bytes, the limit of the format


@dataclass(frozen=True)
class Stored:
    """What a file's header says of one tensor."""

    name: str
    shape: torch.Size
    dtype: str  # as the format writes it: F32, BF16, ...
    nbytes: int
    file: Path


def read_header(path: Path) -> dict[str, Stored]:
    """Names, shapes and types in one file. Raises CooperError if the file is cut short or no safetensors file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_LENGTH_BYTES)
        if start == b"version ":
            raise CooperError(f"{path} is a Git LFS pointer, not the weights; fetch it with `git lfs pull`")
        if len(start) < _LENGTH_BYTES:
            raise CooperError(f"{path} is cut short: {size} bytes; download it again")
        (length,) = struct.unpack("<Q", start)
        if length > _LARGEST_HEADER:
            raise CooperError(f"{path} is no safetensors file")
        text = file.read(length)
    if len(text) < length:
        raise CooperError(f"{path} is cut short: {size} bytes do not even hold its header; download it again")
    try:
        entries = parsed(text, f"the header of {path}")
        tensors = {name: _stored(name, entry, path) for name, entry in entries.items() if name != "__metadata__"}
        end = max(
            (entry["data_offsets"][1] for name, entry in entries.items() if name in tensors),
            default=0,
        )
    except (CooperError, ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError):
        raise CooperError(f"{path} is no safetensors file: its header cannot be read") from None
    wanted = _LENGTH_BYTES + length + end
    if size < wanted:
        raise CooperError(f"{path} is cut short: {size:,} of {wanted:,} bytes; download it again")
    for stored in tensors.values():
        if stored.dtype not in DTYPES:
            raise CooperError(f"{path}: tensor {stored.name} is stored as {stored.dtype}, which this version cannot read")
    try:
        with safe_open(path, framework="pt"):  # the library has the last word: gaps, overlaps, bytes behind the last tensor
            return tensors
    except (SafetensorError, OSError) as error:
        raise CooperError(f"{path} is a damaged safetensors file ({error}); download it again") from None


def _stored(name: str, entry: dict[str, Any], path: Path) -> Stored:
    begin, end = entry["data_offsets"]
    return Stored(name, torch.Size(entry["shape"]), str(entry["dtype"]), end - begin, path)


def has_weights(directory: Path, stem: str) -> bool:
    """Does the directory hold ``STEM.safetensors``, its index, or a shard of it?"""
    return bool(any(directory.glob(f"{stem}.safetensors*")) or any(directory.glob(f"{stem}-*-of-*.safetensors")))


def read_headers(directory: Path, stem: str) -> dict[str, Stored]:
    """Headers of ``STEM.safetensors`` or of all shards its index names.

    Raises CooperError if the file or the index is absent, a shard is missing or cut short, or a shard lacks a tensor
    that the index promises.
    """
    single = directory / f"{stem}.safetensors"
    if single.is_file():
        return read_header(single)
    index_path = directory / f"{stem}.safetensors.index.json"
    if not index_path.is_file():
        raise CooperError(f"{directory} holds neither {single.name} nor {index_path.name}; the download is incomplete")
    promised = read_object(index_path).get("weight_map")
    if not isinstance(promised, dict) or not promised:
        raise CooperError(f"{index_path} has no weight_map")
    headers: dict[str, Stored] = {}
    if not all(isinstance(shard, str) and Path(shard).name == shard for shard in promised.values()):
        raise CooperError(f"{index_path}: its weight_map must name files beside it")
    for shard in sorted(set(promised.values())):
        if not (directory / shard).is_file():
            raise CooperError(f"{directory / shard}, named by {index_path.name}, is missing; the download is incomplete")
        headers |= read_header(directory / shard)
    for name, shard in promised.items():
        if name not in headers:
            raise CooperError(f"{directory / shard} lacks tensor {name}, which {index_path.name} promises")
    return headers


def first_not_finite(headers: Mapping[str, Stored]) -> str | None:
    """The name of the first stored tensor that holds a NaN or an infinity; every number is read."""
    for file in sorted({stored.file for stored in headers.values()}):
        with safe_open(file, framework="pt") as opened:
            for name, stored in headers.items():
                if stored.file == file and not is_finite(opened.get_tensor(name)):
                    return name
    return None


def is_finite(tensor: Tensor) -> bool:
    """Whether all numbers of a tensor are finite; 8-bit floats are read as 32-bit ones."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    low, high = (tensor.float() if tensor.dtype.itemsize == 1 else tensor).aminmax()
    return bool(torch.isfinite(low) & torch.isfinite(high))


def read_tensors(headers: Mapping[str, Stored]) -> dict[str, Tensor]:
    """The tensors themselves, memory-mapped: nothing is read before it is used."""
    tensors: dict[str, Tensor] = {}
    for file in sorted({stored.file for stored in headers.values()}):
        with safe_open(file, framework="pt") as opened:
            tensors |= {name: opened.get_tensor(name) for name, stored in headers.items() if stored.file == file}
    return tensors


def write_tensors(state: Mapping[str, Tensor], directory: Path, stem: str, max_shard_bytes: int) -> tuple[Path, ...]:
    """Write ``STEM.safetensors``, or shards and an index when larger. Raises CooperError if the disk is full.

    Each file appears under its name only when whole.
    """
    plan = split_torch_state_dict_into_shards(
        dict(state),
        filename_pattern=f"{stem}{{suffix}}.safetensors",
        max_shard_size=max_shard_bytes,
    )
    written = []
    for name, members in plan.filename_to_tensors.items():
        _write_file({member: state[member] for member in members}, directory / name)
        written.append(directory / name)
    if plan.is_sharded:
        index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
        write_whole(
            directory / f"{stem}.safetensors.index.json",
            json.dumps(index, indent=2, sort_keys=True) + "\n",
        )
    return tuple(written)


def _write_file(tensors: dict[str, Tensor], path: Path) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()},
            partial,
            metadata={"format": "pt"},
        )
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise CooperError(f"{path} could not be written: {error}") from None


def dominant_dtype(headers: Iterable[Stored]) -> torch.dtype:
    """The type that most bytes are stored in. Raises CooperError for a type torch does not know."""
    totals: dict[str, int] = {}
    for stored in headers:
        totals[stored.dtype] = totals.get(stored.dtype, 0) + stored.nbytes
    name = max(totals, key=totals.__getitem__, default="F32")
    if name not in DTYPES:
        raise CooperError(f"weights are stored as {name}, which this version cannot read")
    return DTYPES[name]
