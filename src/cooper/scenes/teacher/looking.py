"""Lessons in looking: where a named object is, what is at a place, and what there is at all.

Questions about space are worth little to a model that cannot find what they name. A lesson is all finding: nearly every word
of it must be read off the picture.
"""

from collections import Counter

import numpy as np

from cooper.scenes.questions.question import depth_of, place_of, worded
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.room.scene import Scene, SceneObject
from cooper.scenes.teacher.observations import at, eighth, span
from cooper.scenes.teacher.traces import scene_question
from cooper.trace.modes import Mode
from cooper.trace.prompts import Prompts
from cooper.trace.steps import TextStep
from cooper.trace.trace import Trace

_WHERE = ("Where is the {name}?", "Where in the picture is the {name}?")
_WHAT = ("What is at {place}?", "Which object is at {place}?")
_ALL = ("What is in the picture?", "Which objects are in the picture?")
_OUTLINE = ("How large does the {name} look?", "How wide and how tall does the {name} look?")


def grounding_traces(
    record: SceneRecord, seed: int, count: int, prompts: Prompts, mode: Mode = "text", metres: bool = True
) -> list[Trace]:
    """Up to `count` different lessons about a scene, the list of all it holds first; the same for the same arguments.

    Without `metres` they tell places and outlines in the picture and no distance.
    """
    rng = np.random.default_rng([record.scene.seed, seed, 23])
    lessons = (_lessons(record.scene, rng) if metres else _flat_lessons(record.scene, rng))[:count]
    system = prompts.system.get(mode, "")
    return [
        Trace(
            question=scene_question(asked, record),
            steps=(TextStep(f"<think>{thought}</think><answer>{answer}</answer>"),),
            mode=mode,
            model="teacher",
            system=system,
        )
        for asked, thought, answer in lessons
    ]


def _lessons(scene: Scene, rng: np.random.Generator) -> list[tuple[str, str, str]]:
    """Question, thought and answer of each lesson."""
    places = Counter(_cell(item, scene) for item in scene.objects)
    found: list[tuple[str, str, str]] = []
    for item in scene.objects:
        cell, far = _cell(item, scene), f"{depth_of(item):.1f} m"
        found.append((worded(rng, _WHERE, name=item.name), f"{at(item, scene)} {far}.", cell))
        if places[cell] == 1:
            found.append((worded(rng, _WHAT, place=cell), f"{cell} {far}. It is {item.material}.", item.name))
    listed = ", ".join(at(item, scene) for item in sorted(scene.objects, key=lambda item: place_of(item, scene).u))
    everything = (worded(rng, _ALL), f"{listed}.", str(len(scene.objects)))
    order = rng.permutation(len(found))
    return [everything, *(found[int(place)] for place in order)]


def _flat_lessons(scene: Scene, rng: np.random.Generator) -> list[tuple[str, str, str]]:
    """The same without distances, and with how large each thing looks."""
    places = Counter(_cell(item, scene) for item in scene.objects)
    found: list[tuple[str, str, str]] = []
    for item in scene.objects:
        cell, wide, tall = _cell(item, scene), span(item, scene, 0), span(item, scene, 1)
        found.append((worded(rng, _WHERE, name=item.name), f"{at(item, scene)}.", cell))
        look = f"{at(item, scene)}. It is {wide} wide, {tall} tall."
        found.append((worded(rng, _OUTLINE, name=item.name), look, f"{wide} by {tall}"))
        if places[cell] == 1:
            found.append((worded(rng, _WHAT, place=cell), f"{cell}. It is {item.material}.", item.name))
    listed = ", ".join(at(item, scene) for item in sorted(scene.objects, key=lambda item: place_of(item, scene).u))
    order = rng.permutation(len(found))
    return [(worded(rng, _ALL), f"{listed}.", str(len(scene.objects))), *(found[int(place)] for place in order)]


def _cell(item: SceneObject, scene: Scene) -> str:
    """The eighths of the picture in which the middle of an object lies, as a thought names them."""
    place = place_of(item, scene)
    return f"x {eighth(place.u)} y {eighth(place.v)}"
