"""Has a model draw maps of pictures with known truth, one row for each, resumable."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, TypeVar

from cooper.data.examples import Conventions, Example
from cooper.errors import CooperError
from cooper.evaluation.maps.scores import DepthRow, SegmentationRow, depth_row, segmentation_row
from cooper.evaluation.runs.answering import Reasoner
from cooper.evaluation.runs.folder import gather_rows, read_part_lines, telling_how_to_go_on
from cooper.evaluation.runs.progress import progress
from cooper.evaluation.runs.settings import RunSettings
from cooper.files.rows import Line, append_rows, batches
from cooper.perception.modality import Modality, Reading

AnyRow = TypeVar("AnyRow", DepthRow, SegmentationRow)


@dataclass(frozen=True)
class MapKind(Generic[AnyRow]):
    """A kind of map that is judged. `score` compares a map with the truth, `stored` reads a row that was written."""

    name: str
    score: Callable[[Reading, Example, Conventions], AnyRow]
    stored: Callable[[Line, Conventions], AnyRow]

    def file(self, folder: Path) -> Path:
        """Where a run keeps its rows."""
        return folder / f"{self.name}.jsonl"

    def kept(self, folder: Path, conventions: Conventions) -> list[AnyRow]:
        """The rows that the folder of a run holds."""
        return [self.stored(line, conventions) for line in read_part_lines(self.file(folder), "id").values()]


def modality_of(model: Reasoner, name: str) -> Modality:
    """One kind of map of a model. CooperError: it draws none of that kind."""
    if name not in model.modalities:
        raise CooperError(f"the model draws no {name!r} map; it draws: {', '.join(model.modalities) or 'none'}")
    return model.modalities[name]


def draw_maps(
    model: Reasoner, kind: MapKind[AnyRow], truths: Sequence[Example], *, conventions: Conventions, settings: RunSettings
) -> list[AnyRow]:
    """Draw and score a map of every picture that the run's folder does not hold yet; the rows of all, in order.

    Of several processes each draws its share, and waits for the others.
    """
    path, share, decode = kind.file(settings.out), settings.share, modality_of(model, kind.name).decode
    done, mine = read_part_lines(path, "id").keys(), share.of(truths)
    waiting = [truth for truth in mine if (truth.id,) not in done]
    with progress(len(mine), share.told(f"{kind.name} maps"), settings.silent) as advance:
        advance(len(mine) - len(waiting))
        for chunk in batches(waiting, settings.batch):
            with telling_how_to_go_on():
                pictures = [truth.image for truth in chunk]
            steps = model.draw(pictures, kind.name, seed=settings.seed)
            with telling_how_to_go_on():
                pairs = zip(steps, chunk, strict=True)
                rows = [asdict(kind.score(decode(step.drawn), truth, conventions)) for step, truth in pairs]
            append_rows(share.file(path), rows)
            advance(len(chunk))
    wanted = [(truth.id,) for truth in truths]
    found = gather_rows(path, ("id",), wanted, share=share)
    return [kind.stored(found[key], conventions) for key in wanted]


@dataclass(frozen=True)
class _StoredSegmentation:
    """As `SegmentationRow`, with its counts as lists."""

    id: str
    iou: float | None
    region_iou: float
    confusion: tuple[tuple[float, ...], ...]
    panoptic: tuple[tuple[float, ...], ...]


def _stored_segmentation(line: Line, conventions: Conventions) -> SegmentationRow:
    row, classes = line.as_a(_StoredSegmentation), max(1, len(conventions.names))
    for name, counts, width, labels in (("confusion", row.confusion, 3, 2), ("panoptic", row.panoptic, 5, 1)):
        for count in counts:
            if len(count) != width or min(count) < 0 or max(count[:labels]) >= classes:
                raise CooperError(f"{line.place}: {name} holds {list(count)}, which are no counts of {classes} classes")
    pairs = tuple((int(t), int(p), int(n)) for t, p, n in row.confusion)
    found = tuple((int(c), iou, int(m), int(i), int(o)) for c, iou, m, i, o in row.panoptic)
    return SegmentationRow(row.id, row.iou, row.region_iou, pairs, found)


DEPTH = MapKind("depth", depth_row, lambda line, _: line.as_a(DepthRow))
SEGMENTATION = MapKind("segmentation", segmentation_row, _stored_segmentation)
