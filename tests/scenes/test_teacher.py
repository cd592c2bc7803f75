"""Teacher traces: the right maps, in the right order, with short thoughts."""

import numpy as np
import pytest

from cooper.errors import CooperError
from cooper.evaluation.replies.answers import score
from cooper.perception.depth import DepthModality
from cooper.perception.segmentation import SegmentationModality
from cooper.scenes.questions.categories import CATEGORIES, questions_of
from cooper.scenes.room.catalogue import CLASS_NAMES
from cooper.scenes.room.render import SceneRecord, Staged
from cooper.scenes.teacher.observations import HELPS, observation
from cooper.scenes.teacher.traces import teacher_trace
from cooper.trace.prompts import DEFAULT

MAPS = {"depth": DepthModality(0.0, 8.0, True), "segmentation": SegmentationModality("scenes", CLASS_NAMES)}
TAGS = ("depth-estimation", "segmentation")


def _record(item: Staged) -> SceneRecord:
    size = item.geometry.labels.shape[0]
    picture = np.zeros((size, size, 3), np.uint8)
    return SceneRecord(picture, item.geometry.depth_m, item.geometry.labels, item.geometry.instances, item.scene)


@pytest.mark.parametrize("mode", ["interleaved", "perception", "text", "direct"])
def test_traces_end_with_the_answer_and_draw_what_helps(mode: str, staged: list[Staged]):
    for item in staged[:6]:
        record = _record(item)
        for question in questions_of(item.scene, 0, 15):
            trace = teacher_trace(question, record, mode, DEFAULT, MAPS)
            assert trace.final == question.solution
            assert score(question.solution, question.type, question.answer, question.choices, question.tolerance).correct
            drawn = [step.modality for step in trace.maps]
            if mode == "interleaved":
                assert drawn == ([HELPS[question.category]] if question.category in HELPS else [])
                assert trace.well_formed(TAGS)
            else:
                assert drawn == (["depth", "segmentation"] if mode == "perception" else [])
            for step in trace.maps:
                reading = MAPS[step.modality].decode(step.drawn)
                if step.modality == "depth":
                    np.testing.assert_allclose(reading.arrays["depth"], record.depth_m, atol=1e-3)


def test_thoughts_are_short_and_name_their_objects(staged: list[Staged]):
    seen = set()
    for item in staged:
        for question in questions_of(item.scene, 3, 20):
            seen.add(question.category)
            thought = observation(question, item.scene)
            assert 3 <= len(thought.split()) <= 50
            if CATEGORIES[question.category].group != "general":
                names = {thing.id: thing.name for thing in item.scene.objects}
                assert all(names[number] in thought for number in question.objects)
    assert seen == set(CATEGORIES)


def test_what_is_missing_is_named(staged: list[Staged]):
    question = questions_of(staged[0].scene, 0, 1, ("camera_distance",))[0]
    with pytest.raises(CooperError, match="depth"):
        teacher_trace(question, _record(staged[0]), "interleaved", DEFAULT, {})
    with pytest.raises(CooperError, match="no teacher"):
        teacher_trace(question, _record(staged[0]), "map", DEFAULT, MAPS)
