"""Figures for depth and segmentation: pure functions, one picture at a time, with counts that add up over pictures.

H, W: height and width of a picture in pixels. V: valid pixels. C: classes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64

from cooper.errors import CooperError


@dataclass(frozen=True)
class Alignment:
    """truth ~ scale * predicted + shift; `shift` in metres, `scale` in metres per unit of the prediction."""

    scale: float
    shift: float


def align(predicted: Float[np.ndarray, "H W"], truth: Float[np.ndarray, "H W"], valid: Bool[np.ndarray, "H W"]) -> Alignment:
    """Least-squares scale and shift over the valid pixels (the affine-invariant protocol).

    >>> align(np.array([[0.0, 1.0]]), np.array([[2.0, 5.0]]), np.array([[True, True]]))
    Alignment(scale=3.0, shift=2.0)

    A flat prediction has no scale: it is aligned by scale 0 and the mean of the truth. CooperError: no valid pixel.
    """
    guess, target = _valid(predicted, truth, valid)
    spread = guess - guess.mean()
    power = float(spread @ spread)
    if power <= 1e-12 * len(guess):
        return Alignment(0.0, float(target.mean()))
    scale = float(spread @ (target - target.mean())) / power
    return Alignment(scale, float(target.mean() - scale * guess.mean()))


@dataclass(frozen=True)
class DepthErrors:
    """Errors of one depth map over its valid pixels.

    `abs_rel`: mean |p - t| / t. `delta1..3`: share of pixels with max(p / t, t / p) < 1.25, 1.25^2, 1.25^3. `rmse`:
    metres. `log10`: mean |log10 p - log10 t|. `silog`: 100 times the standard deviation of ln p - ln t.
    """

    abs_rel: float
    delta1: float
    delta2: float
    delta3: float
    rmse: float
    log10: float
    silog: float
    pixels: int


def depth_errors(
    predicted: Float[np.ndarray, "H W"], truth: Float[np.ndarray, "H W"], valid: Bool[np.ndarray, "H W"]
) -> DepthErrors:
    """Errors of metres against metres; both must be positive where valid.

    Worked example: predicted 1 and 3 m where 2 and 3 m are true: AbsRel (0.5 + 0) / 2 = 0.25, delta1 = 0.5 (2 / 1
    is above 1.25), RMSE sqrt((1 + 0) / 2) = 0.707 m.
    """
    guess, target = _valid(predicted, truth, valid)
    if guess.min() <= 0 or target.min() <= 0:
        raise CooperError("depth errors need positive metres at every valid pixel: clip the prediction first")
    ratio = np.maximum(guess / target, target / guess)
    logs = np.log(guess) - np.log(target)
    within = [float((ratio < 1.25**power).mean()) for power in (1, 2, 3)]
    return DepthErrors(
        abs_rel=float((np.abs(guess - target) / target).mean()),
        delta1=within[0],
        delta2=within[1],
        delta3=within[2],
        rmse=float(np.sqrt(((guess - target) ** 2).mean())),
        log10=float(np.abs(logs).mean() / np.log(10)),
        silog=float(100 * logs.std()),
        pixels=len(guess),
    )


def _valid(predicted: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> Float64[np.ndarray, "2 V"]:
    if predicted.shape != truth.shape or truth.shape != valid.shape:
        raise CooperError(f"prediction {predicted.shape}, truth {truth.shape} and mask {valid.shape} differ in size")
    if not valid.any():
        raise CooperError("no valid pixel to compare")
    return np.stack([predicted[valid], truth[valid]]).astype(np.float64)


def confusion(
    predicted: Int[np.ndarray, "H W"], truth: Int[np.ndarray, "H W"], classes: int, void: int | None = None
) -> Int64[np.ndarray, "C C"]:
    """Pixels of true class (row) read as another (column), without pixels whose truth is `void`. Adds over pictures."""
    _same_size(predicted, truth)
    for name, labels in (("prediction", predicted), ("truth", truth)):
        if labels.size and (labels.min() < 0 or labels.max() >= classes):
            raise CooperError(f"{name} holds class {int(labels.max())}, outside 0..{classes - 1}")
    counted = truth != void if void is not None else np.ones(truth.shape, dtype=bool)
    pairs = truth[counted].astype(np.int64) * classes + predicted[counted]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def class_iou(counts: Int64[np.ndarray, "C C"], void: int | None = None) -> Float64[np.ndarray, " C"]:
    """Intersection over union of each class; NaN for a class in neither truth nor prediction, and for `void`."""
    hit = np.diag(counts).astype(np.float64)
    union = counts.sum(axis=0) + counts.sum(axis=1) - hit
    seen = (union > 0) & (np.arange(len(hit)) != (-1 if void is None else void))
    return np.divide(hit, union, out=np.full(len(hit), np.nan), where=seen)


def mean_iou(counts: Int64[np.ndarray, "C C"], void: int | None = None) -> float:
    """Mean over the classes that occur in truth or prediction, `void` left out; of one picture, or of counts added over many.

    >>> mean_iou(np.array([[3, 1], [0, 4]]))  # 3 / 4 and 4 / 5
    0.775
    """
    scores = class_iou(counts, void)
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")


def region_iou(predicted: Int[np.ndarray, "H W"], truth: Int[np.ndarray, "H W"], void: int | None = None) -> float:
    """Class-agnostic: for every true region the best IoU with any predicted region, averaged over true regions.

    The region `void` is none, and its pixels count in no union. Worked example: one true region of 4 pixels that the
    prediction cuts into 3 and 1: best IoU 3 / 4.
    """
    table = _overlaps(predicted, truth)
    counted = table.true_ids != void if void is not None else np.ones(len(table.true_ids), dtype=bool)
    iou = _ious(table, ~counted)[counted]
    return float(iou.max(axis=1).mean()) if len(iou) else float("nan")


def most_shared(
    predicted: Int[np.ndarray, "H W"], truth: Int[np.ndarray, "H W"], void: int | None = None
) -> Int[np.ndarray, "H W"]:
    """Every predicted region as the true one with which it shares the most pixels; as `void` if it shares with no other.

    >>> most_shared(np.array([[1, 1, 1, 2]]), np.array([[5, 5, 9, 9]]))
    array([[5, 5, 5, 9]])
    """
    table = _overlaps(predicted, truth)
    shared = np.where((table.true_ids == void)[:, None], 0.5, table.shared) if void is not None else table.shared
    return table.true_ids[shared.argmax(axis=0)][np.searchsorted(table.predicted_ids, predicted)]


@dataclass(frozen=True, eq=False)
class _Overlaps:
    true_ids: np.ndarray
    predicted_ids: np.ndarray
    true_area: np.ndarray
    predicted_area: np.ndarray
    shared: np.ndarray  # [true, predicted] pixels


def _overlaps(predicted: np.ndarray, truth: np.ndarray) -> _Overlaps:
    _same_size(predicted, truth)
    true_ids, rows = np.unique(truth.ravel(), return_inverse=True)
    predicted_ids, columns = np.unique(predicted.ravel(), return_inverse=True)
    shape = (len(true_ids), len(predicted_ids))
    shared = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)
    return _Overlaps(true_ids, predicted_ids, shared.sum(axis=1), shared.sum(axis=0), shared)


def _ious(table: _Overlaps, void_rows: np.ndarray) -> np.ndarray:
    """[true, predicted] IoU, pixels of the true regions `void_rows` left out."""
    on_void = table.shared[void_rows].sum(axis=0)
    union = table.true_area[:, None] + table.predicted_area[None] - table.shared - on_void[None]
    return table.shared / np.maximum(union, 1)


def _same_size(predicted: np.ndarray, truth: np.ndarray) -> None:
    if predicted.shape != truth.shape:
        raise CooperError(f"prediction {predicted.shape} and truth {truth.shape} differ in size")


def segment_ids(
    labels: Int[np.ndarray, "H W"], instances: Int[np.ndarray, "H W"], things: frozenset[int] | None = None
) -> Int64[np.ndarray, "H W"]:
    """One id per segment: class * 65536 + instance for countable classes (all without `things`), + 0 for the others."""
    counted = True if things is None else np.isin(labels, sorted(things))
    return labels.astype(np.int64) * 65536 + np.where(counted, instances, 0)


@dataclass(frozen=True)
class PanopticScore:
    """Panoptic, segmentation and recognition quality, each a mean over the classes that occur; pq = sq * rq per class."""

    pq: float
    sq: float
    rq: float


@dataclass(frozen=True, eq=False)
class PanopticCounts:
    """Per class: summed IoU of the matches, matches, segments only predicted, segments only true. Adds over pictures."""

    iou: Float64[np.ndarray, " C"]
    matched: Int64[np.ndarray, " C"]
    invented: Int64[np.ndarray, " C"]
    missed: Int64[np.ndarray, " C"]

    def __add__(self, other: "PanopticCounts") -> "PanopticCounts":
        return PanopticCounts(
            self.iou + other.iou,
            self.matched + other.matched,
            self.invented + other.invented,
            self.missed + other.missed,
        )

    def score(self) -> PanopticScore:
        """Worked example: one class, two true segments, one matched with IoU 0.8, one missed, none invented:
        SQ 0.8, RQ 1 / (1 + 1/2) = 0.667, PQ 0.533."""
        weight = self.matched + (self.invented + self.missed) / 2
        seen = weight > 0
        if not seen.any():
            return PanopticScore(float("nan"), float("nan"), float("nan"))
        sq = self.iou[seen] / np.maximum(self.matched[seen], 1)
        rq = self.matched[seen] / weight[seen]
        return PanopticScore(float((sq * rq).mean()), float(sq.mean()), float(rq.mean()))


def panoptic_counts(
    predicted: Int64[np.ndarray, "H W"], truth: Int64[np.ndarray, "H W"], classes: int, void: int | None = None
) -> PanopticCounts:
    """Match the segments (`segment_ids`) of one picture: same class and IoU above 0.5 (Kirillov et al., 2019).

    Pixels whose true class is `void` count in no union, and a predicted segment mostly on them is not held against it.
    """
    table = _overlaps(predicted, truth)
    return _matched(table, table.true_ids // 65536, table.predicted_ids // 65536, classes, void)


def region_counts(predicted: Int[np.ndarray, "H W"], truth: Int[np.ndarray, "H W"], void: int | None = None) -> PanopticCounts:
    """`panoptic_counts` without classes: any two regions may match, and all are of one class; `void` is a true region."""
    table = _overlaps(predicted, truth)
    true_class = np.where(table.true_ids == void, 1, 0) if void is not None else np.zeros(len(table.true_ids), dtype=int)
    return _matched(table, true_class, np.zeros(len(table.predicted_ids), dtype=int), 1, 1)


def _matched(
    table: _Overlaps, true_class: np.ndarray, guessed_class: np.ndarray, classes: int, void: int | None
) -> PanopticCounts:
    void_rows = true_class == (-1 if void is None else void)
    on_void = table.shared[void_rows].sum(axis=0)
    same = (true_class[:, None] == guessed_class[None]) & ~void_rows[:, None]
    iou = _ious(table, void_rows)
    match = same & (iou > 0.5)
    ignored = (on_void * 2 > table.predicted_area) | (guessed_class == (-1 if void is None else void))
    invented = ~match.any(axis=0) & ~ignored
    missed = ~match.any(axis=1) & ~void_rows
    rows = true_class[np.nonzero(match)[0]]
    return PanopticCounts(
        np.bincount(rows, iou[match], minlength=classes),
        np.bincount(rows, minlength=classes),
        np.bincount(guessed_class[invented], minlength=classes),
        np.bincount(true_class[missed], minlength=classes),
    )
