"""How often a question was answered right with and without maps, and the flag that follows."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cooper.errors import CooperError
from cooper.evaluation.figures.statistics import Estimate, bounded_mean
from cooper.files.rows import Row, read_lines

Flag = Literal["positive", "negative", "boundary"]
FLAGS: tuple[Flag, ...] = ("positive", "negative", "boundary")
By = Literal["question", "category"]  # what gets a flag of its own
DEALS = 200  # random deals of right answers, to tell flags from luck


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


def category_gains(rows: Iterable[Mapping[str, Any]]) -> dict[str, Estimate]:
    """Mean over the questions of a category of what maps gain, with its 95 % interval; rows as in flags.jsonl.

    Questions without an answer of one kind do not count, and a category needs two that do.
    """
    gains: dict[str, list[float]] = {}
    for row in rows:
        gain = DrawingCounts.of(row).gain
        if gain is not None:
            gains.setdefault(row["category"], []).append(gain)
    return {name: bounded_mean(found, low=-1.0) for name, found in sorted(gains.items()) if len(found) > 1}


def category_flag(gain: Estimate | None) -> Flag:
    """Positive where the whole interval lies above 0, negative where it lies below."""
    if gain is None or gain.low <= 0 <= gain.high:
        return "boundary"
    return "positive" if gain.low > 0 else "negative"


def points(gain: Estimate) -> str:
    """A gain in points with its interval, in brackets."""
    return f"[{100 * gain.mean:+.0f}: {100 * gain.low:+.0f} .. {100 * gain.high:+.0f}]"


@dataclass(frozen=True)
class Luck:
    """Questions with one flag: how many there are, and how many with the right answers of each question dealt at random."""

    found: int
    mean: float
    std: float

    def __str__(self) -> str:
        return f"{self.found} (by luck alone {self.mean:.0f} ± {self.std:.0f})"


def luck_of(counts: Sequence[DrawingCounts], margin: float, samples: int, seed: int = 0) -> dict[Flag, Luck]:
    """Positive and negative flags of `counts`, and mean and standard deviation of their numbers over `DEALS` deals.

    A deal keeps how many answers of a question were right and how many drew, but not which (a permutation test).
    """
    rng = np.random.default_rng(seed)
    table = np.array([(each.drawn_right + each.plain_right, each.drawn, each.plain) for each in counts], dtype=int).reshape(
        -1, 3
    )
    right, drawn, plain = table.T
    deals: list[Counter[Flag]] = []
    for _ in range(DEALS):
        lucky = rng.hypergeometric(right, drawn + plain - right, drawn)
        dealt = [DrawingCounts(*map(int, each)) for each in zip(lucky, drawn, right - lucky, plain, strict=True)]
        deals.append(Counter(each.flag(margin, samples) for each in dealt))
    found = Counter(each.flag(margin, samples) for each in counts)
    flags: tuple[Flag, ...] = ("positive", "negative")
    numbers = {flag: [deal[flag] for deal in deals] for flag in flags}
    return {flag: Luck(found[flag], float(np.mean(numbers[flag])), float(np.std(numbers[flag]))) for flag in flags}


def read_counts(path: Path) -> list[DrawingCounts]:
    """The counts beside the flags of a file. CooperError: a row without them."""
    return [DrawingCounts.of(row) for row in read_flag_rows(path)]
