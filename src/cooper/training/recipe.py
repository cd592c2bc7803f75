"""What every training recipe holds besides its own keys: how weights move, and what a run leaves behind."""

from dataclasses import dataclass
from typing import Literal

from cooper.errors import CooperError
from cooper.files.values import build, overridden, read_recipe

__all__ = ["Optimiser", "OptimiserKind", "Precision", "Record", "Schedule", "build", "overridden", "read_recipe"]

Precision = Literal["float32", "bf16"]
Schedule = Literal["cosine", "constant"]
OptimiserKind = Literal["adamw", "muon"]


@dataclass(frozen=True)
class Optimiser:
    """How weights move: `steps` updates on `batch` samples each, in `accumulation` parts per process.

    `kind`: AdamW with betas (0.9, 0.95), or Muon for the matrices of layers with AdamW for the rest; `warmup` updates of
    linear rise, then `schedule`. `ema` is the decay of the averaged weights, `clip` the largest gradient norm.
    """

    steps: int
    batch: int
    learning_rate: float
    kind: OptimiserKind = "adamw"
    accumulation: int = 1
    warmup: int = 100
    schedule: Schedule = "cosine"
    weight_decay: float = 0.0
    clip: float = 1.0
    ema: float = 0.995
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulation"):
            if getattr(self, name) < 1:
                raise CooperError(f"recipe: optimiser.{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.ema < 1:
            raise CooperError(f"recipe: optimiser.ema is {self.ema}; it must be at least 0 and below 1")


@dataclass(frozen=True)
class Record:
    """What a run leaves behind, every so many updates. `keep`: checkpoints kept; `tracker`: `trackio` or `none`."""

    log_every: int = 10
    save_every: int = 200
    eval_every: int = 200
    keep: int = 2
    tracker: Literal["trackio", "none"] = "none"
