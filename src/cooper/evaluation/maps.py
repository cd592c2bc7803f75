"""Has a model draw depth and segmentation of pictures with known truth, one row for each, resumable."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, TypeVar

from cooper.errors import CooperError
from cooper.evaluation.perception import Conventions, DepthRow, DepthTruth, SegmentationRow, Truth, depth_row, segmentation_row
from cooper.evaluation.progress import progress
from cooper.evaluation.rows import append_rows, batches, read_rows
from cooper.evaluation.runner import Plan, Reasoner
from cooper.perception.metrics import DepthErrors
from cooper.perception.modality import Reading


def draw_depth(model: Reasoner, truths: Sequence[DepthTruth], conventions: Conventions, plan: Plan) -> list[DepthRow]:
    """Draw and score a depth map of every picture that `plan.out/depth.jsonl` does not hold yet."""
    path = plan.out / "depth.jsonl"
    for drawn in _drawn(model, "depth", truths, path, plan):
        pairs = zip(drawn.readings, drawn.truths, strict=True)
        append_rows(path, [asdict(depth_row(reading, truth, conventions)) for reading, truth in pairs])
    found = {row["id"]: row for row in read_rows(path)}
    return [_depth_of(found[truth.id]) for truth in truths]


def _depth_of(row: Mapping) -> DepthRow:
    metres = None if row["metres"] is None else DepthErrors(**row["metres"])
    return DepthRow(row["id"], DepthErrors(**row["aligned"]), metres)


def draw_segmentation(model: Reasoner, truths: Sequence[Truth], conventions: Conventions, plan: Plan) -> list[SegmentationRow]:
    """Draw and score a segmentation map of every picture that `plan.out/segmentation.jsonl` does not hold yet."""
    path = plan.out / "segmentation.jsonl"
    for drawn in _drawn(model, "segmentation", truths, path, plan):
        pairs = zip(drawn.readings, drawn.truths, strict=True)
        append_rows(path, [asdict(segmentation_row(reading, truth, conventions)) for reading, truth in pairs])
    found = {row["id"]: row for row in read_rows(path)}
    return [_segmentation_of(found[truth.id]) for truth in truths]


def _segmentation_of(row: Mapping) -> SegmentationRow:
    pairs = tuple((t, p, n) for t, p, n in row["confusion"])
    counts = tuple((c, iou, m, i, o) for c, iou, m, i, o in row["panoptic"])
    return SegmentationRow(row["id"], row["iou"], row["region_iou"], pairs, counts)


_T = TypeVar("_T", bound=DepthTruth)


@dataclass(frozen=True, eq=False)
class _Drawn(Generic[_T]):
    truths: Sequence[_T]
    readings: Sequence[Reading]


def _drawn(model: Reasoner, modality: str, truths: Sequence[_T], path: Path, plan: Plan) -> Iterator[_Drawn[_T]]:
    if modality not in model.modalities:
        raise CooperError(f"the model draws no {modality!r} map; it draws: {', '.join(model.modalities) or 'none'}")
    done = {row["id"] for row in read_rows(path)}
    waiting = [truth for truth in truths if truth.id not in done]
    with progress(len(truths), f"{modality} maps", plan.quiet) as advance:
        advance(len(truths) - len(waiting))
        for chunk in batches(waiting, plan.batch):
            steps = model.draw([truth.image for truth in chunk], modality, seed=plan.seed)
            yield _Drawn(chunk, [model.modalities[modality].decode(step.drawn) for step in steps])
            advance(len(chunk))
