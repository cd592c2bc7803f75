"""Depth and segmentation figures of drawn maps against exact truth, one row per picture and their averages.

H, W: height and width of the truth in pixels. R: pictures. B: bootstrap resamples. C: classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int
from PIL import Image

from cooper.data.sources.measured import Box
from cooper.errors import CooperError
from cooper.evaluation.statistics import Estimate, bootstrap_mean
from cooper.perception.metrics import (
    DepthErrors,
    align,
    confusion,
    depth_errors,
    mean_iou,
    panoptic_counts,
    region_iou,
    segment_ids,
)
from cooper.perception.modality import Reading

RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Truth:
    """What one picture really shows: plane depth in metres, class and instance ids, all [H, W]."""

    id: str
    image: Image.Image
    depth_m: Float32[np.ndarray, "H W"]
    labels: Int[np.ndarray, "H W"]
    instances: Int[np.ndarray, "H W"]


@dataclass(frozen=True)
class Conventions:
    """How maps of a data set are judged: its depth range in metres, its classes, which are counted, which is void, and the
    part of each picture whose depth counts (all of it by default)."""

    near: float
    far: float
    names: tuple[str, ...]
    things: frozenset[int]
    void: int | None = None
    box: Box | None = None


class DepthTruth(Protocol):
    """A picture whose depth is known: plane depth in metres [H, W], 0 where it is not."""

    @property
    def id(self) -> str: ...

    @property
    def image(self) -> Image.Image: ...

    @property
    def depth_m(self) -> Float32[np.ndarray, "H W"]: ...


@dataclass(frozen=True)
class DepthRow:
    """One depth map: errors after affine alignment, and as drawn if it came in metres."""

    id: str
    aligned: DepthErrors
    metres: DepthErrors | None


def depth_row(reading: Reading, truth: DepthTruth, conventions: Conventions) -> DepthRow:
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


@dataclass(frozen=True, eq=False)
class SegmentationRow:
    """One segmentation map: counts that add up, and the picture's own mean IoU and class-agnostic region IoU.

    `confusion`: (true class, class read, pixels), only where pixels > 0. `panoptic`: one (class, summed IoU,
    matched, invented, missed) per class that occurs. Both empty for a map that has regions but no classes.
    """

    id: str
    iou: float | None
    region_iou: float
    confusion: tuple[tuple[int, int, int], ...]
    panoptic: tuple[tuple[int, float, int, int, int], ...]


def segmentation_row(reading: Reading, truth: Truth, conventions: Conventions) -> SegmentationRow:
    """Compare classes and instances at the truth's resolution. CooperError: the map speaks of other classes."""
    labels = resized_labels(reading.arrays["labels"], truth.labels.shape)
    segments = segment_ids(truth.labels, truth.instances, conventions.things)
    if reading.units["labels"] != "class id":
        return SegmentationRow(truth.id, None, region_iou(labels, segments), (), ())
    names = tuple(reading.names[label] for label in sorted(reading.names))
    if names != conventions.names:
        raise CooperError(f"the model draws the classes {', '.join(names)}; the data has {', '.join(conventions.names)}")
    instances = resized_labels(reading.arrays["instances"], truth.labels.shape)
    drawn = segment_ids(labels, instances, conventions.things)
    counts = confusion(labels, truth.labels, len(names), conventions.void)
    panoptic = panoptic_counts(drawn, segments, len(names), conventions.void)
    rows = np.stack([panoptic.iou, panoptic.matched, panoptic.invented, panoptic.missed], axis=1)
    seen = np.flatnonzero(rows.any(axis=1))
    return SegmentationRow(
        truth.id,
        mean_iou(counts),
        region_iou(drawn, segments),
        tuple((int(t), int(p), int(counts[t, p])) for t, p in np.argwhere(counts)),
        tuple((int(c), float(rows[c, 0]), int(rows[c, 1]), int(rows[c, 2]), int(rows[c, 3])) for c in seen),
    )


def depth_figures(rows: Sequence[DepthRow], seed: int = 0) -> Mapping[str, Estimate]:
    """Averages over pictures: every aligned error by its name, and `abs_rel_metres`, `delta1_metres`, `rmse_metres`."""
    if not rows:
        return {}
    names = [name for name in asdict(rows[0].aligned) if name != "pixels"]
    values = {name: [float(asdict(row.aligned)[name]) for row in rows] for name in names}
    metres = [row.metres for row in rows if row.metres is not None]
    if metres:
        for name in ("abs_rel", "delta1", "rmse"):
            values[f"{name}_metres"] = [float(asdict(errors)[name]) for errors in metres]
    return {name: bootstrap_mean(column, seed) for name, column in values.items()}


def segmentation_figures(rows: Sequence[SegmentationRow], classes: int, seed: int = 0) -> Mapping[str, Estimate]:
    """`miou`, `pq`, `sq` and `rq` from counts added over pictures; `miou_per_image`, `region_iou` averaged over them."""
    if not rows:
        return {}
    figures = {"region_iou": bootstrap_mean([row.region_iou for row in rows], seed)}
    classed = [row for row in rows if row.iou is not None]
    if not classed:
        return figures
    figures["miou_per_image"] = bootstrap_mean([row.iou for row in classed if row.iou is not None], seed)
    weights_BR = _weights(len(classed), seed)
    figures["miou"] = _estimate(_miou_of(classed, classes, weights_BR), len(classed))
    pq, sq, rq = _panoptic_of(classed, classes, weights_BR)
    named = {"pq": pq, "sq": sq, "rq": rq}
    return figures | {name: _estimate(column_B, len(classed)) for name, column_B in named.items()}


def _weights(rows: int, seed: int) -> Float64[np.ndarray, "B R"]:
    """How often each picture counts: once in the first line, then as redrawn with replacement."""
    drawn = np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), size=RESAMPLES)
    return np.concatenate([np.ones((1, rows)), drawn])


def _estimate(values_B: np.ndarray, rows: int) -> Estimate:
    low, high = np.quantile(values_B[1:], [0.025, 0.975])
    return Estimate(float(values_B[0]), float(low), float(high), rows)


def _miou_of(rows: Sequence[SegmentationRow], classes: int, weights_BR: np.ndarray) -> Float64[np.ndarray, " B"]:
    counts = np.zeros((len(rows), classes, classes))
    for place, row in enumerate(rows):
        for true, read, pixels in row.confusion:
            counts[place, true, read] = pixels
    hit = weights_BR @ np.diagonal(counts, axis1=1, axis2=2)
    union = weights_BR @ (counts.sum(axis=1) + counts.sum(axis=2)) - hit
    return _mean_where(hit, union)


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
