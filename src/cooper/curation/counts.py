"""How often a question was answered right with and without maps, as flags.jsonl holds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cooper.errors import CooperError
from cooper.files.rows import Row, read_lines

Flag = Literal["positive", "negative", "boundary"]
FLAGS: tuple[Flag, ...] = ("positive", "negative", "boundary")
By = Literal["question", "category"]  # what gets a flag of its own
Shown = Literal["own", "true"]  # maps that a teacher is shown: drawn by the model, or exact


@dataclass(frozen=True)
class DrawingCounts:
    """Right answers of all, among traces that drew and among those that did not."""

    drawn_right: int
    drawn: int
    plain_right: int
    plain: int

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "DrawingCounts":
        """Of a row of flags.jsonl, as `read_flag_rows` gives them. KeyError: it has none."""
        return cls(row["drawn_right"], row["drawn"], row["plain_right"], row["plain"])

    @property
    def gain(self) -> float | None:
        """Share right with maps minus share right without; None where there is no answer of one kind."""
        if not (self.drawn and self.plain):
            return None
        return self.drawn_right / self.drawn - self.plain_right / self.plain

    def flag(self, margin: float, samples: int) -> Flag:
        """Worked example, margin 0.25 and 8 samples: 6 of 8 with maps and 3 of 8 without is positive; 4 of 8 and 3 of 8 is
        boundary, and so is 3 of 3 and 3 of 8: a share of fewer than half of `samples` answers says little.
        """
        gain = self.gain
        if gain is None or 2 * min(self.drawn, self.plain) < samples:
            return "boundary"
        if gain >= margin:
            return "positive"
        return "negative" if gain <= -margin else "boundary"


@dataclass(frozen=True)
class _FlagRow:
    drawn_right: int
    drawn: int
    plain_right: int
    plain: int
    id: str = ""
    category: str = ""
    flag: str = "boundary"


def read_flag_rows(path: Path) -> list[Row]:
    """The rows of a flags.jsonl, checked. CooperError names the line and the field that cannot be."""
    found = []
    for line in read_lines(path):
        row = line.as_a(_FlagRow)
        if row.flag not in FLAGS:
            raise CooperError(f"{line.place}: flag is {row.flag!r}; known: {', '.join(FLAGS)}")
        if not (0 <= row.drawn_right <= row.drawn and 0 <= row.plain_right <= row.plain):
            raise CooperError(f"{line.place}: more answers are right than there are, or fewer than none")
        found.append(line.values)
    return found
