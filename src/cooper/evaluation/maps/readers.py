"""What a perfect reader makes of a depth map: one who knows place and outline of each object, and not how far it is.

H, W: pixels of the true instance map.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Integer

from cooper.data.item import Item
from cooper.evaluation.maps.scores import resized_depth
from cooper.evaluation.runs.answering import KEY, score_reply
from cooper.evaluation.runs.folder import read_part_lines
from cooper.perception.modality import Reading
from cooper.scenes.questions.question import SceneQuestion
from cooper.scenes.questions.solving import SOLVABLE, at_distances, solved
from cooper.scenes.room.render import SceneRecord
from cooper.trace.modes import Mode
from cooper.trace.trace import Trace

READERS = "readers.jsonl"


@dataclass(frozen=True)
class ReaderRow:
    """What a perfect reader of the first depth map of an answer would have answered. `depth_m`: by object id, as a text."""

    id: str
    mode: str
    depth_m: Mapping[str, float]
    reply: str
    correct: bool
    value: float


@dataclass(frozen=True)
class PerfectReader:
    """`asked`: the question and its scene behind each item, by id."""

    asked: Mapping[str, tuple[SceneQuestion, SceneRecord]]

    def row(self, item: Item, mode: Mode, trace: Trace) -> ReaderRow | None:
        """None where no depth in metres was drawn, or the answer does not follow from depths."""
        question, record = self.asked[item.id]
        reading = next((step.reading for step in trace.maps if step.modality == "depth"), None)
        if reading is None or reading.units.get("depth") != "m" or question.category not in SOLVABLE:
            return None
        found = object_depths(reading, record.instances, question.objects)
        reply = solved(question, record.scene, at_distances(record.scene, found))
        scored = score_reply(item, reply)
        depths = {str(number): round(depth, 4) for number, depth in found.items()}
        return ReaderRow(item.id, mode, depths, reply, scored.correct, scored.value)


def object_depths(reading: Reading, instances: Integer[np.ndarray, "H W"], ids: Sequence[int]) -> dict[int, float]:
    """The median of a depth map over the visible pixels of each object, in metres; one that shows no pixel is left out."""
    depth = resized_depth(reading.arrays["depth"], instances.shape)
    masks = {number: instances == number for number in ids}
    return {number: max(float(np.median(depth[mask])), 1e-3) for number, mask in masks.items() if mask.any()}


def kept_readers(folder: Path) -> list[ReaderRow]:
    """The rows of a run."""
    return [line.as_a(ReaderRow) for line in read_part_lines(folder / READERS, *KEY).values()]
