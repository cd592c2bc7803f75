"""A checkpoint on disk, in our layout or the published one: found, checked tensor by tensor, and read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor

from cooper.errors import CooperError
from cooper.files.rows import read_object
from cooper.model.checkpoints.config_check import check_config, check_numbers
from cooper.model.checkpoints.names import (
    VAE_PREFIX,
    Entry,
    acceptable,
    into_ours,
    needed_for_drawing,
    network_entries,
    vae_entries,
)
from cooper.model.checkpoints.published import VAE_FILE, Places, config_of
from cooper.model.checkpoints.tensor_files import (
    Stored,
    dominant_dtype,
    has_weights,
    read_headers,
    read_tensors,
)
from cooper.model.config import CooperConfig

OWN_STEM = "model"
PROMPTS_FILE = "prompts.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
)


class Family(StrEnum):
    """What a directory holds."""

    OURS = "cooper (ours)"
    PUBLISHED = "BAGEL base or COOPER, published layout"
    NONE = "not a checkpoint"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A whole checkpoint: configuration, tensors under our names, and the files that belong to it."""

    config: CooperConfig
    state: Mapping[str, Tensor]
    companions: tuple[Path, ...] = ()  # tokenizer files and prompts.json


@dataclass(frozen=True)
class Misshapen:
    """A stored tensor whose shape is not the one the configuration asks for."""

    name: str
    stored: tuple[int, ...]
    expected: tuple[int, ...]


@dataclass(frozen=True)
class Differences:
    """Stored tensors against the table; names as stored."""

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[Misshapen, ...] = ()


def family_of(directory: Path, base: Path | None = None) -> Family:
    """Which layout a directory holds. Bare weights count as published if their names say so or a base is given."""
    config_path = directory / "config.json"
    if config_path.is_file() and read_object(config_path, lenient=True).get("model_type") == CooperConfig.model_type:
        return Family.OURS
    if (directory / "llm_config.json").is_file() or has_weights(directory, "ema"):
        return Family.PUBLISHED
    if not has_weights(directory, OWN_STEM):
        return Family.NONE
    if base is not None:
        return Family.PUBLISHED
    names = read_headers(directory, OWN_STEM)
    return Family.PUBLISHED if any(name.startswith("language_model.model.") for name in names) else Family.NONE


def is_published_layout(directory: Path, base: Path | None = None) -> bool:
    """Does the directory hold the published layout rather than ours?"""
    return family_of(directory, base) is Family.PUBLISHED


def own_entries(config: CooperConfig) -> tuple[Entry, ...]:
    """The table of our own layout: one file, our names on both sides."""
    both = (*network_entries(config), *vae_entries(config))
    return tuple(Entry(entry.ours, entry.ours, entry.shape, entry.shape) for entry in both)


def compare(entries: Sequence[Entry], headers: Mapping[str, Stored]) -> Differences:
    """Stored names and shapes against the table."""
    expected = {entry.published: entry for entry in entries}
    shared = [(entry, headers[name]) for name, entry in expected.items() if name in headers]
    return Differences(
        missing=tuple(name for name in expected if name not in headers),
        unexpected=tuple(name for name in headers if name not in expected),
        misshapen=tuple(
            Misshapen(stored.name, tuple(stored.shape), tuple(entry.published_shape))
            for entry, stored in shared
            if not acceptable(entry, stored.shape)
        ),
    )


def require_exact(differences: Differences, where: Path) -> None:
    """Raise CooperError naming the first tensor at fault and how many more there are."""
    for what, names in (
        ("is missing", differences.missing),
        ("is not part of the model", differences.unexpected),
    ):
        if names:
            raise CooperError(f"{where}: tensor {names[0]} {what}{_and_more(names)}")
    for wrong in differences.misshapen[:1]:
        raise CooperError(
            f"{where}: tensor {wrong.name} has shape {list(wrong.stored)}, the configuration asks for "
            f"{list(wrong.expected)}{_and_more(differences.misshapen)}"
        )


def _and_more(items: Sequence[object]) -> str:
    return f" (and {len(items) - 1} more; see `cooper inspect`)" if len(items) > 1 else ""


def require_drawing(headers: Mapping[str, Stored], where: Path) -> None:
    """Raise CooperError if the weights can only understand pictures: COOPER draws, so it needs the second expert."""
    if not any(needed_for_drawing(name) for name in headers):
        raise CooperError(
            f"{where} can understand pictures but not draw: it has neither vae2llm nor any *_moe_gen tensor; "
            "use weights of a model that draws"
        )


def open_checkpoint(directory: Path, base: Path | None = None) -> Checkpoint:
    """Read a checkpoint of either layout; tensors are memory-mapped and nothing is read twice.

    ``base`` may hold the configuration, autoencoder and tokenizer that a published weight directory lacks. Raises
    CooperError naming the file or tensor that is missing, cut short, unexpected or misshapen.
    """
    family = family_of(directory, base)
    if family is Family.OURS:
        return _open_ours(directory)
    if family is Family.PUBLISHED:
        return _open_published(Places(directory, base))
    raise CooperError(f"{directory} is not a checkpoint: no config.json of ours, no llm_config.json, no ema.safetensors")


def verify_ours(directory: Path) -> dict[str, Stored]:
    """The headers of a directory of our layout, checked against its configuration. Raises CooperError."""
    if not (directory / "config.json").is_file():
        raise CooperError(f"{directory} is not a checkpoint: it holds no config.json of ours and no published weights")
    headers = read_headers(directory, OWN_STEM)
    require_exact(compare(own_entries(own_config(directory)), headers), directory)
    return headers


def own_config(directory: Path) -> CooperConfig:
    """The configuration of a directory of our layout. Raises CooperError naming the file if a field makes no sense."""
    path = directory / "config.json"
    check_numbers(read_object(path, lenient=True), path)  # before any library computes with them
    try:
        config = CooperConfig.from_pretrained(directory)
    except (TypeError, ValueError, OSError, AttributeError, KeyError, ArithmeticError, StrictDataclassError) as error:
        raise CooperError(f"{path} makes no configuration: {' '.join(str(error).split())}") from None
    return check_config(config, path)


def _open_ours(directory: Path) -> Checkpoint:
    state = read_tensors(verify_ours(directory))
    return Checkpoint(own_config(directory), state, companions(Places(directory)))


def _open_published(places: Places) -> Checkpoint:
    network, vae = places.network_headers(), places.vae_headers()
    require_drawing(network, places.weights)
    config = config_of(places, network)
    state: dict[str, Tensor] = {}
    for entries, headers, where in (
        (network_entries(config), network, places.weights),
        (vae_entries(config), vae, places.need(VAE_FILE)),
    ):
        require_exact(compare(entries, headers), where)
        tensors = read_tensors(headers)
        state |= {entry.ours: into_ours(entry, tensors[entry.published]) for entry in entries}
    return Checkpoint(config, state, companions(places))


def companions(places: Places) -> tuple[Path, ...]:
    """Tokenizer files and prompts that lie with a checkpoint; prompts never come from the base."""
    found = [path for name in TOKENIZER_FILES if (path := places.find(name)) is not None]
    prompts = places.weights / PROMPTS_FILE
    return (*found, prompts) if prompts.is_file() else tuple(found)


def network_dtype(headers: Mapping[str, Stored]) -> torch.dtype:
    """The type that the network's weights are stored in, by the headers; the autoencoder keeps its own."""
    return dominant_dtype(stored for name, stored in headers.items() if not name.startswith(VAE_PREFIX))


def stored_dtype(checkpoint: Checkpoint) -> torch.dtype:
    """The type of the network's weights (the autoencoder keeps its own)."""
    return checkpoint.state["embed_tokens.weight"].dtype
