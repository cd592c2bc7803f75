"""Traces are equal by their values, before and after they were on a disk, and a prompt shows each in one line."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cooper import Cooper, example
from cooper.perception.modality import Reading
from cooper.trace.steps import MapStep, Question, TextStep
from cooper.trace.trace import Trace

random = np.random.default_rng(2)
PIXELS = random.integers(0, 256, (8, 12, 3), dtype=np.uint8)
DEPTH = random.random((8, 12), dtype=np.float32)
DEPTH[0, 0] = np.nan
WORDS = TextStep("<answer>A</answer>", (1, 2), (-0.5, -0.25), seconds=1.0)


def drawn(**changed) -> MapStep:
    kept = {
        "drawn": random_like(),
        "image": Image.fromarray(PIXELS),
        "latents": np.ones((4, 2), np.float32),
        "reading": Reading({"depth": DEPTH}, {"depth": "m"}),
        "path": np.zeros((2, 4, 2), np.float32),
        "logprobs": (-1.0,),
    }
    return MapStep("depth", **{**kept, **changed})


def random_like() -> np.ndarray:
    return PIXELS.astype(np.float32) / 255


def trace() -> Trace:
    question = Question((Image.fromarray(PIXELS), "Which?"), id="q")
    return Trace(question, (drawn(), WORDS), "text", "nano", 3, "S", {"interval": (0.4, 1.0)}, ("a note",))


def test_a_trace_that_was_saved_is_the_same(tmp_path):
    saved = trace()
    saved.save(tmp_path / "t")
    again = Trace.load(tmp_path / "t")
    assert again == saved and hash(again) == hash(saved) and again in [saved]
    saved.save(tmp_path / "light", arrays=False)
    assert Trace.load(tmp_path / "light") != saved  # which says less


def test_what_a_model_answered_is_the_same_after_a_disk_and_when_asked_again(tmp_path):
    nano = Cooper.from_pretrained("nano")
    known = {"depth": np.full((48, 48), 2.0, np.float32)}
    asked = nano.ask(example(), mode="perception", known=known)
    asked.save(tmp_path / "t")
    assert Trace.load(tmp_path / "t") == asked == nano.ask(example(), mode="perception", known=known)
    assert nano.ask(example(), mode="perception", known=known, seed=1) != asked


def test_time_is_not_compared():
    one = trace()
    late = replace(one, steps=(replace(one.steps[0], seconds=9.0), replace(one.steps[1], seconds=9.0)))
    assert one == late and hash(one) == hash(late)


@pytest.mark.parametrize(
    "changed",
    [
        {"drawn": random_like().astype(np.float64)},
        {"drawn": random_like()[:4]},
        {"drawn": random_like() + np.float32(1e-6)},
        {"image": Image.fromarray(PIXELS[::-1].copy())},
        {"image": Image.fromarray(PIXELS[:, :, 0])},
        {"latents": None},
        {"latents": np.zeros((4, 2), np.float32)},
        {"path": None},
        {"logprobs": (-2.0,)},
        {"reading": None},
        {"reading": Reading({"depth": DEPTH + 1}, {"depth": "m"})},
        {"reading": Reading({"depth": DEPTH}, {"depth": "relative"})},
        {"reading": Reading({"labels": DEPTH}, {"depth": "m"})},
        {"reading": Reading({"depth": DEPTH}, {"depth": "m"}, {1: "floor"})},
    ],
    ids=lambda changed: "-".join(changed),
)
def test_one_other_number_of_a_map_is_another_map(changed):
    assert drawn(**changed) != drawn() and replace(trace(), steps=(drawn(**changed), WORDS)) != trace()


@pytest.mark.parametrize(
    "changed",
    [
        {"mode": "direct"},
        {"model": "other"},
        {"seed": 4},
        {"system": ""},
        {"settings": {"interval": (0.4, 0.9)}},
        {"notes": ()},
        {"steps": (drawn(),)},
        {"steps": (drawn(), replace(WORDS, text="<answer>B</answer>"))},
        {"question": Question((Image.fromarray(PIXELS), "Which one?"), id="q")},
        {"question": Question((Image.fromarray(PIXELS + 1), "Which?"), id="q")},
        {"question": Question(("Which?", Image.fromarray(PIXELS)), id="q")},
        {"question": Question((Image.fromarray(PIXELS), "Which?"), id="r")},
        {"question": Question((Image.fromarray(PIXELS), "Which?"), subject=0, id="q")},
    ],
    ids=lambda changed: "-".join(changed),
)
def test_one_other_field_is_another_trace(changed):
    assert replace(trace(), **changed) != trace() and trace() == trace()


def test_nothing_else_is_a_trace():
    assert trace() != "trace" and drawn() != WORDS and Reading({}, {}) != {} and Question(("a",)) != "a"


def test_a_question_with_known_maps_is_another_question():
    one = Question(("a",), known={"depth": Reading({"depth": DEPTH}, {"depth": "m"})})
    assert one == replace(one) and one != replace(one, known={})


def test_a_prompt_shows_one_short_line():
    long = "<think>" + "word\n" * 5000
    values = {
        "<Trace text, nano, seed 3: steps 2, maps 1, 1.0 s, answer 'A'>": trace(),
        "<TextStep model, 2 tokens, 1.0 s: '<answer>A</answer>'>": WORDS,
        "<TextStep prompt, 5 characters: 'Look.'>": TextStep("Look.", author="prompt"),
        "<MapStep depth drawn, 12 x 8 px, 0.0 s: depth 0": drawn(),
        "<MapStep depth known, 12 x 8 px, 0.0 s: not read>": drawn(latents=None, reading=None),
        "<Reading: depth float32 [8, 12] m>": Reading({"depth": DEPTH}, {"depth": "m"}),
        "<Question 'q': picture (12 x 8 px), 'Which?'>": trace().question,
        "<Question 4 pictures, known depth, 'a'>": Question(
            (*[Image.fromarray(PIXELS)] * 4, "a"), known={"depth": Reading({}, {})}
        ),
        "<Question '": Question((long,), id=long),
        "<TextStep model, 25007 characters: ": TextStep(long),
        "<Reading: label": Reading({f"label{n}": DEPTH for n in range(99)}, {}),
        "<MapStep segmentation": MapStep("segmentation" * 50, random_like(), Image.fromarray(PIXELS)),
        "<Trace interleaved, no model, seed 0: steps 1": Trace(Question(("a",)), (TextStep(f"<answer>{long}</answer>"),)),
    }
    for begins, value in values.items():
        told = repr(value)
        assert told.startswith(begins) and told.endswith(">") and len(told) <= 160 and "\n" not in told, told


def test_a_model_and_its_maps_are_one_line():
    nano = Cooper.from_pretrained("nano")
    assert repr(nano) == "<Cooper nano: 8.8 million parameters on cpu, draws depth, segmentation>"
    depth = nano.depth(example().images[0])
    assert repr(depth) == "<DrawnMap of 128 x 128 px: <Reading: depth float32 [128, 128] m>>"
    assert repr(depth.point_cloud()) == "<PointCloud: 16,384 points>"
