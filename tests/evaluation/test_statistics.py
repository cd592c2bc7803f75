"""Intervals and paired tests against worked examples and scipy."""

import math

import numpy as np
import pytest

from cooper.errors import CooperError
from cooper.evaluation.statistics import bootstrap_mean, grouped_mean, mcnemar, paired_difference, wilson


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


def test_bootstrap_is_seeded_and_sound():
    values = np.random.default_rng(0).normal(2, 1, 400).tolist()
    first, again = bootstrap_mean(values, seed=3), bootstrap_mean(values, seed=3)
    assert first == again and first != bootstrap_mean(values, seed=4)
    half = 1.96 * np.std(values) / 20
    assert first.high - first.low == pytest.approx(2 * half, rel=0.1)
    assert math.isnan(bootstrap_mean([]).mean)


def test_paired_difference_counts_the_rows_that_differ():
    first = [True, True, True, False, True, True]
    second = [False, True, False, True, False, False]
    difference = paired_difference(first, second)
    assert (difference.only_first, difference.only_second) == (4, 1)
    assert difference.estimate.mean == pytest.approx(0.5)
    assert difference.p_value == mcnemar(4, 1)
    same = paired_difference(first, first)
    assert (same.estimate.mean, same.estimate.low, same.estimate.high, same.p_value) == (0, 0, 0, 1)
    with pytest.raises(CooperError, match="same rows"):
        paired_difference(first, second[:3])
