"""Has a model draw depth and segmentation of pictures with known truth, one row for each, resumable."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cooper.data.examples import Conventions, Example
from cooper.errors import CooperError
from cooper.evaluation.maps.scores import DepthRow, SegmentationRow, depth_row, segmentation_row
from cooper.evaluation.runs.answering import Reasoner, RunPlan
from cooper.evaluation.runs.folder import gather_rows, read_part_lines, telling_how_to_go_on
from cooper.evaluation.runs.progress import progress
from cooper.files.rows import Line, append_rows, batches
from cooper.perception.modality import Modality, Reading


def modality_of(model: Reasoner, name: str) -> Modality:
    """One kind of map of a model. CooperError: it draws none of that kind."""
    if name not in model.modalities:
        raise CooperError(f"the model draws no {name!r} map; it draws: {', '.join(model.modalities) or 'none'}")
    return model.modalities[name]


def draw_depth(model: Reasoner, truths: Sequence[Example], conventions: Conventions, plan: RunPlan) -> list[DepthRow]:
    """Draw and score a depth map of every picture that `plan.out/depth.jsonl` does not hold yet."""
    path = plan.out / "depth.jsonl"
    for drawn in _drawn(model, "depth", truths, path, plan):
        pairs = zip(drawn.readings, drawn.truths, strict=True)
        with telling_how_to_go_on():
            rows = [asdict(depth_row(reading, truth, conventions)) for reading, truth in pairs]
        append_rows(plan.share.file(path), rows)
    return [line.as_a(DepthRow) for line in _gathered(path, truths, plan)]


def kept_depth(plan: RunPlan) -> list[DepthRow]:
    """The rows that `plan.out/depth.jsonl` holds."""
    return [line.as_a(DepthRow) for line in read_part_lines(plan.out / "depth.jsonl", "id").values()]


def draw_segmentation(
    model: Reasoner, truths: Sequence[Example], conventions: Conventions, plan: RunPlan
) -> list[SegmentationRow]:
    """Draw and score a segmentation map of every picture that `plan.out/segmentation.jsonl` does not hold yet."""
    path = plan.out / "segmentation.jsonl"
    for drawn in _drawn(model, "segmentation", truths, path, plan):
        pairs = zip(drawn.readings, drawn.truths, strict=True)
        with telling_how_to_go_on():
            rows = [asdict(segmentation_row(reading, truth, conventions)) for reading, truth in pairs]
        append_rows(plan.share.file(path), rows)
    return [_segmentation_of(line, conventions) for line in _gathered(path, truths, plan)]


def kept_segmentation(conventions: Conventions, plan: RunPlan) -> list[SegmentationRow]:
    """The rows that `plan.out/segmentation.jsonl` holds."""
    kept = read_part_lines(plan.out / "segmentation.jsonl", "id").values()
    return [_segmentation_of(line, conventions) for line in kept]


@dataclass(frozen=True)
class _StoredSegmentation:
    """As `SegmentationRow`, with its counts as lists."""

    id: str
    iou: float | None
    region_iou: float
    confusion: tuple[tuple[float, ...], ...]
    panoptic: tuple[tuple[float, ...], ...]


def _segmentation_of(line: Line, conventions: Conventions) -> SegmentationRow:
    row, classes = line.as_a(_StoredSegmentation), max(1, len(conventions.names))
    for name, counts, width, labels in (("confusion", row.confusion, 3, 2), ("panoptic", row.panoptic, 5, 1)):
        for count in counts:
            if len(count) != width or min(count) < 0 or max(count[:labels]) >= classes:
                raise CooperError(f"{line.place}: {name} holds {list(count)}, which are no counts of {classes} classes")
    pairs = tuple((int(t), int(p), int(n)) for t, p, n in row.confusion)
    found = tuple((int(c), iou, int(m), int(i), int(o)) for c, iou, m, i, o in row.panoptic)
    return SegmentationRow(row.id, row.iou, row.region_iou, pairs, found)


@dataclass(frozen=True, eq=False)
class _Drawn:
    truths: Sequence[Example]
    readings: Sequence[Reading]


def _drawn(model: Reasoner, modality: str, truths: Sequence[Example], path: Path, plan: RunPlan) -> Iterator[_Drawn]:
    decode = modality_of(model, modality).decode
    done, mine = read_part_lines(path, "id").keys(), plan.share.of(truths)
    waiting = [truth for truth in mine if (truth.id,) not in done]
    with progress(len(mine), plan.share.told(f"{modality} maps"), plan.silent) as advance:
        advance(len(mine) - len(waiting))
        for chunk in batches(waiting, plan.batch):
            with telling_how_to_go_on():
                pictures = [truth.image for truth in chunk]
            steps = model.draw(pictures, modality, seed=plan.seed)
            yield _Drawn(chunk, [decode(step.drawn) for step in steps])
            advance(len(chunk))


def _gathered(path: Path, truths: Sequence[Example], plan: RunPlan) -> list[Line]:
    """The rows of all truths, in order, when every process has drawn its share."""
    wanted = [(truth.id,) for truth in truths]
    found = gather_rows(path, ("id",), wanted, plan.share)
    return [found[key] for key in wanted]
