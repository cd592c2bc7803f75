"""Lessons in reading maps: what they say is what the true maps say."""

import re

import numpy as np
import pytest

from cooper.perception import build_modalities
from cooper.scenes.questions.question import place_of
from cooper.scenes.room.catalogue import CLASS_NAMES
from cooper.scenes.room.render import SceneRecord, Staged
from cooper.scenes.room.scene import SceneObject
from cooper.scenes.teacher.observations import eighth
from cooper.scenes.teacher.reading import PLACES, depth_at, reading_traces
from cooper.trace.prompts import DEFAULT
from cooper.trace.trace import Trace

MODALITIES = build_modalities(
    {"depth": {"near": 0.3, "far": 8.0, "metric": True}, "segmentation": {"codec": "scenes", "names": list(CLASS_NAMES)}}
)
SAID = re.compile(r"x (\d) y (\d) ([a-z]+|\d\.\d)")


def _record(item: Staged) -> SceneRecord:
    size = item.geometry.labels.shape[0]
    picture = np.zeros((size, size, 3), np.uint8)
    return SceneRecord(picture, item.geometry.depth_m, item.geometry.labels, item.geometry.instances, item.scene)


def _cell(values: np.ndarray, x: int, y: int) -> np.ndarray:
    size = len(values) // 8
    return values[(y - 1) * size : y * size, (x - 1) * size : x * size]


def _places(trace: Trace, record: SceneRecord) -> str:
    """Checks what the last turn says of each place; returns the map."""
    said, wanted = SAID.findall(trace.turns[-1].text), trace.maps[0].modality
    assert len(said) == len({(x, y) for x, y, _ in said}) == PLACES
    for x, y, value in said:
        assert f"x {x} y {y}" in trace.question.text
        if wanted == "depth":
            cell = np.median(_cell(record.depth_m, int(x), int(y)))
            instances = set(_cell(record.instances, int(x), int(y)).ravel().tolist())
            things = [item.view.depth for item in record.scene.objects if item.view and item.id in instances]
            assert min(abs(float(value) - metres) for metres in (cell, *things)) <= 0.051
        else:
            labels = _cell(record.labels, int(x), int(y))
            assert (labels == CLASS_NAMES.index(value)).sum() == np.bincount(labels.ravel()).max()
    return wanted


def test_lessons_say_what_maps_show(staged: list[Staged]):
    kinds = set()
    for item in staged:
        record = _record(item)
        for trace in reading_traces(record, 0, 5, DEFAULT, MODALITIES):
            assert trace.mode == "interleaved" and trace.well_formed(tuple(DEFAULT.tags.values())) and len(trace.maps) == 1
            asked = trace.question.text
            if "shapes" not in asked and "where" not in asked.lower():
                kinds.add(_places(trace, record))
                continue
            places = sorted((place_of(thing, item.scene).u, thing.shape) for thing in item.scene.objects)
            wanted = [shape for _, shape in places if "shapes" in asked or re.search(rf"\b{shape}\b", asked)]
            assert wanted == re.findall(r"(\w+) x", trace.turns[-1].text) and trace.final == str(len(wanted))
            kinds.add("shapes" if "shapes" in asked else "one" if wanted else "none")
    assert kinds == {"depth", "segmentation", "shapes", "one", "none"}


def test_a_lesson_tells_the_distance_of_the_thing_whose_middle_is_there(staged: list[Staged]):
    """As questions ask for it: the median over its visible pixels, although an eighth shows the floor beside it, too."""
    told = 0
    for item in staged:
        record = _record(item)
        for thing in item.scene.objects:
            place = place_in(thing, item)
            instances = _cell(record.instances, place % 8 + 1, place // 8 + 1)
            others = [other for other in item.scene.objects if other is not thing and place_in(other, item) == place]
            if others or (instances != thing.id).mean() > 0.5:
                continue
            assert thing.view is not None and depth_at(record, place) == pytest.approx(thing.view.depth, abs=2e-3)
            told += 1
    assert told > 50


def place_in(thing: SceneObject, item: Staged) -> int:
    middle = place_of(thing, item.scene)
    return (eighth(middle.v) - 1) * 8 + eighth(middle.u) - 1


def test_lessons_follow_from_their_arguments(staged: list[Staged]):
    record = _record(staged[0])
    texts = [[t.question.text for t in reading_traces(record, seed, 6, DEFAULT, MODALITIES)] for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2] and len(texts[0]) == 6
