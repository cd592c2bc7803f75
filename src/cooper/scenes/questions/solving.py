"""Answers to questions about space from what a scene holds, so that a scene seen otherwise is answered otherwise.

The makers of questions draw a question and its truth together; here a question that is there is answered anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from cooper.errors import CooperError
from cooper.scenes.questions.question import Couple, SceneQuestion, apart, depth_of, letter_of, place_of
from cooper.scenes.questions.spatial import turn_to
from cooper.scenes.room.scene import Scene, SceneObject, Vec

_Solve = Callable[[SceneQuestion, Scene, list[SceneObject]], str]


def solved(question: SceneQuestion, scene: Scene) -> str:
    """The answer that a scene gives to a question, as `SceneQuestion.answer` has it. CooperError: a category that is not in
    `SOLVABLE`."""
    if question.category not in SOLVABLE:
        raise CooperError(f"questions about {question.category} are not answered from distances")
    by_id = {item.id: item for item in scene.objects}
    return SOLVABLE[question.category](question, scene, [by_id[number] for number in question.objects])


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


def _yes(holds: bool) -> str:
    return "Yes" if holds else "No"


def _metres(value: float) -> str:
    return f"{value:.2f}"


def _relative_distance(question: SceneQuestion, scene: Scene, items: list[SceneObject]) -> str:
    if question.type == "MCQ":
        best = (max if "farthest" in question.text else min)(items, key=depth_of)
        return letter_of(question.choices, best.name)
    return _yes(("closer" in question.text) == (depth_of(items[0]) < depth_of(items[1])))


def _spatial_relation(question: SceneQuestion, scene: Scene, items: list[SceneObject]) -> str:
    left = place_of(items[0], scene).u < place_of(items[1], scene).u
    near = depth_of(items[0]) < depth_of(items[1])
    if question.type == "MCQ":
        return letter_of(question.choices, f"{'left' if left else 'right'} and {'in front' if near else 'behind'}")
    words = {"to the left of": left, "to the right of": not left, "in front of": near, "behind": not near}
    return _yes(next(holds for word, holds in words.items() if f" {word} " in question.text))


def _situational_view(question: SceneQuestion, scene: Scene, items: list[SceneObject]) -> str:
    side = "left" if turn_to(*items) > 0 else "right"
    return letter_of(question.choices, side) if question.type == "MCQ" else _yes(f"on your {side}" in question.text)


def _reach(question: SceneQuestion, scene: Scene, items: list[SceneObject]) -> str:
    assert question.value is not None  # the length of the arm
    return _yes(apart(Couple(*items)) <= question.value)


def _size(question: SceneQuestion, scene: Scene, items: list[SceneObject]) -> str:
    if question.type == "Number":
        return _metres(items[0].size.x)
    return _yes((" wider" in question.text) == (items[0].size.x > items[1].size.x))


SOLVABLE: Mapping[str, _Solve] = MappingProxyType(
    {
        "relative_distance": _relative_distance,
        "spatial_relation": _spatial_relation,
        "situational_view": _situational_view,
        "reach": _reach,
        "camera_distance": lambda question, scene, items: _metres(depth_of(items[0])),
        "object_distance": lambda question, scene, items: _metres(apart(Couple(*items))),
        "height": lambda question, scene, items: _metres(items[0].size.z),
        "size": _size,
    }
)
"""The categories whose answers follow from where things are, and how."""
