"""Gates C and D: what the model's own depth maps hold, and what it reads from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from cooper.errors import CooperError
from cooper.evaluation.gates.gate import NEAR, Tally
from cooper.evaluation.maps.readers import object_depths
from cooper.evaluation.maps.scores import resized_depth
from cooper.evaluation.replies.numbers.numbers import number_reading
from cooper.perception.modality import Reading
from cooper.reasoning.context import Seeded
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.events import TraceDone
from cooper.reasoning.options import Request
from cooper.scenes.lessons import hiding
from cooper.scenes.questions.question import depth_of
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.room.scene import scene_id
from cooper.scenes.teacher.reading import reading_traces
from cooper.trace.steps import Question, TextStep
from cooper.trace.trace import Trace

ROUND = 5  # lessons of one scene, of which those that ask for metres are kept


def drawn_depth(model: Cooper, records: Sequence[SceneRecord], seed: int) -> list[Reading]:
    """A depth map of each picture, as the model draws it. CooperError: its depth is not in metres, or it draws none."""
    modality = model.engine.parts.modality("depth")
    steps = model.draw([Image.fromarray(record.rgb) for record in records], "depth", seed=seed)
    readings = [modality.decode(step.drawn) for step in steps]
    if any(reading.units.get("depth") != "m" for reading in readings):
        raise CooperError("the gates C and D need a model that draws depth in metres")
    return readings


def perfect_reading(record: SceneRecord, reading: Reading) -> Tally:
    """Objects whose distance a perfect reader of the map tells within `NEAR`."""
    found = object_depths(reading, record.instances, [item.id for item in record.scene.objects])
    right = [_is_near(found.get(item.id), depth_of(item)) for item in record.scene.objects]
    return Tally(scene_id(record.scene), sum(right), len(right))


@dataclass(frozen=True)
class Lesson:
    """A lesson in reading about one scene: what is asked, the turn that asks for the map, the true distance, and the one that a
    perfect reader of the drawn map tells, in metres."""

    scene: str
    question: Question
    request: str
    true_m: float
    read_m: float


def lessons_of(model: Cooper, record: SceneRecord, reading: Reading, seed: int) -> list[Lesson]:
    """Lessons in reading depth, the picture hidden, so that only the map tells."""
    prompts, modalities = model.engine.parts.prompts, model.modalities
    true, seen = (reading_traces(each, seed, ROUND, prompts, modalities) for each in (record, _as_drawn(record, reading)))
    pairs = [(a, b) for a, b in zip(true, seen, strict=True) if a.question.text == b.question.text]
    lessons = []
    for number, (one, other) in enumerate(pairs):
        true_m, read_m = _metres(one), _metres(other)
        if true_m is not None and read_m is not None and [step.modality for step in one.maps] == ["depth"]:
            request = next(step.text for step in one.steps if isinstance(step, TextStep))
            asked = replace(hiding(one).question, id=f"{scene_id(record.scene)}-read-{number}", known={"depth": reading})
            lessons.append(Lesson(scene_id(record.scene), asked, request, true_m, read_m))
    return lessons


@dataclass(frozen=True)
class Readings:
    """Tallies of the same lessons: what the model tells right, and what a perfect reader of the same maps does."""

    model: list[Tally]
    perfect: list[Tally]


def readings_of(model: Cooper, records: Sequence[SceneRecord], maps: Sequence[Reading], seed: int) -> Readings:
    """Have the model read its own maps: its request stands there, the map is given, and it writes on."""
    lessons = [each for pair in zip(records, maps, strict=True) for each in lessons_of(model, *pair, seed)]
    parts = model.engine.parts
    processor = parts.layout.processor
    scripts = [((*processor.encode(each.request), processor.geometry.eos),) for each in lessons]
    requests = [Request(number, Seeded(seed), seed, script) for number, script in enumerate(scripts)]
    events = model.engine.run([each.question for each in lessons], requests, model.options()) if lessons else ()
    traces = {event.row: event.trace for event in events if isinstance(event, TraceDone)}
    said = [_is_near(_metres(traces[number]), each.true_m) for number, each in enumerate(lessons)]
    could = [_is_near(each.read_m, each.true_m) for each in lessons]
    names = [each.scene for each in lessons]
    scenes = [scene_id(record.scene) for record in records]
    return Readings(*([_tally(scene, names, right) for scene in scenes] for right in (said, could)))


def _tally(scene: str, names: Sequence[str], right: Sequence[bool]) -> Tally:
    own = [each for name, each in zip(names, right, strict=True) if name == scene]
    return Tally(scene, sum(own), len(own))


def _as_drawn(record: SceneRecord, reading: Reading) -> SceneRecord:
    """The scene as the drawn map shows it: its depth, and that of each object, are the map's."""
    found: Mapping[int, float] = object_depths(reading, record.instances, [item.id for item in record.scene.objects])
    objects = tuple(
        item if item.view is None else replace(item, view=replace(item.view, depth=found.get(item.id, item.view.depth)))
        for item in record.scene.objects
    )
    depth = resized_depth(reading.arrays["depth"], record.depth_m.shape)
    return replace(record, depth_m=depth, scene=replace(record.scene, objects=objects))


def _metres(trace: Trace) -> float | None:
    """The length that a trace answers with; None where it is none."""
    return number_reading(trace.answer).value if trace.answer and trace.answer.rstrip(". ").endswith(" m") else None


def _is_near(said: float | None, true: float) -> bool:
    return said is not None and np.isfinite(said) and abs(said / true - 1) <= NEAR
