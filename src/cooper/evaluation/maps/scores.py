"""Depth and segmentation figures of drawn maps against exact truth, one row per picture and their averages.

H, W: height and width of the truth in pixels. R: pictures. B: bootstrap resamples. C: classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int
from PIL import Image

from cooper.data.examples import Conventions, Example
from cooper.errors import CooperError
from cooper.evaluation.figures.statistics import Estimate, bounded_mean, plain_mean, resampled
from cooper.perception.metrics import (
    DepthErrors,
    PanopticCounts,
    align,
    confusion,
    depth_errors,
    mean_iou,
    panoptic_counts,
    region_counts,
    region_iou,
    segment_ids,
)
from cooper.perception.modality import Reading
from cooper.perception.palette import LabelMaps

RESAMPLES = 1000
VOID = -1  # the true region that counts nowhere


@dataclass(frozen=True)
class DepthRow:
    """One depth map: errors after affine alignment, and as drawn if it came in metres."""

    id: str
    aligned: DepthErrors
    metres: DepthErrors | None


def depth_row(reading: Reading, truth: Example, conventions: Conventions) -> DepthRow:
    """Errors at the truth's resolution over pixels that count; the prediction is clipped to the range."""
    depth_m = truth.depth_m
    drawn = resized_depth(reading.arrays["depth"], depth_m.shape)
    near, far = max(conventions.near, 1e-3), conventions.far
    valid = counted(depth_m, conventions)
    if not valid.any():
        raise CooperError(f"{truth.id} has no pixel with a depth from {near:g} to {far:g} m that counts")
    fit = align(drawn, depth_m, valid)
    aligned = depth_errors(np.clip(fit.scale * drawn + fit.shift, near, far), depth_m, valid)
    metres = None
    if reading.units["depth"] == "m":
        metres = depth_errors(np.clip(drawn, near, far), depth_m, valid)
    return DepthRow(truth.id, aligned, metres)


def counted(depth_m: Float32[np.ndarray, "H W"], conventions: Conventions) -> Bool[np.ndarray, "H W"]:
    """Pixels whose depth is known, within the range and within the box."""
    valid = np.isfinite(depth_m) & (depth_m >= max(conventions.near, 1e-3)) & (depth_m <= conventions.far)
    return valid if conventions.box is None else valid & conventions.box.mask(depth_m.shape)


def resized_depth(depth: Float32[np.ndarray, "h w"], shape: tuple[int, ...]) -> Float32[np.ndarray, "H W"]:
    """Depth at another size, bilinear."""
    if depth.shape == shape:
        return depth
    picture = Image.fromarray(np.asarray(depth, dtype=np.float32))
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def resized_labels(labels: Int[np.ndarray, "h w"], shape: tuple[int, ...]) -> Int[np.ndarray, "H W"]:
    """Labels at another size: each pixel takes the label at its centre."""
    rows = (np.arange(shape[0]) + 0.5) * labels.shape[0] / shape[0]
    columns = (np.arange(shape[1]) + 0.5) * labels.shape[1] / shape[1]
    return labels[rows.astype(int)[:, None], columns.astype(int)[None]]


@dataclass(frozen=True)
class SegmentationRow:
    """One segmentation map: counts that add up, and the picture's own mean IoU and class-agnostic region IoU.

    `confusion`: (true class, class read, pixels), only where pixels > 0. `panoptic`: one (class, summed IoU, matched,
    invented, missed) per class that occurs. Without classes `iou` is None, `confusion` empty, and all regions are of class 0.
    """

    id: str
    iou: float | None
    region_iou: float
    confusion: tuple[tuple[int, int, int], ...]
    panoptic: tuple[tuple[int, float, int, int, int], ...]


def segmentation_row(reading: Reading, truth: Example, conventions: Conventions) -> SegmentationRow:
    """Compare regions, and classes where the conventions name them, at the truth's resolution; void pixels count nowhere.

    CooperError: the map speaks of other classes, or all pixels are void.
    """
    true, void = LabelMaps(truth.labels, truth.instances), conventions.void
    drawn, regions = drawn_maps(reading, true.labels.shape), regions_of(true, void)
    if (regions == VOID).all():
        raise CooperError(f"{truth.id} has no pixel that counts: all of it is void")
    overlap = region_iou(regions_of(drawn), regions, VOID)
    if not conventions.names or reading.units["labels"] != "class id":
        return _row(truth.id, overlap, region_counts(regions_of(drawn), regions, VOID))
    names = class_names(reading)
    if names != conventions.names:
        raise CooperError(f"the model draws the classes {', '.join(names)}; the data has {', '.join(conventions.names)}")
    counts = confusion(drawn.labels, true.labels, len(names), void)
    segments = [segment_ids(maps.labels, maps.instances, conventions.things) for maps in (drawn, true)]
    panoptic = panoptic_counts(segments[0], segments[1], len(names), void)
    return _row(truth.id, overlap, panoptic, counts, mean_iou(counts, void))


def class_names(reading: Reading) -> tuple[str, ...]:
    """The classes that a map can tell apart, by id; () for a map of regions."""
    return tuple(reading.names[label] for label in sorted(reading.names)) if reading.units["labels"] == "class id" else ()


def drawn_maps(reading: Reading, shape: tuple[int, ...]) -> LabelMaps:
    """What a map says at another size; regions without classes become labels."""
    labels = reading.arrays["labels"]
    instances = reading.arrays.get("instances", np.zeros_like(labels))
    return LabelMaps(resized_labels(labels, shape), resized_labels(instances, shape))


def regions_of(maps: LabelMaps, void: int | None = None) -> Int[np.ndarray, "H W"]:
    """A number for each class and instance, `VOID` for the class `void`."""
    return np.where(maps.labels == void, VOID, segment_ids(maps.labels, maps.instances))


def _row(
    name: str, overlap: float, panoptic: PanopticCounts, counts: np.ndarray | None = None, iou: float | None = None
) -> SegmentationRow:
    columns = (panoptic.iou, panoptic.matched, panoptic.invented, panoptic.missed)
    seen = np.flatnonzero(np.any(columns, axis=0))
    kinds = tuple((int(c), float(columns[0][c]), int(columns[1][c]), int(columns[2][c]), int(columns[3][c])) for c in seen)
    found = [] if counts is None else [(int(t), int(p), int(counts[t, p])) for t, p in np.argwhere(counts)]
    return SegmentationRow(name, iou, overlap, tuple(found), kinds)


def depth_figures(rows: Sequence[DepthRow]) -> Mapping[str, Estimate]:
    """Averages over pictures: every aligned error by its name, and `abs_rel_metres`, `delta1_metres`, `rmse_metres`."""
    if not rows:
        return {}
    names = [name for name in asdict(rows[0].aligned) if name != "pixels"]
    values = {name: [float(asdict(row.aligned)[name]) for row in rows] for name in names}
    metres = [row.metres for row in rows if row.metres is not None]
    if metres:
        for name in ("abs_rel", "delta1", "rmse"):
            values[f"{name}_metres"] = [float(asdict(errors)[name]) for errors in metres]
    return {name: (bounded_mean if name.startswith("delta") else plain_mean)(column) for name, column in values.items()}


def segmentation_figures(rows: Sequence[SegmentationRow], conventions: Conventions, seed: int = 0) -> Mapping[str, Estimate]:
    """`region_iou` and `miou_per_image` averaged over pictures; `miou`, `pq`, `sq` and `rq` from counts added over them.

    Rows without classes have `region_pq`, `region_sq` and `region_rq` instead: all regions are of one class.
    """
    if not rows:
        return {}
    figures = {"region_iou": bounded_mean([row.region_iou for row in rows])}
    classed = [row for row in rows if row.iou is not None]
    counted, prefix, classes = (classed, "", len(conventions.names)) if classed else (rows, "region_", 1)
    weights_BR = _weights(len(counted), seed)
    if classed:
        figures["miou_per_image"] = bounded_mean([row.iou for row in classed if row.iou is not None])
        figures["miou"] = resampled(_miou_of(classed, conventions, weights_BR), len(classed))
    panoptic = zip(("pq", "sq", "rq"), _panoptic_of(counted, classes, weights_BR), strict=True)
    return figures | {f"{prefix}{name}": resampled(column_B, len(counted)) for name, column_B in panoptic}


def _weights(rows: int, seed: int) -> Float64[np.ndarray, "B R"]:
    """How often each picture counts: once in the first line, then as redrawn with replacement."""
    drawn = np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), size=RESAMPLES)
    return np.concatenate([np.ones((1, rows)), drawn])


def _miou_of(rows: Sequence[SegmentationRow], conventions: Conventions, weights_BR: np.ndarray) -> Float64[np.ndarray, " B"]:
    hit, both = np.zeros((2, len(rows), len(conventions.names)))
    for place, row in enumerate(rows):
        for true, read, pixels in row.confusion:
            hit[place, true] += pixels if true == read else 0
            both[place, [true, read]] += pixels if true != read else 0
    if conventions.void is not None:
        hit[:, conventions.void] = both[:, conventions.void] = 0
    return _mean_where(weights_BR @ hit, weights_BR @ (hit + both))


def _panoptic_of(rows: Sequence[SegmentationRow], classes: int, weights_BR: np.ndarray) -> Float64[np.ndarray, "3 B"]:
    counts = np.zeros((len(rows), classes, 4))
    for place, row in enumerate(rows):
        for label, *numbers in row.panoptic:
            counts[place, label] = numbers
    iou, matched, invented, missed = (weights_BR @ counts[:, :, column] for column in range(4))
    weight = matched + (invented + missed) / 2
    sq = np.divide(iou, matched, out=np.zeros_like(iou), where=matched > 0)
    return np.stack([_mean_where(iou, weight), _mean_where(sq * weight, weight), _mean_where(matched, weight)])


def _mean_where(top: np.ndarray, bottom: np.ndarray) -> Float64[np.ndarray, " B"]:
    """Mean over classes of top / bottom, classes with bottom 0 left out."""
    seen = bottom > 0
    ratio = np.divide(top, bottom, out=np.zeros_like(top), where=seen)
    return ratio.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
