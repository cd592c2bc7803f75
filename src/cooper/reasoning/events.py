"""What the engine says while it works. `row` numbers the requests of one run."""

from dataclasses import dataclass

from cooper.trace.steps import Step
from cooper.trace.trace import Trace


@dataclass(frozen=True)
class TextDelta:
    """New characters of the turn that row `row` is writing."""

    row: int
    text: str


@dataclass(frozen=True, eq=False)
class StepDone:
    """A finished step of row `row`."""

    row: int
    step: Step


@dataclass(frozen=True, eq=False)
class TraceDone:
    """The whole trace of row `row`."""

    row: int
    trace: Trace


@dataclass(frozen=True)
class DrawingProgress:
    """Euler steps done of the maps that `rows` are drawing."""

    rows: tuple[int, ...]
    done: int
    total: int


@dataclass(frozen=True, eq=False)
class RowFailed:
    """Row `row` could not go on, because of `error`, and is gone; the others go on."""

    row: int
    error: Exception


Event = TextDelta | StepDone | TraceDone | DrawingProgress | RowFailed
