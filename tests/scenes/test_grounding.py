"""Lessons in looking: what they say is where things are."""

import re

import numpy as np

from cooper.scenes.questions.question import depth_of, place_of
from cooper.scenes.room.render import SceneRecord, Staged
from cooper.scenes.teacher.looking import grounding_traces
from cooper.trace.prompts import DEFAULT

FIND = re.compile(r"<think>(.+) x (\d) y (\d) (\d\.\d) m\.</think><answer>x \2 y \3</answer>")
TELL = re.compile(r"<think>x (\d) y (\d) (\d\.\d) m\. It is (\w+)\.</think><answer>(.+)</answer>")


def _record(item: Staged) -> SceneRecord:
    size = item.geometry.labels.shape[0]
    picture = np.zeros((size, size, 3), np.uint8)
    return SceneRecord(picture, item.geometry.depth_m, item.geometry.labels, item.geometry.instances, item.scene)


def test_lessons_say_where_things_are(staged: list[Staged]):
    kinds = set()
    for item in staged:
        record, scene = _record(item), item.scene
        first, *others = grounding_traces(record, 0, 40, DEFAULT)
        assert first.final == str(len(scene.objects)) and len(others) >= len(scene.objects)
        for trace in others:
            said, asked = trace.turns[0].text, trace.question.text
            find, tell = FIND.fullmatch(said), TELL.fullmatch(said)
            assert find or tell, said
            name, x, y, far = find.groups() if find else (tell[5], *tell.groups()[:3])  # pyright: ignore
            things = [thing for thing in scene.objects if thing.name == name]
            places = [(int(p.u * 8) + 1, int(p.v * 8) + 1) for p in (place_of(thing, scene) for thing in things)]
            assert (int(x), int(y)) in [(min(8, max(1, u)), min(8, max(1, v))) for u, v in places]
            assert any(abs(depth_of(thing) - float(far)) < 0.051 for thing in things)
            assert (name if find else f"x {x} y {y}") in asked
            kinds.add("find" if find else "tell")
            if tell:
                assert tell[4] in {thing.material for thing in things}
    assert kinds == {"find", "tell"}


def test_lessons_follow_from_their_arguments(staged: list[Staged]):
    record = _record(staged[0])
    texts = [[t.question.text for t in grounding_traces(record, seed, 40, DEFAULT)] for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    assert len(grounding_traces(record, 0, 3, DEFAULT)) == 3
    assert all(trace.mode == "text" and trace.well_formed(()) for trace in grounding_traces(record, 0, 40, DEFAULT))
