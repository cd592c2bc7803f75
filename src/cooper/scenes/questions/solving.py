"""Answers to questions about space for one who sees a scene otherwise than it is: objects nearer or farther.

The makers of questions draw a question and its truth together; here a question that is there is answered anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from cooper.errors import CooperError
from cooper.scenes.questions.question import LETTERS, Couple, SceneQuestion, apart, depth_of, letter_of
from cooper.scenes.questions.spatial import turn_to
from cooper.scenes.room.scene import Scene, SceneObject, Vec

_Solve = Callable[[SceneQuestion, list[SceneObject], list[SceneObject]], str]


def solved(question: SceneQuestion, scene: Scene, seen: Scene) -> str:
    """The answer to a question about `scene` for one to whom it looks like `seen`, in the form of `SceneQuestion.answer`; the
    wording is not read, but the truth. CooperError: a category that is not in `SOLVABLE`."""
    if question.category not in SOLVABLE:
        raise CooperError(f"questions about {question.category} are not answered from distances")
    return SOLVABLE[question.category](question, _involved(question, scene), _involved(question, seen))


def at_distances(scene: Scene, depth_m: Mapping[int, float]) -> Scene:
    """The scene with objects moved along the line from the camera through their middle, and scaled as far, so that their
    outlines stay and the median depth of their visible surface becomes `depth_m`, in metres by id."""
    camera = scene.camera.position.array()

    def moved(item: SceneObject) -> SceneObject:
        if item.id not in depth_m:
            return item
        scale = depth_m[item.id] / depth_of(item)
        assert item.view is not None
        centre = camera + scale * (item.centre.array() - camera)
        return replace(
            item,
            centre=_vec(centre),
            size=_vec(scale * item.size.array()),
            view=replace(item.view, depth=depth_m[item.id]),
        )

    return replace(scene, objects=tuple(map(moved, scene.objects)))


def _vec(numbers: np.ndarray) -> Vec:
    return Vec(*map(float, numbers))


def _involved(question: SceneQuestion, scene: Scene) -> list[SceneObject]:
    """The objects of the question, in its order."""
    by_id = {item.id: item for item in scene.objects}
    return [by_id[number] for number in question.objects]


def _metres(value: float) -> str:
    return f"{value:.2f}"


def _near(items: list[SceneObject]) -> bool:
    """Whether the first is nearer than the second."""
    return depth_of(items[0]) < depth_of(items[1])


def _either(fact: Callable[[SceneQuestion, list[SceneObject]], bool]) -> _Solve:
    """Answers with two possible values: the right one while a fact holds as it does in truth, else the other."""

    def solve(question: SceneQuestion, true: list[SceneObject], seen: list[SceneObject]) -> str:
        if fact(question, true) == fact(question, seen):
            return question.answer
        values = LETTERS[:2] if question.type == "MCQ" else ("Yes", "No")
        return next(value for value in values if value != question.answer)

    return solve


def _relative_distance(question: SceneQuestion, true: list[SceneObject], seen: list[SceneObject]) -> str:
    if question.type != "MCQ":
        return _either(lambda _, items: _near(items))(question, true, seen)
    nearest = min(true, key=depth_of).name == question.choices[LETTERS.index(question.answer)]
    best = (min if nearest else max)(seen, key=depth_of)
    return letter_of(question.choices, best.name)


def _spatial_relation(question: SceneQuestion, true: list[SceneObject], seen: list[SceneObject]) -> str:
    """To the left or right stays as it is: outlines do not move."""
    if _near(true) == _near(seen) or (question.type == "YN" and ("left" in question.text or "right" in question.text)):
        return question.answer
    if question.type == "YN":
        return "No" if question.answer == "Yes" else "Yes"
    said = question.choices[LETTERS.index(question.answer)]
    other = said.replace("in front", "behind") if "in front" in said else said.replace("behind", "in front")
    return letter_of(question.choices, other)


def _size(question: SceneQuestion, true: list[SceneObject], seen: list[SceneObject]) -> str:
    if question.type == "Number":
        return _metres(seen[0].size.x)
    return _either(lambda _, items: items[0].size.x > items[1].size.x)(question, true, seen)


def _reached(question: SceneQuestion, items: list[SceneObject]) -> bool:
    assert question.value is not None  # the length of the arm
    return apart(Couple(*items)) <= question.value


SOLVABLE: Mapping[str, _Solve] = MappingProxyType(
    {
        "relative_distance": _relative_distance,
        "spatial_relation": _spatial_relation,
        "situational_view": _either(lambda _, items: turn_to(*items) > 0),
        "reach": _either(_reached),
        "camera_distance": lambda question, true, seen: _metres(depth_of(seen[0])),
        "object_distance": lambda question, true, seen: _metres(apart(Couple(*seen))),
        "height": lambda question, true, seen: _metres(seen[0].size.z),
        "size": _size,
    }
)
"""The categories whose answers follow from where things are, and how."""
