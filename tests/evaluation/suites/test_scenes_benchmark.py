"""The scenes benchmark from end to end, over a small stored set of made pictures."""

import json
import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cooper.errors import CooperError
from cooper.evaluation.runs.processes import Share
from cooper.evaluation.suites import scenes
from cooper.evaluation.suites.scenes import ScenesSuite, items_of
from cooper.perception import Reading, build_modalities
from cooper.scenes.examples import scene_example
from cooper.scenes.room.catalogue import CLASS_NAMES
from cooper.trace.steps import MapStep, TextStep
from cooper.trace.trace import Trace

pytest.importorskip("mitsuba")


class Seer:
    """Draws the truth and answers with it, unless the picture is grey."""

    def __init__(self, records, items):
        self.truths = {record.rgb.tobytes(): scene_example(record) for record in records}
        self.items = {item.id: item for item in items}
        self.modalities = build_modalities(
            {
                "depth": {"near": 0.3, "far": 8.0, "metric": True},
                "segmentation": {"codec": "scenes", "names": list(CLASS_NAMES)},
            }
        )

    def options(self, mode, *, given="own"):
        return mode

    def batch(self, questions, options=None, seed=0, samples=1):
        return [[self._trace(question, options)] for question in questions]

    def _trace(self, question, mode):
        seen = np.asarray(question.images[0]).tobytes() in self.truths
        truth = self.items[question.id].truth if seen else "no idea"
        return Trace(question, (TextStep(f"<think>.</think><answer>{truth}</answer>"),), mode=mode)

    def draw(self, images, modality, seed=0):
        return [self._map(image, modality) for image in images]

    def _map(self, image: Image.Image, modality: str) -> MapStep:
        truth = self.truths[np.asarray(image).tobytes()]
        arrays = {"depth": truth.depth_m, "labels": truth.labels, "instances": truth.instances}
        return MapStep(modality, self.modalities[modality].encode(Reading(arrays, {"depth": "m"})), image)


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> ScenesSuite:
    return ScenesSuite(
        model="seer", modes=("interleaved", "direct"), out=tmp_path_factory.mktemp("run"), limit=12, seed=3, quiet=True
    )


@pytest.fixture(scope="module")
def records(settings):
    return scenes._records(settings)


@pytest.fixture(scope="module")
def seer(records, settings) -> Seer:
    return Seer(records, items_of(records, settings))


def test_a_model_that_knows_scores_in_full(seer, settings):
    report = settings.evaluate(seer)
    for mode in report.modes:
        assert mode.rows == 12 and mode.unreadable == 0
        assert mode.means["spatial"].mean == 1.0
    assert report.depth["abs_rel_metres"].mean < 1e-3 and report.depth["abs_rel_metres"].rows == 3
    assert report.segmentation["miou"].mean > 0.97 and report.segmentation["pq"].mean > 0.9
    stored = json.loads((settings.out / "report.json").read_text())
    assert stored["settings"]["modes"] == "interleaved, direct"
    assert (
        (settings.out / "report.html").read_text().count('/page.html"')
        == 24
        == len(list(settings.out.glob("traces/*/*/page.html")))
    )
    assert {path.name for path in settings.out.glob("report.*")} == {"report.json", "report.md", "report.html"}


def test_the_same_folder_takes_more_modes_but_no_other_run(seer, settings):
    more = replace(settings, modes=("interleaved", "direct", "text"), batch=3).evaluate(seer)
    assert [mode.mode for mode in more.modes] == ["interleaved", "direct", "text"]
    with pytest.raises(CooperError, match="a run with limit 12, not 13"):
        replace(settings, limit=13).evaluate(seer)


def test_a_blind_run_shows_grey_and_draws_nothing(seer, settings, tmp_path):
    blind = replace(settings, blind=True, out=tmp_path, data=settings.out / "scenes").evaluate(seer)
    assert blind.modes[0].means["spatial"].mean == 0.0 and blind.modes[0].unreadable == 12
    assert blind.depth == {} and blind.segmentation == {}


def test_questions_are_even_and_named_once(records, settings):
    items = items_of(records, replace(settings, limit=30))
    assert len({item.id for item in items}) == len(items) == 30
    counts = [sum(item.category == name for item in items) for name in {item.category for item in items}]
    assert max(counts) <= 4
    assert all(item.question.images[0].size == (128, 128) for item in items)


def test_bad_settings_are_named(settings, tmp_path):
    with pytest.raises(CooperError, match="limit must be at least 1"):
        replace(settings, limit=0)
    with pytest.raises(CooperError, match="unknown mode 'guess'"):
        replace(settings, modes=("guess",))
    with pytest.raises(CooperError, match="maps must not be negative"):
        replace(settings, maps=-1)
    with pytest.raises(CooperError, match=r"dataset\.json: not found"):
        replace(settings, data=tmp_path / "none", out=tmp_path / "out").evaluate(None)


def test_other_processes_take_the_scenes_that_the_first_renders(records, settings, tmp_path):
    found = []
    other = replace(settings, out=tmp_path, share=Share(1, 2))
    thread = threading.Thread(target=lambda: found.append(scenes._records(other)))
    thread.start()
    shutil.copytree(settings.out / "scenes", tmp_path / "rendering")
    assert not found and thread.is_alive()
    (tmp_path / "rendering").rename(tmp_path / "scenes")
    thread.join(30)
    assert [scene.rgb.tobytes() for scene in found[0]] == [scene.rgb.tobytes() for scene in records]


def test_other_processes_report_nothing(seer, settings, tmp_path):
    whole = replace(settings, out=tmp_path).evaluate(seer)
    for report in tmp_path.glob("report.*"):
        report.unlink()
    assert replace(settings, out=tmp_path, share=Share(1, 2)).evaluate(seer) == whole
    assert not list(tmp_path.glob("report.*")) and len(list(tmp_path.glob("*.jsonl"))) == 3


def test_true_maps_come_with_the_questions_only_where_asked_for(settings):
    records = scenes._records(settings)
    assert not any(item.question.known for item in items_of(records, settings))
    told = items_of(records, replace(settings, given_maps="true"))
    by_scene = {scenes.scene_id(record.scene): record for record in records}
    for item in told:
        record = by_scene[item.id.rsplit("-", 2)[0]]
        assert set(item.question.known) == {"depth", "segmentation"}
        assert np.array_equal(item.question.known["depth"].arrays["depth"], record.depth_m)
        assert np.array_equal(item.question.known["segmentation"].arrays["labels"], record.labels)
    assert settings.record != replace(settings, given_maps="true").record
