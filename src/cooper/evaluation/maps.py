"""Has a model draw depth and segmentation of pictures with known truth, one row for each, resumable."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, TypeVar

from cooper.data.sources.truths import DepthTruth, Pictured, SegmentationTruth
from cooper.errors import CooperError
from cooper.evaluation.perception import Conventions, DepthRow, SegmentationRow, depth_row, segmentation_row
from cooper.evaluation.progress import progress
from cooper.evaluation.rows import gather_rows, read_parts
from cooper.evaluation.runner import Plan, Reasoner
from cooper.files.rows import Row, append_rows, batches
from cooper.perception.metrics import DepthErrors
from cooper.perception.modality import Modality, Reading


def modality_of(model: Reasoner, name: str) -> Modality:
    """One kind of map of a model. CooperError: it draws none of that kind."""
    if name not in model.modalities:
        raise CooperError(f"the model draws no {name!r} map; it draws: {', '.join(model.modalities) or 'none'}")
    return model.modalities[name]


def draw_depth(model: Reasoner, truths: Sequence[DepthTruth], conventions: Conventions, plan: Plan) -> list[DepthRow]:
    """Draw and score a depth map of every picture that `plan.out/depth.jsonl` does not hold yet."""
    path = plan.out / "depth.jsonl"
    for drawn in _drawn(model, "depth", truths, path, plan):
        pairs = zip(drawn.readings, drawn.truths, strict=True)
        append_rows(plan.share.file(path), [asdict(depth_row(reading, truth, conventions)) for reading, truth in pairs])
    return [_depth_of(row) for row in _gathered(path, truths, plan)]


def _depth_of(row: Mapping) -> DepthRow:
    metres = None if row["metres"] is None else DepthErrors(**row["metres"])
    return DepthRow(row["id"], DepthErrors(**row["aligned"]), metres)


def draw_segmentation(
    model: Reasoner, truths: Sequence[SegmentationTruth], conventions: Conventions, plan: Plan
) -> list[SegmentationRow]:
    """Draw and score a segmentation map of every picture that `plan.out/segmentation.jsonl` does not hold yet."""
    path = plan.out / "segmentation.jsonl"
    for drawn in _drawn(model, "segmentation", truths, path, plan):
        pairs = zip(drawn.readings, drawn.truths, strict=True)
        append_rows(plan.share.file(path), [asdict(segmentation_row(reading, truth, conventions)) for reading, truth in pairs])
    return [_segmentation_of(row) for row in _gathered(path, truths, plan)]


def _segmentation_of(row: Mapping) -> SegmentationRow:
    pairs = tuple((t, p, n) for t, p, n in row["confusion"])
    counts = tuple((c, iou, m, i, o) for c, iou, m, i, o in row["panoptic"])
    return SegmentationRow(row["id"], row["iou"], row["region_iou"], pairs, counts)


_T = TypeVar("_T", bound=Pictured)


@dataclass(frozen=True, eq=False)
class _Drawn(Generic[_T]):
    truths: Sequence[_T]
    readings: Sequence[Reading]


def _drawn(model: Reasoner, modality: str, truths: Sequence[_T], path: Path, plan: Plan) -> Iterator[_Drawn[_T]]:
    decode = modality_of(model, modality).decode
    done, mine = read_parts(path, "id").keys(), plan.share.of(truths)
    waiting = [truth for truth in mine if (truth.id,) not in done]
    with progress(len(mine), plan.share.told(f"{modality} maps"), plan.silent) as advance:
        advance(len(mine) - len(waiting))
        for chunk in batches(waiting, plan.batch):
            steps = model.draw([truth.image for truth in chunk], modality, seed=plan.seed)
            yield _Drawn(chunk, [decode(step.drawn) for step in steps])
            advance(len(chunk))


def _gathered(path: Path, truths: Sequence[Pictured], plan: Plan) -> list[Row]:
    """The rows of all truths, in order, when every process has drawn its share."""
    wanted = [(truth.id,) for truth in truths]
    found = gather_rows(path, ("id",), wanted, plan.share)
    return [found[key] for key in wanted]
