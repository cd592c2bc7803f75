"""What besides its name tells a model from another, for the record of a run: rows of two models must not meet in one folder."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cooper.files.hub import resolve

if TYPE_CHECKING:  # it loads torch, and a command that only checks what it is asked for needs none
    from cooper.reasoning.options import Inference

PIECES, PIECE = 64, 4096  # bytes of a file that are looked at: weights move everywhere, so samples tell two trainings apart


@dataclass(frozen=True)
class Origin:
    """`base`: the directory that completes bare weights. `weights`: digest of the files. `inference`: settings in place of the
    checkpoint's own, as JSON values. `quantization`: "int8" or "4bit" where weights have few bits."""

    base: str = ""
    weights: str = ""
    inference: Mapping[str, Any] | None = None
    quantization: str = ""

    @classmethod
    def of(
        cls,
        model: str,
        base: str | Path | None = None,
        inference: "Inference | None" = None,
        quantization: str | None = None,
    ) -> "Origin":
        """Of a model as `Cooper.from_pretrained` finds it. CooperError: there is none."""
        directories = [resolve(name) for name in (model, base) if name]
        settings = None if inference is None else json.loads(json.dumps(asdict(inference)))
        if settings and not settings["deterministic"]:
            del settings["deterministic"]  # as runs have it that began before there was such a thing
        return cls(str(base or ""), files_digest(directories), settings, quantization or "")

    @property
    def record(self) -> dict[str, Any]:
        """All that is known."""
        return {name: value for name, value in asdict(self).items() if value}


def files_digest(directories: Sequence[Path]) -> str:
    """A digest of names, sizes and samples of the weights and settings there, which takes a moment for any number of gigabytes.

    Files of up to 256 KiB are read whole.
    """
    digest = hashlib.sha256()
    for directory in directories:
        for path in sorted((*directory.glob("*.safetensors"), *directory.glob("*.json"))):
            size = path.stat().st_size
            digest.update(f"{path.name} {size}\n".encode())
            with open(path, "rb") as file:
                for piece in range(PIECES):
                    file.seek(size * piece // PIECES)
                    digest.update(file.read(PIECE))
    return digest.hexdigest()[:16]
