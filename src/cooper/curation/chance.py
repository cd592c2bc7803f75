"""How many flags luck alone would make.

A few answers of a question, some with maps and some without, differ by luck, too. Where flags are hardly more than what luck
makes, maps neither help nor hurt with these questions more than with others, and reinforcement cannot learn where to draw.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cooper.curation.gains import DrawingCounts, Flag, read_flag_rows

DEALS = 200


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
