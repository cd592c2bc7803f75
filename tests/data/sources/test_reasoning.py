"""Readers of reasoning: what is asked, what is learned, which pictures stand where, and every fault by line and field."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cooper.data.sources.reasoning.question_rows import read_question_rows
from cooper.data.sources.reasoning.trace_file import RowTaker, TraceFile, kind_of_rows
from cooper.errors import CooperError
from cooper.trace.prompts import DEFAULT
from cooper.trace.steps import MapStep, Question, TextStep
from cooper.trace.trace import Trace
from cooper.training.data import DataSource
from cooper.training.traces import UNKNOWN, trace_file
from tests.reasoning_files import coded, interleaved_row, last, picture, published_questions, shown, turn, words, write_rows

FLAGS = ("positive", "negative", "boundary")


def opened(data: Path | DataSource, **changes: int) -> TraceFile:
    """The traces of a file for a checkpoint that draws at half of a picture's size."""
    taker = RowTaker(
        DEFAULT, lambda image: image.resize((image.width // 2, image.height // 2)), lambda row, mode: len(row.steps)
    )
    return trace_file(data, taker, 0, 1000, **changes)


def told(trace: Trace) -> list[tuple[str, str]]:
    """Who said what, and which maps stand between."""
    return [("map", step.modality) if isinstance(step, MapStep) else (step.author, step.text) for step in trace.steps]


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and one.tobytes() == other.tobytes()


def test_a_published_row_says_what_is_learned(tmp_path):
    rows = [interleaved_row(0, ()), interleaved_row(1, ("depth", "segmentation"))]
    found = opened(write_rows(tmp_path / "rows.jsonl", rows))
    assert dict(found.modes) == {"interleaved": 2} and (len(found), found.maps) == (2, 1)
    trace = found.trace(1)
    assert (trace.mode, trace.system) == ("interleaved", DEFAULT.system["interleaved"])
    assert trace.question.text == "How many boxes are there?" and same(trace.question.images[0], picture(10))
    assert told(trace) == [
        ("model", turn("depth")),
        ("map", "depth"),
        ("prompt", DEFAULT.reflection),
        ("model", turn("segmentation")),
        ("map", "segmentation"),
        ("prompt", DEFAULT.reflection),
        ("model", last("3")),
    ]
    assert [same(step.image, picture(1010 + place)) for place, step in enumerate(trace.maps)] == [True, True]
    assert not any(step.drawn.size for step in trace.maps), "published pictures carry no loss"
    assert told(found.trace(0)) == [("model", last("B"))]


def test_parts_may_stand_in_any_order(tmp_path):
    late = {
        "interleaved_reason": [words("Look:", False), shown(1, prefix="data:image/png;base64,"), words("Is it red?", False)]
    }
    late["interleaved_reason"] += [{"type": "img", "value": coded(picture(2), "JPEG")}, words("Yes", True), words("!", False)]
    with pytest.warns(UserWarning, match="line 1: the last words hold no <answer> element"):
        found = opened(write_rows(tmp_path / "rows.jsonl", [late]))
    trace = found.trace(0)
    kinds = ["text" if isinstance(part, str) else part.size for part in trace.question.parts]
    assert kinds == ["text", (64, 48), "text", (64, 48)] and trace.mode == "text"
    assert told(trace) == [("model", "Yes"), ("prompt", "!")]


def test_the_mode_of_a_file_may_be_named(tmp_path):
    path = write_rows(tmp_path / "rows.jsonl", [interleaved_row(0, ())])
    assert dict(opened(path).modes) == {"text": 1}
    named = opened(DataSource(kind="reasoning", path=path, mode="interleaved"))
    assert named.trace(0).system == DEFAULT.system["interleaved"]
    with pytest.raises(CooperError, match="split is no key of the kind reasoning"):
        DataSource(kind="reasoning", path=path, split="training")


def own(**changes: object) -> dict:
    question = [{"image": "1.png"}, {"text": "How many?"}]
    steps = [
        {"text": turn("depth")},
        {"map": "depth", "image": "2.png", "drawn": "3.png"},
        {"text": "Check.", "author": "prompt"},
    ]
    row = {"question": question, "steps": [*steps, {"text": last("3")}], **changes}
    return {name: value for name, value in row.items() if value is not None}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for number in (1, 2, 3):
        picture(number).save(tmp_path / f"{number}.png")
    return tmp_path


def test_traces_of_your_own_name_what_is_drawn(pictures):
    plain = own(steps=[{"text": last("3")}], id="b", system="Be brief.")
    found = opened(write_rows(pictures / "mine.jsonl", [own(), plain, own(mode="perception")]))
    assert dict(found.modes) == {"interleaved": 1, "text": 1, "perception": 1}
    trace = found.trace(0)
    assert told(trace) == [("model", turn("depth")), ("map", "depth"), ("prompt", "Check."), ("model", last("3"))]
    (step,) = trace.maps
    assert same(step.image, picture(2)) and step.drawn.shape == (24, 32, 3) and step.drawn.dtype == np.float32
    assert (found.trace(1).question.id, found.trace(1).system) == ("b", "Be brief.")
    kinds = {found.group(number, 0, kind, 1).traces[0].mode for number in range(4) for kind in ("text", "perception")}
    assert kinds == {"text", "perception"}


def test_a_stored_trace_is_a_row(pictures):
    drawn = np.zeros((48, 64, 3), np.float32)
    steps = (TextStep(turn("depth"), (1, 2), (-1.0, -1.0)), MapStep("depth", drawn, picture(5)), TextStep(last("3")))
    stored = Trace(Question((picture(4), "How many?")), steps, "interleaved", system="As asked.")
    stored.save(pictures / "kept")
    trace = opened(write_rows(pictures / "mine.jsonl", [{"trace": "kept"}])).trace(0)
    assert told(trace) == told(stored) and trace.system == "As asked." and same(trace.maps[0].image, picture(5))
    assert not any(isinstance(step, TextStep) and step.token_ids for step in trace.steps), "ids are of another tokenizer"
    assert not trace.maps[0].drawn.size


def test_conversations_learn_the_replies(pictures):
    said = [{"from": "human", "value": "<image>\nHow many?"}, {"from": "gpt", "value": "3"}]
    more = [{"from": "human", "value": "And in <image>?"}, {"from": "gpt", "value": "4"}, {"from": "human", "value": "Sure?"}]
    rows = [
        {"image": "1.png", "conversations": said},
        {"image": ["1.png"], "conversations": [*more, {"from": "gpt", "value": "Yes"}]},
        {"conversations": [{"from": "system", "value": "Sum."}, {"from": "human", "value": "2 + 2?"}, said[1]]},
    ]
    found = opened(write_rows(pictures / "llava.jsonl", rows))
    assert dict(found.modes) == {"direct": 3} and [len(found.trace(number).question.images) for number in range(3)] == [1, 1, 0]
    assert told(found.trace(0)) == [("model", "3")] and found.trace(0).question.text == "How many?"
    assert told(found.trace(1)) == [("model", "4"), ("prompt", "Sure?"), ("model", "Yes")]
    assert (found.trace(2).system, found.trace(2).question.text) == ("Sum.", "2 + 2?")


def test_messages_learn_the_replies(pictures):
    content = [
        {"type": "image_url", "image_url": {"url": coded(picture(1), prefix="data:image/png;base64,")}},
        {"type": "text", "text": "And"},
        {"type": "image_url", "image_url": {"url": "2.png"}},
    ]
    said = [{"role": "user", "content": content}, {"role": "assistant", "content": "Boxes"}]
    trace = opened(write_rows(pictures / "chat.jsonl", [{"messages": said}])).trace(0)
    assert [same(one, picture(number)) for number, one in enumerate(trace.question.images, 1)] == [True, True]
    assert told(trace) == [("model", "Boxes")] and trace.mode == "direct"


def torn(number: int = 1) -> dict:
    row = interleaved_row(number, ("depth",))
    whole = base64.b64decode(coded(picture(1, (640, 480)), "JPEG"))
    row["interleaved_reason"][0]["value"] = base64.b64encode(whole[: len(whole) // 2]).decode()
    return row


def part(place: int, **changes: object) -> dict:
    """A good row with one of its parts changed."""
    row = interleaved_row(1, ("depth",))
    row["interleaved_reason"][place] |= changes
    return row


def without(place: int) -> dict:
    row = interleaved_row(1, ("depth",))
    del row["interleaved_reason"][place]
    return row


ASKED = {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]}
SHOWN = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "1.png"}}]}
FAULTS = [
    ({"messages": []}, "line 2: the field 'interleaved_reason' is missing"),
    ({"interleaved_reason": []}, "line 2: the field 'interleaved_reason' is empty"),
    ({"interleaved_reason": ["?"]}, "line 2: field 'interleaved_reason'[0] must be an object, not '?'"),
    (part(1, need_loss=False), "'interleaved_reason'[1]: the field 'need_loss' is False; it must be the text \"true\" or"),
    (part(2, need_loss="True"), "'interleaved_reason'[2]: the field 'need_loss' is 'True'"),
    (part(1, value=3), "'interleaved_reason'[1]: the field 'value' must be a text, not 3"),
    (part(1, type=None), "'interleaved_reason'[1]: the field 'type' must be a text, not null"),
    (part(0, value="data:image/png;base64,***"), "'interleaved_reason'[0], field 'value': the picture is no base64"),
    (part(0, value="aGVsbG8="), "'interleaved_reason'[0], field 'value': the picture is not a picture that can be read"),
    (torn(), "'interleaved_reason'[0], field 'value': the picture is a truncated or damaged picture"),
    (without(3), "line 2: a turn asks for a map of depth, and no picture follows it"),
    ({"interleaved_reason": [shown(1), words("?", False)]}, "line 2: no part of the row is learned"),
]


@pytest.mark.parametrize(("row", "said"), FAULTS, ids=[said[:60] for _, said in FAULTS])
def test_a_row_at_fault_is_named(tmp_path, row, said):
    path = write_rows(tmp_path / "rows.jsonl", [interleaved_row(0, ()), row])
    with pytest.raises(CooperError, match=re.escape(said)) as caught:
        opened(path)
    assert str(caught.value).startswith(f"{path}, line 2") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (own(steps=[]), "the field 'steps' is empty"),
        (own(question=None), "the field 'question' is missing"),
        (own(mode="map"), "field 'mode': unknown mode 'map'; known: interleaved"),
        (own(answer="3"), "unknown field 'answer'; known: id, mode"),
        (own(question=[{"image": "9.png"}]), "field 'question'[0], field 'image': cannot read"),
        (own(question=[{"image": "mine.jsonl"}]), "mine.jsonl is not a picture that can be read"),
        (own(steps=[{"text": "!", "author": "me"}]), "'steps'[0]: the field 'author' is 'me'; known: model, prompt"),
        (own(steps=[{"map": "depth"}, {"text": "!"}]), "'steps'[0]: the field 'image' is missing"),
        (own(steps=[{"text": "!", "author": "prompt"}]), "no part of the row is learned"),
        ({"trace": "gone"}, "field 'trace': cannot read"),
        ({"conversations": [{"from": "me", "value": "?"}]}, "the field 'from' is 'me'; known: human"),
        ({"conversations": [{"from": "human", "value": "<image>"}]}, "more marks <image> than the 0 pictures"),
        ({"conversations": [{"from": "human", "value": "?"}], "image": "1.png"}, "names 1 pictures, and 0 marks <image> show"),
        ({"conversations": [{"from": "human", "value": "?"}], "video": "1.mp4"}, "the field 'video' is not read"),
        ({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}, "content[0]: the type is 'audio'; known: text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.b/c.png"}}]}]},
            "nothing is fetched",
        ),
        ({"messages": [*ASKED["messages"], SHOWN]}, "a picture stands behind the first reply"),
    ],
)
def test_a_row_of_another_form_at_fault_is_named(pictures, row, said):
    path = write_rows(pictures / "mine.jsonl", [row])
    with pytest.raises(CooperError, match=re.escape(said)) as caught:
        opened(path)
    assert str(caught.value).startswith(f"{path}, line 1") and "\n" not in str(caught.value)


def test_lines_that_are_no_rows_are_named(tmp_path):
    path = write_rows(tmp_path / "rows.jsonl", [interleaved_row(0, ()), interleaved_row(1, ())])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 200])
    with pytest.raises(CooperError, match=r"rows\.jsonl, line 2: not JSON"):
        opened(path)
    path.write_bytes(whole.replace(b"How many", b"How \xff many"))
    with pytest.raises(CooperError, match=r"rows\.jsonl, line 2: not UTF-8"):
        opened(path)
    path.write_bytes(b"\n")
    with pytest.raises(CooperError, match=r"rows\.jsonl holds no row"):
        opened(path)
    with pytest.raises(CooperError, match=r"none\.jsonl"):
        opened(tmp_path / "none.jsonl")
    path = write_rows(tmp_path / "list.jsonl", [{"image": "1.png", "depth": "1.depth.png"}])
    with pytest.raises(CooperError, match="holds pictures, from which sft learns nothing"):
        opened(path)


def test_a_row_that_is_too_long_is_refused(tmp_path):
    rows = [interleaved_row(0, ()), interleaved_row(1, ("depth",)), interleaved_row(2, ("depth", "depth"))]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    assert opened(path).longest == 7
    with pytest.raises(CooperError, match=r"line 3: the row has 7 tokens, above 3 \(so in 2 of 3\)"):
        opened(path, longest=3)


def test_a_large_row_is_read(tmp_path):
    row = interleaved_row(0, ())
    row["interleaved_reason"][0]["value"] = coded(
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (2400, 2400, 3), np.uint8))
    )
    path = write_rows(tmp_path / "rows.jsonl", [row])
    assert path.stat().st_size > 17 << 20 and opened(path).trace(0).question.images[0].size == (2400, 2400)


def test_published_questions_get_a_type(tmp_path):
    path = published_questions(tmp_path)
    found = read_question_rows(path, None, FLAGS)
    assert [(item.id, item.type, item.truth, item.choices) for item in found.items[:3]] == [
        ("q0", "MCQ", "B", ("left", "right")),
        ("q1", "Number_Int", "3", ()),
        ("q2", "YN", "yes", ()),
    ]
    assert [found.flags[f"q{number}"] for number in range(3)] == list(FLAGS)
    assert same(found.items[1].question.images[0], picture(1))
    assert read_question_rows(published_questions(tmp_path / "plain", flags=False), None, FLAGS).flags == {}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for answer, kind, truth in (("(b)", "MCQ", "B"), ("Right", "MCQ", "Right"), ("2.5", "MCQ", "")):
        changed = write_rows(tmp_path / "RL_data.jsonl", [{**rows[0], "answer": answer}])
        item = read_question_rows(changed, None, FLAGS).items[0]
        assert (item.type, item.truth) == ((kind, truth) if truth else ("Number", "2.5"))
    assert kind_of_rows(path) == "questions"
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (tmp_path / "images" / "0.png").rename(elsewhere / "0.png")
    moved = write_rows(tmp_path / "RL_data.jsonl", rows[:1])
    assert same(read_question_rows(moved, elsewhere, FLAGS).items[0].question.images[0], picture(0))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image": "gone.png"}, "field 'image': cannot read .*gone.png: No such file"),
        ({"image": 3}, "the field 'image' must be a text, not 3"),
        ({"flag": "postive"}, "the field 'flag' is 'postive'; known: positive, negative, boundary"),
        ({"answer": "E"}, "the field 'answer' is 'E', and the question offers A, B"),
        ({"answer": " "}, "the field 'answer' is empty"),
        ({"question": None}, "the field 'question' must be a text, not null"),
        ({"data_id": "q1"}, "the data_id 'q1' stands there twice"),
        ({"data_id": None}, "the field 'data_id' is missing, or no text and no whole number"),
    ],
)
def test_a_published_question_at_fault_is_named(tmp_path, change, said):
    path = published_questions(tmp_path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[3] |= change
    with pytest.raises(CooperError, match=rf"RL_data\.jsonl, line 4.*{said}"):
        read_question_rows(write_rows(path, rows), None, FLAGS)


def test_pictures_of_conversations_may_lie_in_images_beside_the_file(tmp_path):
    (tmp_path / "images").mkdir()
    picture(0).save(tmp_path / "images" / "0.png")
    talk = [{"from": "human", "value": "<image>Which?"}, {"from": "gpt", "value": "B"}]
    path = write_rows(tmp_path / "llava.jsonl", [{"image": "0.png", "conversations": talk}])
    assert trace_file(path, UNKNOWN, 0, 10).trace(0).question.images[0].size == picture(0).size
