"""Lessons in reading maps: what a drawn map says at places of the picture, and which objects it shows.

A picture tells a small network nearly all that a map tells, so it may answer for ever without a glance at what it drew
(docs/log/2026-11.md). A lesson asks for what the map says everywhere, and may be given with the picture hidden.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from cooper.perception.modality import Modality
from cooper.scenes.questions.question import place_of, some, worded
from cooper.scenes.room.catalogue import CLASS_NAMES, SHAPES
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.room.scene import Scene, SceneObject
from cooper.scenes.teacher.observations import EIGHTHS, eighth
from cooper.scenes.teacher.traces import map_steps, scene_question
from cooper.trace.prompts import Prompts
from cooper.trace.steps import TextStep
from cooper.trace.trace import Trace

COVERED = 0.5  # of an eighth: more than that is mostly
PLACES = 12  # named in one lesson, half of them on objects
_FAR = ("How far is it at {places}?", "What is the depth at {places}?")
_WHAT = ("What is shown at {places}?", "Which things are at {places}?")
_ALL = ("Which shapes does the map show?", "What shapes are on the map?")
_WHERE = ("Where does the map show a {name}?", "Where on the map is each {name}?")


def reading_traces(
    record: SceneRecord, seed: int, count: int, prompts: Prompts, modalities: Mapping[str, Modality]
) -> list[Trace]:
    """`count` lessons about the true maps of a scene, kinds in turn; the same for the same arguments.

    Each is an interleaved trace: a request, the map, and what it says at `PLACES` places, in metres or classes of the
    eighth of the picture, or all shapes that it shows from left to right, or those of one kind. Metres are those of the thing
    that is there (the median over its visible pixels, which is what questions ask for), else of what the eighth shows.
    """
    rng = np.random.default_rng([record.scene.seed, seed, 29])
    kinds = (_far, _what, _far, _all, _where)
    first = int(rng.integers(len(kinds)))
    return [
        Trace(
            question=scene_question(asked, record),
            steps=(
                *map_steps(record, wanted, prompts, modalities),
                TextStep(f"<think>{thought}</think><answer>{answer}</answer>"),
            ),
            mode="interleaved",
            model="teacher",
            system=prompts.system.get("interleaved", ""),
        )
        for number in range(count)
        for wanted, asked, thought, answer in [kinds[(first + number) % len(kinds)](record, rng)]
    ]


_Lesson = tuple[str, str, str, str]  # map, question, thought, answer


def _far(record: SceneRecord, rng: np.random.Generator) -> _Lesson:
    places = _places(record, rng)
    depths = [depth_at(record, place) for place in places]
    said = ", ".join(f"{_named(place)} {depth:.1f} m" for place, depth in zip(places, depths, strict=True))
    return "depth", worded(rng, _FAR, places=_listed(places)), f"{said}.", f"{depths[-1]:.2f} m"


def depth_at(record: SceneRecord, place: int) -> float:
    """Metres at an eighth of the picture, numbered row by row: the median over the visible pixels of the object that has its
    middle there and is seen there, or that covers most of it; else the median of the eighth."""
    instances = _cells(record.instances)[place]
    seen = set(instances.tolist())
    centred = [item for item in record.scene.objects if item.id in seen and _place(item, record.scene) == place]
    covering = int(np.bincount(instances).argmax())
    if len(centred) == 1 and (covering in (0, centred[0].id) or (instances == covering).mean() <= COVERED):
        return float(np.median(record.depth_m[record.instances == centred[0].id]))
    if covering and (instances == covering).mean() > COVERED:
        return float(np.median(record.depth_m[record.instances == covering]))
    return float(np.median(_cells(record.depth_m)[place]))


def _place(item: SceneObject, scene: Scene) -> int:
    middle = place_of(item, scene)
    return (eighth(middle.v) - 1) * EIGHTHS + eighth(middle.u) - 1


def _what(record: SceneRecord, rng: np.random.Generator) -> _Lesson:
    places = _places(record, rng)
    names = [CLASS_NAMES[int(np.bincount(_cells(record.labels)[place]).argmax())] for place in places]
    said = ", ".join(f"{_named(place)} {name}" for place, name in zip(places, names, strict=True))
    return "segmentation", worded(rng, _WHAT, places=_listed(places)), f"{said}.", names[-1]


def _all(record: SceneRecord, rng: np.random.Generator) -> _Lesson:
    found = _shapes(record)
    return "segmentation", worded(rng, _ALL), f"{', '.join(found)}.", str(len(found))


def _where(record: SceneRecord, rng: np.random.Generator) -> _Lesson:
    """Every other time of a shape that the scene holds."""
    held = sorted({item.shape for item in record.scene.objects})
    name = some(rng, held if rng.random() < 0.5 else SHAPES, 1)[0]
    found = [each for each in _shapes(record) if each.startswith(f"{name} ")]
    said = ", ".join(found) or f"no {name} at all"
    return "segmentation", worded(rng, _WHERE, name=name), f"{said}.", str(len(found))


def _shapes(record: SceneRecord) -> list[str]:
    """Shape and place of every object, from left to right."""
    scene = record.scene
    found = sorted(((place_of(item, scene), item.shape) for item in scene.objects), key=lambda each: each[0].u)
    return [f"{shape} x {eighth(place.u)} y {eighth(place.v)}" for place, shape in found]


def _cells(values: Float[np.ndarray, "H W"]) -> Float[np.ndarray, "64 P"]:
    """The pixels of each eighth by eighth of the picture, row by row from the upper left."""
    height, width = values.shape[0] // EIGHTHS, values.shape[1] // EIGHTHS
    grid = values[: height * EIGHTHS, : width * EIGHTHS].reshape(EIGHTHS, height, EIGHTHS, width)
    return grid.transpose(0, 2, 1, 3).reshape(EIGHTHS**2, height * width)


def _places(record: SceneRecord, rng: np.random.Generator) -> list[int]:
    """Different places in random order; half of them the middle of an object or mostly covered by one, where there are so
    many."""
    covered: Bool[np.ndarray, "64"] = (_cells(record.instances) > 0).mean(1) > COVERED
    covered[[_place(item, record.scene) for item in record.scene.objects]] = True
    on = some(rng, np.flatnonzero(covered).tolist(), PLACES // 2)
    off = some(rng, np.flatnonzero(~covered).tolist(), PLACES - len(on))
    return some(rng, [*on, *off], PLACES)


def _named(place: int) -> str:
    return f"x {place % EIGHTHS + 1} y {place // EIGHTHS + 1}"


def _listed(places: list[int]) -> str:
    return ", ".join(map(_named, places))
