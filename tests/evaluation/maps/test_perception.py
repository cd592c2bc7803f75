"""Depth and segmentation figures over several pictures."""

import numpy as np
import pytest

from cooper.data.examples import example_of
from cooper.errors import CooperError
from cooper.evaluation.maps.scores import (
    depth_figures,
    depth_row,
    resized_depth,
    resized_labels,
    segmentation_figures,
    segmentation_row,
)
from cooper.perception import Reading
from cooper.perception.metrics import confusion, mean_iou, panoptic_counts, segment_ids

REGION_FIGURES = ("region_iou", "region_pq", "region_sq", "region_rq")


def labelled(labels, instances, names) -> Reading:
    units = {"labels": "class id", "instances": "instance id"}
    return Reading({"labels": labels, "instances": instances}, units, dict(enumerate(names)))


def test_relative_depth_has_no_metric_figures(truths, conventions):
    relative = (truths[0].depth_m - 0.5) / 4.5
    row = depth_row(Reading({"depth": relative}, {"depth": "relative"}), truths[0], conventions)
    assert row.metres is None and row.aligned.abs_rel < 1e-5
    assert "abs_rel_metres" not in depth_figures([row])


def test_metric_depth_is_judged_as_drawn(truths, conventions):
    rows = [depth_row(Reading({"depth": truth.depth_m * 1.1}, {"depth": "m"}), truth, conventions) for truth in truths]
    figures = depth_figures(rows)
    assert figures["abs_rel_metres"].mean == pytest.approx(0.1, abs=1e-4)
    assert figures["abs_rel"].mean < 1e-4
    assert figures["delta1_metres"].mean == 1.0 and figures["abs_rel"].rows == 7


def test_pixels_out_of_range_do_not_count(truths, conventions):
    holed = truths[0].depth_m.copy()
    holed[:10] = np.inf
    holed[10] = 0
    truth = example_of(truths[0].id, truths[0].image, depth=holed)
    row = depth_row(Reading({"depth": truths[0].depth_m}, {"depth": "m"}), truth, conventions)
    assert row.aligned.pixels == 37 * 48 and row.aligned.abs_rel < 1e-6


def test_other_sizes_are_brought_to_the_truth(truths, conventions):
    small = truths[0].depth_m[::2, ::2]
    row = depth_row(Reading({"depth": small}, {"depth": "m"}), truths[0], conventions)
    assert row.aligned.pixels == 48 * 48 and row.aligned.abs_rel < 0.05
    assert resized_depth(truths[0].depth_m, (48, 48)) is truths[0].depth_m
    assert resized_labels(np.array([[1, 2], [3, 4]]), (4, 4)).tolist() == [
        [1, 1, 2, 2],
        [1, 1, 2, 2],
        [3, 3, 4, 4],
        [3, 3, 4, 4],
    ]


def test_data_set_figures_equal_the_added_counts(truths, conventions):
    rng = np.random.default_rng(0)
    rows, counts, panoptic = [], [], []
    for truth in truths:
        wrong = rng.random(truth.labels.shape) < 0.1
        labels = np.where(wrong, 1, truth.labels)
        rows.append(segmentation_row(labelled(labels, truth.instances, conventions.names), truth, conventions))
        counts.append(confusion(labels, truth.labels, 5, void=0))
        ids = [segment_ids(each, truth.instances, conventions.things) for each in (labels, truth.labels)]
        panoptic.append(panoptic_counts(ids[0], ids[1], 5, void=0))
    figures = segmentation_figures(rows, conventions)
    assert figures["miou"].mean == pytest.approx(mean_iou(np.sum(counts, axis=0), void=0))
    score = sum(panoptic[1:], panoptic[0]).score()
    assert [figures[name].mean for name in ("pq", "sq", "rq")] == pytest.approx([score.pq, score.sq, score.rq])
    assert figures["miou"].low <= figures["miou"].mean <= figures["miou"].high
    assert figures["miou_per_image"].mean == pytest.approx(np.mean([row.iou for row in rows]))


def test_regions_without_classes_get_figures_of_regions_only(truths, conventions):
    regions = segment_ids(truths[0].labels, truths[0].instances, conventions.things)
    row = segmentation_row(Reading({"labels": regions}, {"labels": "region id"}), truths[0], conventions)
    assert row.iou is None and row.region_iou == 1.0
    figures = segmentation_figures([row], conventions)
    assert {name: figure.mean for name, figure in figures.items()} == dict.fromkeys(REGION_FIGURES, 1.0)


def test_other_classes_are_named(truths, conventions):
    reading = labelled(truths[0].labels, truths[0].instances, ("a", "b", "c", "d", "e"))
    with pytest.raises(CooperError, match="draws the classes a, b"):
        segmentation_row(reading, truths[0], conventions)
    assert depth_figures([]) == {} and segmentation_figures([], conventions) == {}
