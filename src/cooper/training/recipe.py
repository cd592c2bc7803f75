"""What every training recipe holds besides its own keys: how weights move, and what a run leaves behind."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from cooper.errors import CooperError
from cooper.files.values import AtLeast, AtMost, Below, Count, Positive, Rate, Seed, Weight, build
from cooper.perception.depth import DepthModality
from cooper.perception.segmentation import SegmentationModality
from cooper.training.data import Sources

MOST_CLASSES = 256  # that colours can be told apart for
Batch = Annotated[int, AtLeast(1), AtMost(2**16)]  # samples that are in memory together

Decay = Annotated[float, AtLeast(0), Below(1)]
Precision = Literal["float32", "bf16", "auto"]
Schedule = Literal["cosine", "constant"]
OptimiserKind = Literal["adamw", "muon"]


@dataclass(frozen=True)
class Optimiser:
    """How weights move: `steps` updates on `batch` samples each, in `accumulation` parts per process.

    `kind`: AdamW with `betas` and `eps`, or Muon for the matrices of layers with AdamW for the rest; `warmup` updates of linear
    rise, then `schedule`. `ema` is the decay of the averaged weights (with `ema_warmup` smaller during the first updates, so
    that random weights fade), `clip` the largest gradient norm.
    `precision` is that of matrix products; weights are float32. `auto`: bf16 where the device has instructions for it.
    """

    steps: Count
    batch: Batch
    learning_rate: Rate
    kind: OptimiserKind = "adamw"
    accumulation: Batch = 1
    warmup: Annotated[int, AtLeast(0), AtMost(10**9)] = 100
    schedule: Schedule = "cosine"
    weight_decay: Weight = 0.0
    clip: Positive = 1.0
    ema: Decay = 0.995
    precision: Precision = "float32"
    betas: tuple[Decay, Decay] = (0.9, 0.95)
    eps: Positive = 1e-8
    ema_warmup: bool = True


@dataclass(frozen=True)
class RecordSettings:
    """What a run leaves behind, every so many updates; a number beyond the last update means never.

    `keep`: checkpoints kept; `tracker`: `trackio` or `none`. `best`: a figure of the evaluations, such as `text_accuracy`; the
    finished model is then that of the evaluation at which it was highest, and not the last one.
    """

    log_every: Count = 10
    save_every: Count = 200
    eval_every: Count = 200
    keep: Count = 2
    tracker: Literal["trackio", "none"] = "none"
    best: str = ""


@dataclass(frozen=True)
class StageRecipe:
    """What every stage has that learns from pictures: `data`, those that it learns from (and `val`, others that it is examined
    on): the folder of rendered scenes or, where the stage can, of pictures of your own, or a file; or a group of keys. Stages
    amg and sft take several such groups by name for `data`, each with a `weight`."""

    out: Path
    data: Sources
    optimiser: Optimiser
    record: RecordSettings = field(default_factory=RecordSettings, kw_only=True)
    seed: Seed = field(default=0, kw_only=True)


def warn_of_warmup(warmup: int, steps: int, rate: float) -> None:
    """A warning where the learning rate still rises when the run ends."""
    if steps <= warmup:
        warnings.warn(
            f"the learning rate rises for {warmup} updates (warmup) and the run ends after {steps}: it begins at 0, comes to "
            f"{rate * (steps - 1) / warmup:.3g} and never to {rate:g}",
            stacklevel=2,
        )


def check_mixture(weights: Mapping[str, float], known: Sequence[str], why: str = "") -> None:
    """CooperError: a source that is not known, or none with a weight above 0. `why`: what else to say of the former."""
    for name in weights:
        if name not in known:
            raise CooperError(f"mixture names {name!r}; known: {', '.join(known)}{why}")
    if not sum(weights.values()) > 0:
        raise CooperError("mixture must give one of its sources a weight above 0")


def check_map_names(names: Sequence[str]) -> None:
    """CooperError: maps to be learnt that scenes do not have, none, or one twice."""
    if not names or len(set(names)) < len(names) or not set(names) <= {"depth", "segmentation"}:
        raise CooperError(f"maps is {list(names)}; it must name depth, segmentation or both")


def check_maps(modalities: Mapping[str, Mapping[str, Any]]) -> None:
    """CooperError: settings of the two maps of a scene that are missing or do not fit."""
    for name, kind in (("depth", DepthModality), ("segmentation", SegmentationModality)):
        if name not in modalities:
            raise CooperError(f"modalities has no settings of {name}")
        build(kind, modalities[name], f"modalities.{name}")
    names = modalities["segmentation"].get("names", ())
    if len(set(names)) < len(names) or len(names) > MOST_CLASSES:
        raise CooperError(f"modalities.segmentation.names must be at most {MOST_CLASSES} names, none of them twice")
