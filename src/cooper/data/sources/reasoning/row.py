"""One row of a file of reasoning: what is shown and said, in order, and which of the words are learned. No picture is decoded
before it is asked for.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from cooper.errors import CooperError
from cooper.files.pictures import LazyPicture
from cooper.files.rows import Line
from cooper.files.values import shown
from cooper.trace.grammar import Perceive, answer_in, parse_turn
from cooper.trace.modes import AnswerMode
from cooper.trace.prompts import Prompts
from cooper.trace.steps import MapStep, Question, Step, TextStep
from cooper.trace.trace import Trace

NO_MAP = np.zeros((0, 0, 3), dtype=np.float32)  # of a map that is read and not drawn
PICTURE = "picture"  # in place of a map's name, where nothing tells which map it is
Canvas = Callable[[Image.Image], Image.Image]  # a picture at the size at which the model draws


@dataclass(frozen=True)
class ShownMap:
    """A picture in the middle of a row, which the model reads. `drawn`: what it learns to draw there, if anything."""

    picture: LazyPicture
    drawn: LazyPicture | None = None
    modality: str = ""

    def step(self, modality: str, canvas: Canvas) -> MapStep:
        """The picture decoded, and its target at the size at which the model draws."""
        drawn = NO_MAP if self.drawn is None else np.asarray(canvas(self.drawn.open()), dtype=np.float32) / np.float32(255)
        return MapStep(self.modality or modality, drawn, self.picture.open())


@dataclass(frozen=True)
class TraceRow:
    """A question, whose words are not learned, and what follows it: words, of which those by the model are learned, and maps.

    `mode` and `system`: where the row names them. `place`: where it stands, for messages.
    """

    place: str
    question: tuple[LazyPicture | str, ...]
    steps: tuple[TextStep | ShownMap, ...]
    mode: AnswerMode | None = None
    system: str | None = None
    id: str = ""

    @property
    def draws(self) -> bool:
        """Whether a picture stands in the middle of the row."""
        return any(isinstance(step, ShownMap) for step in self.steps)

    def trace(self, mode: AnswerMode, prompts: Prompts, canvas: Canvas) -> Trace:
        """The trace with its pictures decoded; `mode` where the row names none. CooperError names the picture at fault."""
        mode = self.mode or mode
        steps = tuple(self._steps(prompts, canvas))
        system = prompts.system[mode] if self.system is None else self.system
        return Trace(Question(self.question, id=self.id).opened(), steps, mode, system=system)

    def _steps(self, prompts: Prompts, canvas: Canvas) -> Iterator[Step]:
        before = None
        for step in self.steps:
            yield step.step(asked_map(before, prompts) or PICTURE, canvas) if isinstance(step, ShownMap) else step
            before = step

    def check(self, prompts: Prompts) -> None:
        """CooperError: no word is learned, a map is asked for that does not follow, or a picture is none."""
        if not any(isinstance(step, TextStep) and step.author == "model" for step in self.steps) and not self._targets:
            raise CooperError(f"{self.place}: no part of the row is learned")
        for step, following in zip(self.steps, (*self.steps[1:], None), strict=True):
            asked = asked_map(step, prompts)
            if asked and not isinstance(following, ShownMap):
                raise CooperError(f"{self.place}: a turn asks for a map of {asked}, and no picture follows it")
        for picture in self.pictures:
            _ = picture.size  # it is there, and a picture

    def asks(self, prompts: Prompts) -> bool:
        """Whether every picture in the middle of the row is named or asked for."""
        before = (None, *self.steps[:-1])
        return all(
            not isinstance(step, ShownMap) or bool(step.modality or asked_map(earlier, prompts))
            for earlier, step in zip(before, self.steps, strict=True)
        )

    @property
    def answers(self) -> bool:
        """Whether the last words hold an answer element."""
        last = next((step for step in reversed(self.steps) if isinstance(step, TextStep)), None)
        return last is not None and answer_in(last.text) is not None

    @property
    def _targets(self) -> tuple[LazyPicture, ...]:
        return tuple(step.drawn for step in self.steps if isinstance(step, ShownMap) and step.drawn is not None)

    @property
    def question_pictures(self) -> tuple[LazyPicture, ...]:
        """Those that are asked about."""
        return tuple(part for part in self.question if not isinstance(part, str))

    @property
    def pictures(self) -> tuple[LazyPicture, ...]:
        """All of them: of the question, in the middle, and those that are drawn."""
        return (*self.question_pictures, *(step.picture for step in self.steps if isinstance(step, ShownMap)), *self._targets)


def asked_map(step: TextStep | ShownMap | None, prompts: Prompts) -> str:
    """The map that a turn of the model asks for, "" for none."""
    tags = {tag: name for name, tag in prompts.tags.items()}
    turn = parse_turn(step.text, tuple(tags)) if isinstance(step, TextStep) and step.author == "model" else None
    return tags[turn.tag] if isinstance(turn, Perceive) else ""


def field_of(values: Mapping[str, Any], place: str, name: str, kind: type) -> Any:
    """A field of a row or of a part of it. CooperError: it is missing, or of another type."""
    words = {str: "a text", list: "a list", dict: "an object"}
    value = values.get(name)
    if name not in values:
        raise CooperError(f"{place}: the field {name!r} is missing")
    if not isinstance(value, kind):
        raise CooperError(f"{place}: the field {name!r} must be {words[kind]}, not {shown(value)}")
    return value


def objects_of(line: Line, name: str) -> list[tuple[dict[str, Any], str]]:
    """The objects in a list of a row, each with its place: `"FILE, line 3, field 'steps'[0]"`."""
    values = field_of(line.values, line.place, name, list)
    if not values:
        raise CooperError(f"{line.place}: the field {name!r} is empty")
    for number, value in enumerate(values):
        if not isinstance(value, dict):
            raise CooperError(f"{line.place}: field {name!r}[{number}] must be an object, not {shown(value)}")
    return [(value, f"{line.place}, field {name!r}[{number}]") for number, value in enumerate(values)]
