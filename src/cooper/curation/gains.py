"""What maps gain, by category and beyond luck, and the flag that follows."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cooper.curation.counts import DrawingCounts, Flag
from cooper.evaluation.figures.statistics import Estimate, bounded_mean

DEALS = 200  # random deals of right answers, to tell flags from luck


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
