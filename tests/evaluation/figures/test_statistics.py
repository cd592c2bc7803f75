"""Intervals and paired tests against worked examples and scipy."""

import math

import numpy as np
import pytest

from cooper.errors import CooperError
from cooper.evaluation.figures.intervals import beta_quantile, student_quantile
from cooper.evaluation.figures.statistics import (
    bounded_mean,
    clopper_pearson,
    grouped_mean,
    mcnemar,
    paired_difference,
    plain_mean,
    resampled,
    wilson,
)
from cooper.evaluation.report.report import percent, points


def test_wilson_by_hand():
    estimate = wilson(8, 10)
    assert (estimate.mean, estimate.rows) == (0.8, 10)
    assert (estimate.low, estimate.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert wilson(0, 5).low == 0.0 and wilson(5, 5).high == 1.0
    assert math.isnan(wilson(0, 0).mean)
    with pytest.raises(CooperError, match="cannot be"):
        wilson(3, 2)


def test_wilson_equals_scipy():
    stats = pytest.importorskip("scipy.stats")
    theirs = stats.binomtest(37, 101).proportion_ci(method="wilson")
    ours = wilson(37, 101)
    assert (ours.low, ours.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


def test_mcnemar_equals_scipy():
    stats = pytest.importorskip("scipy.stats")
    for first, second in ((1, 5), (0, 0), (30, 12), (700, 640), (20, 20)):
        expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
        assert mcnemar(first, second) == pytest.approx(expected, rel=1e-6)
    assert mcnemar(1, 5) == 0.21875


def test_group_means_weigh_groups_alike():
    estimate = grouped_mean([1, 1, 0, 0], ["a", "a", "a", "b"])
    assert estimate.mean == pytest.approx(1 / 3)
    assert estimate.low <= estimate.mean <= estimate.high


def test_exact_intervals_and_student_equal_scipy():
    stats = pytest.importorskip("scipy.stats")
    for right, rows in ((0, 1), (1, 1), (5, 5), (37, 101), (1999, 4000), (1, 20_000)):
        theirs = stats.binomtest(right, rows).proportion_ci(method="exact")
        assert clopper_pearson(right, rows) == (pytest.approx(theirs.low, abs=1e-9), pytest.approx(theirs.high, abs=1e-9))
    for a, b in ((0.3, 7.1), (812.4, 0.6), (3.3, 3.3)):
        assert beta_quantile(0.025, a, b) == pytest.approx(stats.beta.ppf(0.025, a, b), abs=1e-9)
    for freedom in (1, 4, 300):
        assert student_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-6)


def test_one_row_is_never_sure():
    for estimate in (bounded_mean([1.0]), grouped_mean([1.0], ["a"]), wilson(1, 1)):
        assert estimate.mean == 1.0 and estimate.low < 0.25 and estimate.high == 1.0
    assert bounded_mean([0.0]).high > 0.75 and bounded_mean([0.4]).high - bounded_mean([0.4]).low > 0.8
    step = paired_difference([0.0]).estimate
    assert step.mean == 0 and step.low < -0.9 and step.high > 0.9
    alike = [plain_mean([2.5]), plain_mean([2.5, 2.5]), resampled(np.full(10, 0.5), 1), resampled(np.ones(10), 3)]
    assert not any(estimate.sure for estimate in alike) and [percent(each) for each in alike[2:]] == ["50.0", "100.0"]
    assert points(alike[2]) == ["+50.0", "-"]


def test_plain_means_have_students_interval():
    estimate = plain_mean([1.0, 2.0, 4.0])
    assert (estimate.low, estimate.high) == (pytest.approx(7 / 3 - 3.7946, abs=1e-4), pytest.approx(7 / 3 + 3.7946, abs=1e-4))
    assert math.isnan(plain_mean([]).mean)


def test_values_out_of_bounds_are_refused():
    with pytest.raises(CooperError, match=r"outside 0\.\.1"):
        bounded_mean([0.2, 1.4])


SIZES = (1, 2, 3, 5, 20)  # rows a category
REPEATS = 1000  # the standard error of a coverage of 95 % is 0.7 points
LEAST = 0.93  # of nominal 0.95


def shares(groups: int) -> dict[str, np.ndarray]:
    """True rates of the categories, near 0 and 1 too."""
    line = np.linspace(0.05, 0.95, groups) if groups > 1 else np.array([0.3])
    return {"half": np.full(groups, 0.5), "low": np.full(groups, 0.02), "high": np.full(groups, 0.97), "spread": line} | {
        "ends": np.where(np.arange(groups) % 2, 0.98, 0.02)
    }


def covered(values_RN: np.ndarray, groups: list[str], truth: float, low: float = 0.0) -> float:
    """How often the interval holds the truth."""
    found = [grouped_mean(row.tolist(), groups, low=low) for row in values_RN]
    return float(np.mean([estimate.low - 1e-9 <= truth <= estimate.high + 1e-9 for estimate in found]))


def cases(groups: int):
    """Sizes of the categories, alike or not, and a name for each row's category."""
    for rows in SIZES if groups < 20 else SIZES[:4]:
        yield [rows] * groups
    if groups > 2:
        yield [20 if number % 2 else 1 for number in range(groups)]


GROUPS = [1, *(pytest.param(many, marks=pytest.mark.slow) for many in (2, 3, 10, 30))]


@pytest.mark.parametrize("groups", GROUPS)
def test_means_of_right_and_wrong_are_covered(groups):
    rng = np.random.default_rng(groups)
    for sizes in cases(groups):
        names = [str(number) for number, size in enumerate(sizes) for _ in range(size)]
        for name, rates in shares(groups).items():
            drawn = (rng.random((REPEATS, len(names))) < np.repeat(rates, sizes)).astype(float)
            assert covered(drawn, names, rates.mean()) >= LEAST, (sizes, name)


SCORES = {  # each with its mean
    "even": (lambda rng, shape: rng.random(shape), 0.5),
    "tenths": (lambda rng, shape: np.round(rng.beta(2, 2, shape), 1), 0.5),
    "near 1": (lambda rng, shape: rng.beta(8, 0.4, shape), 8 / 8.4),
    "near 0": (lambda rng, shape: rng.beta(0.3, 6, shape), 0.3 / 6.3),
    "mostly whole": (lambda rng, shape: np.where(rng.random(shape) < 0.1, 0.5, 1.0), 0.95),
}


@pytest.mark.parametrize("groups", GROUPS)
def test_means_of_scores_are_covered(groups):
    rng = np.random.default_rng(groups)
    for sizes in cases(groups):
        names = [str(number) for number, size in enumerate(sizes) for _ in range(size)]
        for name, (draw, truth) in SCORES.items():
            assert covered(draw(rng, (REPEATS, len(names))), names, truth) >= LEAST, (sizes, name)


STEPS = ((0.0, 0.0), (0.03, 0.02), (0.2, 0.1), (0.4, 0.4), (0.3, 0.0), (0.9, 0.02))  # right in the first only, second only


@pytest.mark.parametrize("groups", GROUPS)
def test_paired_differences_are_covered(groups):
    rng = np.random.default_rng(groups)
    for sizes in cases(groups):
        names = [str(number) for number, size in enumerate(sizes) for _ in range(size)]
        for more, less in STEPS:
            shape = (REPEATS, len(names))
            drawn = rng.choice([1.0, -1.0, 0.0], size=shape, p=[more, less, 1 - more - less])
            assert covered(drawn, names, more - less, low=-1.0) >= LEAST, (sizes, more, less)


def test_many_rows_are_told_as_surely_as_they_are():
    values = np.random.default_rng(0).random(4000)
    estimate = bounded_mean(values.tolist())
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * values.std() / math.sqrt(4000), rel=0.02)


def test_paired_difference_counts_the_rows_that_differ():
    steps = [1.0, 0.0, 1.0, -1.0, 1.0, 1.0]
    difference = paired_difference(steps)
    assert (difference.only_first, difference.only_second) == (4, 1)
    assert difference.estimate.mean == pytest.approx(0.5)
    assert difference.p_value == mcnemar(4, 1)
    same = paired_difference([0.0] * 6)
    assert (same.estimate.mean, same.p_value) == (0, 1) and same.estimate.low == pytest.approx(-same.estimate.high)
    assert 0.3 < same.estimate.high < 0.7, "six rows without a difference leave room for one"
    with pytest.raises(CooperError, match="groups"):
        paired_difference(steps, ["a"] * 3)
