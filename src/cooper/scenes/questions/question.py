"""The value of one question about a scene, and the small parts that the question families share."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from cooper.errors import CooperError
from cooper.scenes.questions.wording import LETTERS, ChoiceStyle, Phrasing, shown_choices
from cooper.scenes.room.sampling import corners
from cooper.scenes.room.scene import Scene, SceneObject, View

Group = Literal["spatial", "distance_size", "general"]
Kind = Literal["MCQ", "YN", "Number", "Number_Int", "Unanswerable"]

DEPTH_RATIO = 1.10  # objects compared in depth differ at least by this factor
SIDE_GAP = 0.08  # objects compared from left to right lie at least this far apart, as a fraction of the picture's width


@dataclass(frozen=True)
class SceneQuestion:
    """One question with its exact answer.

    `answer` is a letter, Yes or No, a whole number, metres with two decimals or the name of what is missing, by `type`.
    `objects` are the ids of the objects it speaks of, in the order of `text` and then `choices` (for counting: those that
    count). `value` is the number behind a length or reach question, in metres. `tolerance`: relative error allowed, 0 for exact
    answers. `style`: how the choices are shown.
    """

    id: str
    category: str
    group: Group
    type: Kind
    text: str
    choices: tuple[str, ...]
    answer: str
    objects: tuple[int, ...]
    value: float | None = None
    tolerance: float = 0.0
    style: ChoiceStyle = "letters"

    @property
    def prompt(self) -> str:
        """The question with its choices, as the model reads it."""
        return f"{self.text} {shown_choices(self.choices, self.style)}" if self.choices else self.text

    @property
    def solution(self) -> str:
        """What stands between the answer tags: the words of the right choice, a length with its unit, else as `answer`.

        Words, because a small network that has just thought them can say them again, while it takes long to learn which
        letter stands before them (docs/log/2026-11.md); `evaluation.replies` reads both.
        """
        if self.type == "MCQ":
            return self.choices[LETTERS.index(self.answer)]
        if self.type == "Unanswerable":
            return cannot_see(self.answer)
        return f"{self.answer} m" if self.type == "Number" else self.answer


CANNOT_SEE = "I cannot see"  # how an answer about a thing begins that is not there


def cannot_see(name: str) -> str:
    """What to answer about a thing that is not there."""
    return f"{CANNOT_SEE} {with_article(name)}."


def with_article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


@dataclass(frozen=True)
class Draft:
    """What a question family makes of a scene; the rest of a SceneQuestion is bookkeeping."""

    type: Kind
    text: str
    answer: str
    objects: tuple[int, ...]
    choices: tuple[str, ...] = ()
    value: float | None = None


Asker = Callable[[Scene, Phrasing], Draft | None]
"""Makes one question of one category, or None where the scene has no clear-cut one."""


@dataclass(frozen=True)
class Couple:
    """Two objects, in the order in which a question names them."""

    first: SceneObject
    second: SceneObject


def letter_of(choices: Sequence[str], truth: str) -> str:
    return LETTERS[list(choices).index(truth)]


def couples(scene: Scene) -> list[Couple]:
    """All pairs of objects, each once."""
    return [Couple(first, second) for first, second in combinations(scene.objects, 2)]


def either_way(rng: np.random.Generator, couple: Couple) -> Couple:
    return couple if rng.random() < 0.5 else Couple(couple.second, couple.first)


def depth_of(item: SceneObject) -> float:
    """Median plane depth of the object's visible surface, in metres."""
    return _view(item).depth


def shown(item: SceneObject) -> float:
    """The fraction of the object that is visible."""
    return _view(item).fraction


def _view(item: SceneObject) -> View:
    if item.view is None:
        raise CooperError(f"object {item.id} ({item.name}) has no view: questions need a scene that was staged")
    return item.view


@dataclass(frozen=True)
class Place:
    """A point of the picture as fractions from its upper left corner."""

    u: float
    v: float


def place_of(item: SceneObject, scene: Scene) -> Place:
    """The middle of the object's outline as if nothing hid it: the box round its projected corners."""
    seen = scene.camera.project(corners(item.centre, item.size, item.yaw))
    low, high = seen.min(axis=0), seen.max(axis=0)
    return Place(float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2)


def apart(couple: Couple) -> float:
    """Distance between the two centres in metres."""
    return float(np.linalg.norm(couple.first.centre.array() - couple.second.centre.array()))


def clearly_nearer(first: SceneObject, second: SceneObject) -> bool:
    """Whether the first is nearer beyond doubt, by its visible surface."""
    return depth_of(first) * DEPTH_RATIO <= depth_of(second)


def spread_pick(rng: np.random.Generator, values: Sequence[float], low: float, high: float) -> int:
    """The place of the value nearest to a log-uniform target, so that answers spread and no constant guess pays."""
    target = rng.uniform(math.log(low), math.log(high))
    return int(np.argmin([abs(math.log(value) - target) for value in values]))
