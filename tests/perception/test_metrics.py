"""Worked examples by hand, and agreement with torchmetrics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cooper.errors import CooperError
from cooper.perception.metrics import (
    Alignment,
    align,
    class_iou,
    confusion,
    depth_errors,
    mean_iou,
    most_shared,
    panoptic_counts,
    region_counts,
    region_iou,
    segment_ids,
)


def everywhere(array: np.ndarray) -> np.ndarray:
    return np.ones(array.shape, dtype=bool)


def test_depth_errors_by_hand():
    errors = depth_errors(np.array([[1.0, 3.0]]), np.array([[2.0, 3.0]]), np.array([[True, True]]))
    assert errors.abs_rel == 0.25
    assert (errors.delta1, errors.delta2, errors.delta3) == (0.5, 0.5, 0.5)
    assert errors.rmse == pytest.approx(np.sqrt(0.5))
    assert errors.log10 == pytest.approx(np.log10(2) / 2)
    assert errors.silog == pytest.approx(100 * np.log(2) / 2)
    assert errors.pixels == 2


@given(st.floats(0.1, 10), st.floats(-3, 3), st.integers(0, 99))
def test_alignment_undoes_any_scale_and_shift(scale, shift, seed):
    truth = np.random.default_rng(seed).uniform(1, 5, (4, 5))
    found = align((truth - shift) / scale, truth, everywhere(truth))
    assert (found.scale, found.shift) == (pytest.approx(scale), pytest.approx(shift, abs=1e-6))


def test_alignment_looks_at_valid_pixels_only():
    predicted, truth = np.array([[0.0, 1.0, 9.0]]), np.array([[2.0, 5.0, 0.0]])
    assert align(predicted, truth, truth > 0) == Alignment(3.0, 2.0)
    assert align(np.ones((1, 3)), truth, truth > 0) == Alignment(0.0, 3.5)


def test_scale_invariant_error_ignores_scale():
    truth = np.random.default_rng(0).uniform(1, 5, (4, 5))
    assert depth_errors(truth * 3, truth, everywhere(truth)).silog == pytest.approx(0, abs=1e-6)


def test_bad_depth_is_named():
    ones = np.ones((2, 2))
    with pytest.raises(CooperError, match="no valid pixel"):
        align(ones, ones, ones == 0)
    with pytest.raises(CooperError, match="positive metres"):
        depth_errors(ones * 0, ones, ones == 1)
    with pytest.raises(CooperError, match="differ in size"):
        depth_errors(np.ones((2, 3)), ones, ones == 1)


def test_confusion_and_iou_by_hand():
    truth = np.array([[0, 0, 1, 1], [0, 0, 1, 2]])
    predicted = np.array([[0, 0, 1, 1], [0, 1, 1, 1]])
    counts = confusion(predicted, truth, 4)
    assert counts.tolist() == [[3, 1, 0, 0], [0, 3, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert class_iou(counts)[:3].tolist() == [0.75, 0.6, 0.0] and np.isnan(class_iou(counts)[3])
    assert mean_iou(counts) == pytest.approx(0.45)
    assert confusion(predicted, truth, 4, void=2).sum() == 7
    with pytest.raises(CooperError, match="class 7"):
        confusion(predicted + 6, truth, 4)


def test_region_iou_by_hand():
    truth = np.array([[5, 5, 5, 5], [9, 9, 9, 9]])
    predicted = np.array([[1, 1, 1, 2], [3, 3, 3, 3]])
    assert region_iou(predicted, truth) == pytest.approx((0.75 + 1) / 2)
    assert region_iou(predicted, truth, void=9) == pytest.approx(0.75)
    assert region_iou(np.where(truth == 9, 1, predicted), truth, void=9) == pytest.approx(0.75)  # void is in no union
    assert np.isnan(region_iou(predicted, truth * 0, void=0))


def test_regions_are_counted_without_classes():
    truth = np.array([[5] * 4, [9] * 4, [7] * 4])
    predicted = np.array([[1, 1, 1, 2], [3, 3, 3, 3], [2, 4, 4, 4]])
    counts = region_counts(predicted, truth, void=7)  # 5 by 1 with 3 / 4, 9 by 3; 4 lies on void; 2, half on it, is invented
    assert (counts.iou.tolist(), counts.matched.tolist()) == ([1.75], [2])
    assert (counts.invented.tolist(), counts.missed.tolist()) == ([1], [0])
    assert region_counts(predicted, truth).matched.tolist() == [3]
    assert most_shared(predicted, truth, void=7).tolist() == [[5, 5, 5, 5], [9] * 4, [5, 7, 7, 7]]


def test_panoptic_quality_by_hand():
    things = frozenset({1})
    truth = segment_ids(np.ones((1, 20), int), np.repeat([1, 2], 10)[None], things)
    predicted = segment_ids(
        np.array([[1] * 8 + [0] * 12]), np.array([[1] * 8 + [0] * 12]), things
    )  # matches the first with IoU 0.8, misses the second, invents a segment of class 0
    counts = panoptic_counts(predicted, truth, 2)
    assert counts.matched.tolist() == [0, 1] and counts.missed.tolist() == [0, 1] and counts.invented.tolist() == [1, 0]
    score = counts.score()
    assert score.pq == pytest.approx((0 + 0.8 / 1.5) / 2)
    assert (counts + counts).score() == score


def random_panoptic(seed: int) -> np.ndarray:
    """[H, W, 2] class and instance, in blocks so that some segments match."""
    rng = np.random.default_rng(seed)
    picture = np.stack([rng.integers(0, 4, (6, 6)), rng.integers(0, 2, (6, 6))], axis=2)
    return picture.repeat(4, axis=0).repeat(4, axis=1)


def nearby(picture: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    moved = np.roll(picture, int(rng.integers(0, 3)), axis=int(rng.integers(0, 2)))
    flipped = rng.random(moved.shape[:2]) < 0.05
    moved[flipped] = rng.integers(0, 2, (int(flipped.sum()), 2))
    return moved


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_agreement_with_torchmetrics(seed):
    torch = pytest.importorskip("torch")
    detection = pytest.importorskip("torchmetrics.detection")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    truth, things = random_panoptic(seed), frozenset({2, 3})
    predicted = nearby(truth, seed)
    theirs = detection.PanopticQuality(things={2, 3}, stuffs={0, 1}, return_sq_and_rq=True)
    pq, sq, rq = theirs(torch.tensor(predicted)[None], torch.tensor(truth)[None])
    ids = [segment_ids(picture[..., 0], picture[..., 1], things) for picture in (predicted, truth)]
    ours = panoptic_counts(ids[0], ids[1], 4).score()
    assert (ours.pq, ours.sq, ours.rq) == pytest.approx((float(pq), float(sq), float(rq)), abs=1e-6)
    counts = confusion(predicted[..., 0], truth[..., 0], 4)
    jaccard = functional.multiclass_jaccard_index(
        torch.tensor(predicted[..., 0]), torch.tensor(truth[..., 0]), num_classes=4, average="macro"
    )
    assert mean_iou(counts) == pytest.approx(float(jaccard), abs=1e-6)


def test_void_is_held_against_nobody():
    truth = segment_ids(np.array([[0] * 6 + [1] * 4]), np.zeros((1, 10), int), frozenset())
    predicted = segment_ids(np.array([[2] * 5 + [1] * 5]), np.zeros((1, 10), int), frozenset())
    score = panoptic_counts(predicted, truth, 3, void=0).score()
    assert (score.pq, score.sq, score.rq) == (1.0, 1.0, 1.0)
