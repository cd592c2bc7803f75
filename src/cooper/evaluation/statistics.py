"""How sure a figure is: intervals for shares and means, and paired comparisons of two runs over the same rows.

R: rows. B: bootstrap resamples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from cooper.errors import CooperError

Z95 = 1.959963984540054  # two-sided 95 % of the normal distribution


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval and the number of rows behind it; NaN without rows."""

    mean: float
    low: float
    high: float
    rows: int


def wilson(correct: int, rows: int) -> Estimate:
    """A share with Wilson's score interval (Wilson, 1927), which behaves at 0 and 1 and for few rows.

    Worked example: 8 of 10 is 0.8 with 0.490 .. 0.943.
    """
    if not 0 <= correct <= rows:
        raise CooperError(f"{correct} correct of {rows} rows cannot be")
    if rows == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    share, extra = correct / rows, Z95**2 / rows
    centre = (share + extra / 2) / (1 + extra)
    half = Z95 * math.sqrt(share * (1 - share) / rows + extra / (4 * rows)) / (1 + extra)
    return Estimate(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)), rows)


def bootstrap_mean(values: Sequence[float], seed: int = 0, resamples: int = 2000) -> Estimate:
    """A mean with its percentile bootstrap interval (Efron, 1979). The same seed gives the same interval."""
    return grouped_mean(values, ["all"] * len(values), seed, resamples)


def grouped_mean(values: Sequence[float], groups: Sequence[str], seed: int = 0, resamples: int = 2000) -> Estimate:
    """The mean over groups of each group's mean, rows redrawn within their group.

    Worked example: rows 1, 1, 0 of group a and 0 of group b: (2 / 3 + 0) / 2 = 1 / 3.
    """
    if len(values) != len(groups):
        raise CooperError(f"{len(values)} values but {len(groups)} groups")
    if not values:
        return Estimate(math.nan, math.nan, math.nan, 0)
    numbers = np.asarray(values, dtype=np.float64)
    parts = _parts(numbers, groups)
    drawn_B = _redraw(parts, seed, resamples)
    low, high = np.quantile(drawn_B, [0.025, 0.975])
    return Estimate(float(np.mean([part.mean() for part in parts])), float(low), float(high), len(values))


def _parts(numbers: np.ndarray, groups: Sequence[str]) -> list[np.ndarray]:
    names = np.asarray(groups)
    return [numbers[names == name] for name in sorted(set(groups))]


def _redraw(parts: list[np.ndarray], seed: int, resamples: int) -> Float64[np.ndarray, " B"]:
    """Means over groups of `resamples` redrawn data sets. Blocks bound the memory to a few million numbers."""
    rng = np.random.default_rng(seed)
    total = np.zeros(resamples)
    for part in parts:
        block = max(1, 2_000_000 // len(part))
        for start in range(0, resamples, block):
            count = min(block, resamples - start)
            total[start : start + count] += part[rng.integers(0, len(part), (count, len(part)))].mean(axis=1)
    return total / len(parts)


@dataclass(frozen=True)
class Difference:
    """First minus second run over the same rows. `p_value`: McNemar's exact test on right and wrong, two-sided."""

    estimate: Estimate
    only_first: int
    only_second: int
    p_value: float


def paired_difference(
    first: Sequence[bool], second: Sequence[bool], groups: Sequence[str] | None = None, seed: int = 0, resamples: int = 2000
) -> Difference:
    """Difference of two accuracies over the same rows in the same order, with its paired bootstrap interval.

    With `groups` it is the difference of the means over groups. CooperError: the runs differ in length.
    """
    if len(first) != len(second):
        raise CooperError(f"the runs have {len(first)} and {len(second)} rows: they must be the same rows")
    steps = [float(a) - float(b) for a, b in zip(first, second, strict=True)]
    estimate = grouped_mean(steps, groups if groups is not None else ["all"] * len(steps), seed, resamples)
    only_first, only_second = steps.count(1.0), steps.count(-1.0)
    return Difference(estimate, only_first, only_second, mcnemar(only_first, only_second))


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value for rows that only one of two runs got right (McNemar, 1947).

    >>> mcnemar(1, 5)  # 2 * (1 + 6) / 2**6
    0.21875
    """
    rows, fewer = only_first + only_second, min(only_first, only_second)
    ways = sum(math.comb(rows, count) for count in range(fewer + 1))
    return min(1.0, float(2 * ways / 2**rows)) if rows < 1000 else _mcnemar_large(rows, fewer)


def _mcnemar_large(rows: int, fewer: int) -> float:
    """The same by logarithms, where 2**rows has no float."""
    logs = [
        math.lgamma(rows + 1) - math.lgamma(count + 1) - math.lgamma(rows - count + 1) - rows * math.log(2)
        for count in range(fewer + 1)
    ]
    return min(1.0, 2 * math.fsum(math.exp(value) for value in logs))


def sign_flips(steps: Sequence[float], groups: Sequence[str], seed: int = 0, resamples: int = 10_000) -> float:
    """Two-sided p-value of a mean over groups of paired differences: how often random signs, one for each row, bring it as far
    from 0 (Fisher's randomisation test; Good, 2005). 1 where nothing differs; at least 1 / (resamples + 1).
    """
    numbers = np.asarray(steps, dtype=np.float64)
    if not numbers.any():
        return 1.0
    sizes = {name: list(groups).count(name) for name in set(groups)}
    weighed = numbers / np.array([sizes[name] * len(sizes) for name in groups])
    rng = np.random.default_rng(seed)
    moved = weighed[weighed != 0]
    block = max(1, 2_000_000 // len(moved))
    found = 0
    for start in range(0, resamples, block):
        signs = rng.integers(0, 2, (min(block, resamples - start), len(moved))) * 2 - 1
        found += int((np.abs(signs @ moved) >= abs(weighed.sum()) - 1e-12).sum())
    return (found + 1) / (resamples + 1)
