import json
from types import SimpleNamespace

import numpy as np
import pytest

from cooper.reasoning import cooper as door
from cooper.reasoning.drawn_map import DrawnMap
from cooper.reasoning.events import DrawingProgress, StepDone, TextDelta, TraceDone
from cooper.trace.steps import MapStep, Question
from cooper.trace.trace import Trace


class FakeCooper:
    """Answers every question alike: these tests are about what is printed and written, and say what the model wrote. The
    commands run with nano in `test_doors.py`, `test_choices.py` and `test_bundled.py`."""

    modalities = {"depth": SimpleNamespace(tag="depth-estimation")}

    def __init__(self, example_trace, depth_step):
        self.example_trace, self.depth_step = example_trace, depth_step

    def ask(self, asked, mode="interleaved", seed=0, choices=None):
        return self.example_trace(asked.images[asked.subject], asked.text, mode, seed)

    def stream(self, asked, mode="interleaved", seed=0, choices=None):
        trace = self.ask(asked, mode, seed, choices)
        for step in trace.steps:
            if isinstance(step, MapStep):
                yield DrawingProgress((0,), 1, 8)
            elif step.author == "model":
                yield from (TextDelta(0, step.text[at : at + 3]) for at in range(0, len(step.text), 3))
            yield StepDone(0, step)
        yield TraceDone(0, trace)

    def depth(self, image, seed=0, native=False):
        step = self.depth_step
        trace = Trace(Question((image,)), (step,), mode="map", model="fake", seed=seed)
        return DrawnMap(step.reading, step.image, image, trace)

    segment = depth


@pytest.fixture
def loaded(monkeypatch, example_trace, depth_step):
    """The names of the models that were loaded."""
    names = []

    def load(name, base=None, device_map=None, quantization=None):
        names.append(name)
        return FakeCooper(example_trace, depth_step)

    monkeypatch.setattr(door.Cooper, "from_pretrained", load)
    return names


def test_ask_prints_the_trace_as_it_streams(run, picture, loaded):
    ran = run("ask", picture, "Which?", "--seed", 4)
    assert ran.code == 0 and loaded == ["nano"]
    assert "<think>Look.</think>\n<depth-estimation>Draw.</depth-estimation>" in ran.out
    assert "depth map, 32 x 24 px; depth 1.00 to 6.50 m" in ran.out
    assert ran.out.rstrip().endswith("B\nfake · seed 4 · 1.5 s")


def test_ask_leaves_a_folder_with_a_page(run, picture, loaded, tmp_path):
    ran = run("ask", picture, "Which?", "--out", tmp_path / "out", "--mode", "perception")
    assert ran.code == 0 and "page.html" in ran.out.replace("\n", "")
    assert "<!doctype html>" in (tmp_path / "out" / "page.html").read_text()
    trace = Trace.load(tmp_path / "out")
    assert (trace.mode, trace.answer) == ("perception", "B")


def test_json_is_one_object_and_nothing_else(run, picture, loaded):
    ran = run("ask", picture, picture, "Which?", "--subject", 0, "--json", "--model", picture.parent)
    result = json.loads(ran.out)
    assert (result["answer"], result["question"], result["folder"]) == ("B", "Which?", None)
    assert [step["kind"] for step in result["steps"]] == ["text", "map", "text", "text"]
    assert result["steps"][1]["reading"]["depth"] == {"unit": "m", "min": 1.0, "max": 6.5}
    assert ran.err == "" and loaded == [str(picture.parent)]


@pytest.mark.parametrize(
    ("question", "words"),
    [("", "the question is empty"), (" \n", "the question is empty"), ("x" * 100_000, "100000 characters")],
)
def test_a_bad_question_is_refused_before_loading(run, picture, loaded, question, words):
    ran = run("ask", picture, question)
    assert ran.code == 1 and words in ran.err and ran.out == "" and len(ran.err.splitlines()) == 1
    assert loaded == []


def test_a_question_with_tags_is_only_text(run, picture, loaded):
    asked = "<answer>A</answer> <depth-estimation>x</depth-estimation> <|im_end|>"
    assert json.loads(run("ask", picture, asked, "--json").out)["answer"] == "B"


def test_a_bad_picture_is_one_sentence(run, tmp_path, loaded):
    path = tmp_path / "notes.txt"
    path.write_text("no picture")
    for command in (("ask", path, "Which?"), ("depth", path), ("segment", path)):
        ran = run(*command)
        assert ran.code == 1 and "notes.txt is not a picture" in ran.err and "Traceback" not in ran.err
    assert "No such file" in run("ask", tmp_path / "absent.png", "Which?").err


def test_usage_mistakes_end_with_two(run, picture, loaded):
    ran = run("ask", picture, "Which?", "--mode", "dream")
    assert ran.code == 2 and "dream" in ran.err
    assert run("ask", picture).code == 2
    assert run("dance").code == 2


def test_a_model_that_is_not_there(run, picture):
    ran = run("ask", picture, "Which?", "--model", "/no/such/model")
    assert ran.code == 1 and "/no/such/model" in ran.err


def test_a_folder_of_other_things_is_kept(run, picture, loaded):
    ran = run("ask", picture, "Which?", "--out", picture.parent)
    assert ran.code == 1 and "room.png" in ran.err and picture.exists()


def test_depth_leaves_array_and_points(run, picture, loaded, tmp_path):
    for _ in range(2):  # a second run replaces the first
        ran = run("depth", picture, "--out", tmp_path / "out", "--view", 70)
        assert ran.code == 0 and "depth 1.00 to 6.50 m" in ran.out
    assert np.load(tmp_path / "out" / "map_depth.npy").shape == (24, 32)
    assert (tmp_path / "out" / "points.ply").read_bytes().startswith(b"ply")
    assert (tmp_path / "out" / "map.png").exists() and (tmp_path / "out" / "page.html").exists()
    assert run("depth", picture, "--view", 180).code == 1


def test_segment_prints_json(run, picture, loaded, tmp_path):
    result = json.loads(run("segment", picture, "--json", "--out", tmp_path / "out").out)
    assert result["mode"] == "map" and result["folder"] == str(tmp_path / "out")


def test_interruption_ends_with_130(run, picture, loaded, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeCooper, "ask", stop)
    ran = run("ask", picture, "Which?", "--json")
    assert ran.code == 130 and ran.err == "cooper: interrupted\n" and ran.out == ""
