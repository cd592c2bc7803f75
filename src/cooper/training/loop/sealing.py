"""Checkpoints that are whole: sizes and digests of their files are written last, and read before a run goes on from one."""

import hashlib
import json
import re
import sys
import zipfile
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch.distributed as distributed
from safetensors import SafetensorError, safe_open
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cooper.files.rows import write_whole

MANIFEST_FILE = "manifest.json"
STATE_FILE = "trainer_state.json"
_PARTS = {  # what a checkpoint without a manifest must have at least, and by which names
    "weights": ("*.safetensors", "pytorch_model*"),
    "the optimiser": ("optimizer*",),
    "the schedule": ("scheduler.pt",),
    "random numbers": ("rng_state*.pth",),
}


class Sealing(TrainerCallback):
    """Seals every checkpoint once all processes have written their part."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if distributed.is_initialized():
            distributed.barrier()
        if state.is_world_process_zero:
            seal(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}")


def seal(checkpoint: Path) -> None:
    """Write down what every file of a checkpoint holds."""
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.name != MANIFEST_FILE)
    said = {path.relative_to(checkpoint).as_posix(): {"bytes": path.stat().st_size, "sha256": _digest(path)} for path in files}
    write_whole(checkpoint / MANIFEST_FILE, json.dumps(said, indent=1) + "\n")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fault_of(checkpoint: Path) -> str:
    """Why a run cannot go on from a checkpoint; "" where it can. Those of older versions have no manifest: their files must be
    there and readable."""
    if not (checkpoint / STATE_FILE).is_file():
        return f"{STATE_FILE}, which is written last, is missing"
    if not isinstance(_read(checkpoint / STATE_FILE), dict):
        return f"{STATE_FILE} cannot be read"
    if not (checkpoint / MANIFEST_FILE).exists():
        return _unsealed_fault(checkpoint)
    sealed = _read(checkpoint / MANIFEST_FILE)
    if not isinstance(sealed, dict) or not all(isinstance(said, dict) for said in sealed.values()):
        return f"{MANIFEST_FILE} cannot be read"
    for name, said in sealed.items():
        path = checkpoint / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != said.get("bytes") or _digest(path) != said.get("sha256"):
            return f"{name} is not as it was written"
    return ""


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _unsealed_fault(checkpoint: Path) -> str:
    for part, names in _PARTS.items():
        if not any(any(checkpoint.glob(name)) for name in names):
            return f"{names[0]} with {part} is missing"
    for path in sorted(checkpoint.iterdir()):
        try:
            if path.suffix == ".safetensors":
                safe_open(path, "pt")
            elif path.suffix in (".pt", ".pth") and path.is_file() and zipfile.ZipFile(path).testzip():
                return f"{path.name} cannot be read"
        except (SafetensorError, zipfile.BadZipFile, OSError):
            return f"{path.name} cannot be read"
    return ""


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run, the newest first, damaged ones, too."""
    numbered = {path: re.fullmatch(r"checkpoint-(\d+)", path.name) for path in folder.glob("checkpoint-*")}
    return sorted((path for path, found in numbered.items() if found), key=step_of, reverse=True)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[1])


def last_whole(folder: Path) -> Path | None:
    """The newest checkpoint that a run can go on from."""
    return next((path for path in checkpoints(folder) if not fault_of(path)), None)


def resume_point(folder: Path) -> Path | None:
    """As `last_whole`, decided by the first process for all. Newer ones that are damaged are said, and kept by another name,
    because what is written next may have their number."""
    chosen: list[Path | None] = [None]
    if not distributed.is_initialized() or distributed.get_rank() == 0:
        chosen = [_set_aside_damaged(folder)]
    if distributed.is_initialized():
        distributed.broadcast_object_list(chosen)
    return chosen[0]


def _set_aside_damaged(folder: Path) -> Path | None:
    last = last_whole(folder)
    then = "the run begins anew" if last is None else f"the run goes on from {last.name}"
    for path in takewhile(lambda path: path != last, checkpoints(folder)):
        fault = fault_of(path)
        aside = next(name for number in range(1000) if not (name := folder / f"damaged-{number}-{path.name}").exists())
        path.rename(aside)
        print(f"{path} is damaged ({fault}): {then}; it is now {aside.name}", file=sys.stderr)
    return last
