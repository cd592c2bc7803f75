"""The settings of a run: what every piece of work with a model has in common, checked once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cooper.errors import CooperError
from cooper.evaluation.runs.origin import Origin
from cooper.evaluation.runs.processes import Share
from cooper.files.arguments import seed_of
from cooper.trace.modes import MODES, READING_MODES, AnswerMode, GivenMaps, answer_mode, given_maps


@dataclass(frozen=True, kw_only=True)
class WorkSettings:
    """What any work with a model over many rows has. `data`: a folder, a file or a hub id, "" where it has a place of its own.
    `out`: the folder of the results. `limit`: rows, None for all. `batch`: rows put to the model at once."""

    model: str
    data: str | Path = ""
    out: Path
    seed: int = 0
    limit: int | None = None
    batch: int = 16
    quiet: bool = False

    def __post_init__(self) -> None:
        for name in ("limit", "batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise CooperError(f"{name} must be at least 1, got {value}")
        seed_of(self.seed, "seed")


@dataclass(frozen=True, kw_only=True)
class RunSettings(WorkSettings):
    """What every evaluation has. `given_maps`: what the model reads where it asks for maps; with others than its own the modes
    that read none are left out, for they would answer the same again. `traces`: questions per mode whose traces are kept, None
    for all. `origin`: what answers, for the record. `skip_bad`: questions and pictures that cannot be read are left out and
    counted. `share`: this process's part of the work, by default what its launcher says."""

    modes: tuple[AnswerMode, ...] = MODES
    given_maps: GivenMaps = "own"
    traces: int | None = None
    origin: Origin = Origin()
    skip_bad: bool = False
    share: Share = field(default_factory=Share.here)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "modes", _reading(check_modes(self.modes), given_maps(self.given_maps)))
        check_not_negative(self, "traces")

    @property
    def record(self) -> dict[str, Any]:
        """What makes two runs the same run. Modes may be added to one; batch size and kept traces may change."""
        told = {"model": self.model, "seed": self.seed, "limit": self.limit, "data": str(self.data)}
        told |= {} if self.given_maps == "own" else {"given_maps": self.given_maps}
        return {**told, **self.origin.record}

    @property
    def silent(self) -> bool:
        """Whether no progress is shown: of several processes only the first shows any."""
        return self.quiet or not self.share.first


def label(name: str, given: GivenMaps) -> str:
    """What tells a run with given maps from one without: `label("scenes", "blank")` is `"scenes-blank"`."""
    return name if given == "own" else f"{name}-{given}"


def check_not_negative(settings: WorkSettings, name: str) -> None:
    """CooperError: the setting of that name is negative."""
    value = getattr(settings, name)
    if value is not None and value < 0:
        raise CooperError(f"{name} must not be negative, got {value}")


def check_modes(modes: Sequence[str]) -> tuple[AnswerMode, ...]:
    """The modes as written, each once. CooperError names an unknown one."""
    if not modes:
        raise CooperError(f"no mode named; known: {', '.join(MODES)}")
    return tuple(dict.fromkeys(answer_mode(mode) for mode in modes))


def _reading(modes: tuple[AnswerMode, ...], given: GivenMaps) -> tuple[AnswerMode, ...]:
    """The modes that given maps bear on. CooperError: none of them does."""
    if given == "own":
        return modes
    kept: tuple[AnswerMode, ...] = tuple(mode for mode in READING_MODES if mode in modes)
    if not kept:
        raise CooperError(
            f"given maps ({given}) change nothing in the modes {', '.join(modes)}; name {' or '.join(READING_MODES)}"
        )
    return kept
