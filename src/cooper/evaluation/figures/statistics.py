"""How sure a figure is: intervals for shares and means, and paired comparisons of two runs over the same rows.

R: rows. G: groups. B: bootstrap resamples.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int

from cooper.errors import CooperError
from cooper.evaluation.figures.intervals import beta_quantile, student_quantile

Z95 = 1.959963984540054  # two-sided 95 % of the normal distribution
WHOLE = 1  # rows of all groups that each group is taken together with
EXTREME, EXTREME_DIFFERENCE = 10, 4  # rows as far apart as can be: for scores, and for differences, most of which are 0


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval and the number of rows behind it; NaN without rows, an interval of NaN where none can be
    had."""

    mean: float
    _: KW_ONLY
    low: float = math.nan
    high: float = math.nan
    rows: int

    @property
    def sure(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def wilson(correct: int, rows: int) -> Estimate:
    """A share with Wilson's score interval (Wilson, 1927), which behaves at 0 and 1 and for few rows.

    Worked example: 8 of 10 is 0.8 with 0.490 .. 0.943.
    """
    if not 0 <= correct <= rows:
        raise CooperError(f"{correct} correct of {rows} rows cannot be")
    if rows == 0:
        return Estimate(math.nan, rows=0)
    share, extra = correct / rows, Z95**2 / rows
    centre = (share + extra / 2) / (1 + extra)
    half = Z95 * math.sqrt(share * (1 - share) / rows + extra / (4 * rows)) / (1 + extra)
    low, high = max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
    return Estimate(share, low=low, high=high, rows=rows)


def bounded_mean(values: Sequence[float], *, low: float = 0.0, high: float = 1.0) -> Estimate:
    """A mean of values in low..high with its interval, as `grouped_mean` has it for one group."""
    return grouped_mean(values, ["all"] * len(values), low=low, high=high)


def grouped_mean(values: Sequence[float], groups: Sequence[str], *, low: float = 0.0, high: float = 1.0) -> Estimate:
    """The mean over groups of each group's mean, of values in low..high: scores, or with low = -1 their paired differences.

    The interval is the exact binomial one of Clopper and Pearson at the effective number of rows (Korn and Graubard, 1998):
    the number of rows right or wrong, of a share like the mean, that would leave it as uncertain as these rows do. A few rows
    of a group say little of how they vary, so each group is taken together with `WHOLE` rows of all groups; and a few rows in
    all say little of rare values, so `EXTREME` rows are added that lie as far apart as values may. A test counts how often it
    covers.
    Worked example: rows 1, 1, 0 of group a and 0 of group b: (2 / 3 + 0) / 2 = 1 / 3.
    CooperError: a value outside low..high, or other numbers of values and groups.
    """
    if len(values) != len(groups):
        raise CooperError(f"{len(values)} values but {len(groups)} groups")
    if len(values) == 0:
        return Estimate(math.nan, rows=0)
    numbers = (np.asarray(values, dtype=np.float64) - low) / (high - low)
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise CooperError(f"a value lies outside {low:g}..{high:g}, so its mean has no such interval")
    place_R = np.unique(np.asarray(groups), return_inverse=True)[1]
    sizes_G = np.bincount(place_R)
    means_G = np.bincount(place_R, numbers) / sizes_G
    spreads_G = np.bincount(place_R, (numbers - means_G[place_R]) ** 2) / sizes_G
    mean = float(means_G.mean())
    rows = _effective_rows(sizes_G, means_G, spreads_G=spreads_G, extreme=EXTREME if low == 0 else EXTREME_DIFFERENCE)
    bottom, top = (low + (high - low) * end for end in clopper_pearson(mean * rows, rows))
    return Estimate(low + (high - low) * mean, low=bottom, high=top, rows=len(values))


def _effective_rows(
    sizes_G: Int[np.ndarray, " G"], means_G: Float64[np.ndarray, " G"], *, spreads_G: Float64[np.ndarray, " G"], extreme: float
) -> float:
    """How many rows of 0 and 1 leave a mean as uncertain as the mean over these groups is. `spreads_G`: variances."""
    mean, groups = float(means_G.mean()), len(sizes_G)
    rows, widest = groups**2 / float(np.sum(1 / sizes_G)), mean * (1 - mean)
    if widest < 1e-12:  # all 0, or all 1
        return rows
    whole = float(np.mean(spreads_G + (means_G - mean) ** 2))
    joined_G = sizes_G + WHOLE
    each_G = (sizes_G * spreads_G + WHOLE * whole) / joined_G + sizes_G * WHOLE / joined_G**2 * (means_G - mean) ** 2
    each_G /= 1 - sizes_G / joined_G**2  # few rows lie nearer to their own mean than to the true one
    each = rows * float(np.sum(each_G / sizes_G)) / groups**2
    return rows * widest * (rows + extreme) / (rows * each + extreme * widest)


def clopper_pearson(right: float, rows: float) -> tuple[float, float]:
    """The exact 95 % interval of a share (Clopper and Pearson, 1934); numbers need not be whole. 5 of 5 is 0.478 .. 1."""
    wrong = rows - right
    low = beta_quantile(0.025, right, wrong + 1) if right > 1e-9 * rows else 0.0
    high = beta_quantile(0.975, right + 1, wrong) if wrong > 1e-9 * rows else 1.0
    return low, high


def plain_mean(values: Sequence[float]) -> Estimate:
    """A mean of values without bounds with Student's interval; without one for a single row, or where all rows are equal."""
    if not values:
        return Estimate(math.nan, rows=0)
    numbers = np.asarray(values, dtype=np.float64)
    mean, rows = float(numbers.mean()), len(numbers)
    if rows == 1 or not numbers.std():
        return Estimate(mean, rows=rows)
    half = student_quantile(rows - 1) * float(numbers.std(ddof=1)) / math.sqrt(rows)
    return Estimate(mean, low=mean - half, high=mean + half, rows=rows)


def resampled(figures_B: Float64[np.ndarray, " B"], rows: int) -> Estimate:
    """A figure in 0..1 that is no mean, the first of `figures_B`, with the percentile interval of redrawn rows, the others
    (Efron, 1979), widened as much as Student's interval is wider than the normal one; without one for a single row, or where
    every draw gives the same."""
    figure, drawn_B = float(figures_B[0]), figures_B[1:]
    if rows < 2 or float(np.ptp(drawn_B)) < 1e-12:
        return Estimate(figure, rows=rows)
    wider = student_quantile(rows - 1) / Z95 * math.sqrt(rows / (rows - 1))
    low, high = (figure + wider * (float(end) - figure) for end in np.quantile(drawn_B, [0.025, 0.975]))
    return Estimate(figure, low=max(0.0, low), high=min(1.0, high), rows=rows)


@dataclass(frozen=True)
class Difference:
    """First minus second over the same rows. `only_first` and `only_second`: rows that only one got right. `p_value`:
    two-sided, as `sign_flips` has it."""

    estimate: Estimate
    _: KW_ONLY
    only_first: int
    only_second: int
    p_value: float


def paired_difference(steps: Sequence[float], groups: Sequence[str] | None = None) -> Difference:
    """The mean of `steps`, what the first earned at each row minus what the second did, with the interval of `grouped_mean`.

    With `groups` it is the mean over their means.
    """
    names = groups if groups is not None else ["all"] * len(steps)
    only_first, only_second = (sum(step == side for step in steps) for side in (1.0, -1.0))
    estimate, p_value = grouped_mean(steps, names, low=-1.0), sign_flips(steps, names)
    return Difference(estimate, only_first=only_first, only_second=only_second, p_value=p_value)


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value for rows that only one of two runs got right (McNemar, 1947).

    >>> mcnemar(1, 5)  # 2 * (1 + 6) / 2**6
    0.21875
    """
    rows, ways, term = only_first + only_second, 1, 1
    for count in range(min(only_first, only_second)):
        term = term * (rows - count) // (count + 1)
        ways += term
    return min(1.0, 2 * ways / 2**rows)  # whole numbers divide exactly, whatever their size


def sign_flips(steps: Sequence[float], groups: Sequence[str], *, seed: int = 0, resamples: int = 10_000) -> float:
    """Two-sided p-value of a mean over groups of paired differences: how often random signs, one for each row, bring it as far
    from 0 (Fisher's randomisation test; Good, 2005). 1 where nothing differs.

    Where all rows that differ weigh alike it is exact, and then it is McNemar's test; else at least 1 / (resamples + 1).
    """
    numbers = np.asarray(steps, dtype=np.float64)
    if not numbers.any():
        return 1.0
    place_R = np.unique(np.asarray(groups), return_inverse=True)[1]
    weighed = numbers / np.bincount(place_R)[place_R]
    moved = weighed[weighed != 0]
    if np.allclose(np.abs(moved), np.abs(moved[0])):
        return mcnemar(int((moved > 0).sum()), int((moved < 0).sum()))
    rng = np.random.default_rng(seed)
    block = max(1, 2_000_000 // len(moved))
    found = 0
    for start in range(0, resamples, block):
        signs = rng.integers(0, 2, (min(block, resamples - start), len(moved))) * 2 - 1
        found += int((np.abs(signs @ moved) >= abs(moved.sum()) - 1e-9 * np.abs(moved).sum()).sum())
    return (found + 1) / (resamples + 1)


def without_nan(value: Any) -> Any:
    """Values that JSON can hold: figures that are none become null."""
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
