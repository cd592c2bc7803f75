"""Figures of several pictures against torchmetrics. What is drawn as void is left out: there it is taken off the truth, too."""

import numpy as np
import pytest
from PIL import Image

from cooper.data.examples import Conventions, Example, example_of
from cooper.evaluation.maps.scores import SegmentationRow, segmentation_figures, segmentation_row
from cooper.perception import Reading
from cooper.perception.metrics import confusion, depth_errors, mean_iou

torch = pytest.importorskip("torch")
torchmetrics = pytest.importorskip("torchmetrics")

NAMES = ("void", "floor", "wall", "cube", "ball")
THINGS = frozenset({3, 4})
DATA = Conventions(names=NAMES, things=THINGS, void=0)


def truth_of(seed: int) -> Example:
    """Blocks of classes, void among them, with objects where things are."""
    rng = np.random.default_rng(seed)
    labels, instances = rng.integers(0, 5, (6, 6)), rng.integers(1, 4, (6, 6))
    labels, instances = (each.repeat(4, axis=0).repeat(4, axis=1) for each in (labels, instances))
    instances = np.where(np.isin(labels, list(THINGS)), instances, 0)
    return example_of(
        f"{seed}", Image.new("RGB", (24, 24)), depth=np.ones((24, 24), np.float32), labels=labels, instances=instances
    )


def drawn_of(truth: Example, seed: int) -> Reading:
    """The truth moved a little and with wrong pixels; floor where it was void."""
    rng = np.random.default_rng(seed)
    shift, axis = int(rng.integers(0, 3)), int(rng.integers(0, 2))
    wrong = rng.random(truth.labels.shape) < 0.05
    labels = np.where(wrong, 3, np.roll(truth.labels, shift, axis))
    instances = np.where(wrong, 1, np.roll(truth.instances, shift, axis))
    units = {"labels": "class id", "instances": "instance id"}
    return Reading({"labels": np.maximum(labels, 1), "instances": instances}, units, dict(enumerate(NAMES)))


def rows_of(seed: int, conventions: Conventions) -> tuple[list[Example], list[Reading], list[SegmentationRow]]:
    truths = [truth_of(10 * seed + number) for number in range(5)]
    readings = [drawn_of(truth, seed) for truth in truths]
    return truths, readings, [segmentation_row(*pair, conventions) for pair in zip(readings, truths, strict=True)]


def pairs_of(labels: np.ndarray, instances: np.ndarray):
    return torch.tensor(np.stack([labels, instances], axis=2))[None]


@pytest.mark.parametrize("seed", range(6))
def test_mean_iou_of_a_data_set_equals_the_jaccard_index(seed):
    theirs = torchmetrics.JaccardIndex("multiclass", num_classes=5, ignore_index=0, average="macro")
    truths, readings, rows = rows_of(seed, DATA)
    for truth, reading in zip(truths, readings, strict=True):
        theirs.update(torch.tensor(reading.arrays["labels"]), torch.tensor(truth.labels))
    assert segmentation_figures(rows, DATA)["miou"].mean == pytest.approx(float(theirs.compute()), abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_mean_iou_of_a_picture_equals_theirs(seed):
    segmentation = pytest.importorskip("torchmetrics.segmentation")
    truth = truth_of(seed)
    labels = drawn_of(truth, seed).arrays["labels"]
    theirs = segmentation.MeanIoU(num_classes=5, input_format="index")
    score = theirs(torch.tensor(labels)[None], torch.tensor(truth.labels)[None])
    assert mean_iou(confusion(labels, truth.labels, 5)) == pytest.approx(float(score), abs=1e-6)


def test_void_that_is_drawn_is_no_class_of_the_mean():
    labels, truth = np.array([[1, 1, 0, 2]]), np.array([[1, 1, 1, 2]])
    score = torchmetrics.JaccardIndex("multiclass", num_classes=3, ignore_index=0)(torch.tensor(labels), torch.tensor(truth))
    counts = confusion(labels, truth, 3, void=0)
    assert mean_iou(counts, void=0) == pytest.approx(float(score)) == pytest.approx((2 / 3 + 1) / 2)


@pytest.mark.parametrize("seed", range(6))
def test_panoptic_quality_equals_theirs(seed):
    detection = pytest.importorskip("torchmetrics.detection")
    theirs = detection.PanopticQuality(things=set(THINGS), stuffs={1, 2}, return_sq_and_rq=True)
    truths, readings, rows = rows_of(seed, DATA)
    for truth, reading in zip(truths, readings, strict=True):
        drawn = pairs_of(reading.arrays["labels"], reading.arrays["instances"])
        theirs.update(drawn, pairs_of(truth.labels, truth.instances))
    figures = segmentation_figures(rows, DATA)
    ours = [figures[name].mean for name in ("pq", "sq", "rq")]
    assert ours == pytest.approx([float(score) for score in theirs.compute()], abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_quality_of_regions_equals_theirs_with_one_class(seed):
    detection = pytest.importorskip("torchmetrics.detection")
    theirs = detection.PanopticQuality(things={0}, stuffs={7}, return_sq_and_rq=True)
    regions = Conventions(void=0)
    truths, readings, rows = rows_of(seed, regions)
    for truth, reading in zip(truths, readings, strict=True):
        void = truth.labels == 0
        true = pairs_of(np.where(void, 99, 0), np.where(void, 0, truth.labels * 10 + truth.instances))
        theirs.update(pairs_of(np.zeros_like(void), reading.arrays["labels"] * 10 + reading.arrays["instances"]), true)
    figures = segmentation_figures(rows, regions)
    ours = [figures[f"region_{name}"].mean for name in ("pq", "sq", "rq")]
    assert ours == pytest.approx([float(score) for score in theirs.compute()], abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_depth_errors_equal_theirs(seed):
    regression = pytest.importorskip("torchmetrics.regression")
    rng = np.random.default_rng(seed)
    drawn, true = rng.uniform(0.5, 8, (2, 20, 30))
    ours = depth_errors(drawn, true, np.ones((20, 30), dtype=bool))
    pair = torch.tensor(drawn).flatten(), torch.tensor(true).flatten()
    assert ours.abs_rel == pytest.approx(float(regression.MeanAbsolutePercentageError()(*pair)), rel=1e-5)
    assert ours.rmse == pytest.approx(float(regression.MeanSquaredError(squared=False)(*pair)), rel=1e-5)
    logs = [each.log10() for each in pair]
    assert ours.log10 == pytest.approx(float(regression.MeanAbsoluteError()(*logs)), rel=1e-5)
