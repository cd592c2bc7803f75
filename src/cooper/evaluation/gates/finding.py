"""Gate B: asked where an object is, does the model name the right place?"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cooper.evaluation.gates.gate import Tally
from cooper.reasoning.cooper import Cooper
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.room.scene import scene_id
from cooper.scenes.teacher.looking import grounding_traces

ALL = 1000  # more lessons than a scene has
_CELL = re.compile(r"x\s*(\d+)\s*,?\s*y\s*(\d+)")


@dataclass(frozen=True)
class Cell:
    """A place in eighths of the picture, from 1 at the left and the top."""

    x: int
    y: int

    def beside(self, other: "Cell") -> bool:
        """Whether it is the other, or touches it, across corners too."""
        return max(abs(self.x - other.x), abs(self.y - other.y)) <= 1


def cell_in(text: str | None) -> Cell | None:
    """The place that a text names, if it is nothing but a place: `cell_in("x 3 y 4")` is `Cell(3, 4)`."""
    match = _CELL.fullmatch((text or "").strip().rstrip("."))
    return Cell(int(match.group(1)), int(match.group(2))) if match else None


def found_places(model: Cooper, records: Sequence[SceneRecord], seed: int) -> list[Tally]:
    """A tally for each scene: every object is asked for, in the words of the lessons in looking, in the mode text."""
    prompts = model.engine.parts.prompts
    asked = [
        (scene_id(record.scene), replace(trace.question, id=f"{scene_id(record.scene)}-find-{number}"), cell)
        for record in records
        for number, trace in enumerate(grounding_traces(record, seed, ALL, prompts))
        if (cell := cell_in(trace.answer)) is not None
    ]
    traces = model.batch([question for _, question, _ in asked], model.options("text"), seed)
    tallies = {scene_id(record.scene): Tally(scene_id(record.scene), 0, 0) for record in records}
    for (scene, _, truth), (trace,) in zip(asked, traces, strict=True):
        said, told = cell_in(trace.answer), tallies[scene]
        right, near = said == truth, said is not None and said.beside(truth)
        tallies[scene] = Tally(scene, told.right + right, told.total + 1, told.near + near)
    return list(tallies.values())
