from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from cooper.errors import CooperError
from cooper.perception.modality import Reading
from cooper.trace.page import save_with_page, trace_page
from cooper.trace.steps import MapStep, Question, TextStep
from cooper.trace.trace import Trace

ATTACK = '<script>alert("1")</script></style><img src=x onerror=alert(1)> & <answer>A</answer>'
VOID = {"meta", "img"}


class Outline(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.links, self.text = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def outline(trace):
    page = Outline()
    page.feed(trace_page(trace))
    assert page.open == []
    return page


def example(text="Which chair is nearer?", answer=r"<think>2 m < 3 m</think>\n<answer>\boxed{B}</answer>"):
    depth = np.linspace(1, 6.5, 48, dtype=np.float32).reshape(6, 8)
    grey = Image.fromarray((depth * 30).astype(np.uint8)).convert("RGB")
    reading = Reading({"depth": depth}, {"depth": "m"})
    labels = Reading({"labels": np.array([[0, 7]], dtype=np.int32)}, {"labels": "class id"}, {0: "floor", 7: "chair", 8: "cat"})
    drawn = np.zeros((6, 8, 3), dtype=np.float32)
    steps = (
        TextStep("<think>Look.</think>\n<depth-estimation>Draw.</depth-estimation>", (1, 2), (-0.1, -0.2), seconds=0.5),
        MapStep("depth", drawn, grey, seconds=1.5, reading=reading),
        TextStep("Check the map.", author="prompt"),
        MapStep("segmentation", drawn, grey, reading=labels),
        TextStep(answer, (3,), (-0.1,), truncated=True),
    )
    question = Question((Image.new("RGB", (8, 6), "red"), text))
    return Trace(question, steps, model="nano", seed=3, system="Be exact.", settings={"temperature": 0.7})


def test_the_page_shows_everything():
    page = outline(example())
    for words in ("Which chair is nearer?", "Look.", "depth 1.00 to 6.50 m", "floor, chair", "Check the map.", "B"):
        assert words in page.text
    for words in ("seed 3", "nano", "temperature", "0.7", "Be exact.", "2.00 s in all", "cut this turn"):
        assert words in page.text
    assert "cat" not in page.text
    assert page.seen.count("img") == 5  # the question, and each map beside it


def test_the_page_needs_nothing_else():
    page = outline(example())
    assert page.links and all(link.startswith("data:image/") for link in page.links)
    assert "script" not in page.seen
    assert "http" not in trace_page(example()).replace("http-equiv", "")


@pytest.mark.parametrize("where", ["question", "turn", "model", "settings", "system", "modality"])
def test_every_text_is_escaped(where):
    trace = example(*([ATTACK] if where == "question" else ["q", ATTACK] if where == "turn" else []))
    if where in ("model", "system"):
        trace = replace(trace, **{where: ATTACK})
    if where == "settings":
        trace = replace(trace, settings={ATTACK: ATTACK})
    if where == "modality":
        trace = replace(trace, steps=(replace(trace.steps[1], modality=ATTACK),))
    page = outline(trace)
    assert ATTACK in page.text
    assert "script" not in page.seen


def test_a_trace_without_answer_or_picture():
    page = outline(Trace(Question(("q",)), (TextStep("<think>x"),)))
    assert "gave no answer" in page.text
    assert "section" not in outline(Trace(Question(("",)), mode="map")).seen


def test_large_pictures_stay_light():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (800, 900, 3), dtype=np.uint8))
    assert "data:image/jpeg" in trace_page(Trace(Question((noise,))))


def test_a_page_is_saved_with_its_trace_or_not_at_all(tmp_path):
    save_with_page(example(), tmp_path / "trace")
    before = (tmp_path / "trace" / "page.html").read_text()
    assert before == trace_page(example()) and Trace.load(tmp_path / "trace").answer == example().answer

    def full(folder):
        raise OSError(28, "No space left on device")

    with pytest.raises(CooperError, match="No space left on device"):
        save_with_page(example(answer="another"), tmp_path / "trace", beside=full)
    assert (tmp_path / "trace" / "page.html").read_text() == before


def test_the_answer_stands_below_the_question_and_before_the_steps():
    page = trace_page(example(answer=r"<think>far x 3 y 4 2.0 m</think><answer>\boxed{the left one}</answer>"))
    places = [page.index(words) for words in ('"question">Which', '"final">the left one<', "x 3 y 4", '"steps"', "Draw.")]
    assert places == sorted(places)


@pytest.mark.parametrize(("thought", "told"), [("cube x 8 y 1 2.0 m", "“x 8 y 1” in a thought is a place"), ("x 9 y 12", "")])
def test_places_in_eighths_are_explained_where_a_thought_names_them(thought, told):
    page = trace_page(example(answer=f"<think>{thought}</think><answer>B</answer>"))
    assert told in page and ("eighths" in page) == bool(told)


def test_notes_stand_under_the_answer():
    trace = example()
    page = trace_page(replace(trace, notes=("This picture is unlike <b>those</b> that nano knows.",)))
    assert page.index('"final"') < page.index('"warning">This picture is unlike &lt;b&gt;those') < page.index('"steps"')
    assert '"warning"' not in trace_page(trace)
