"""Flags say whether maps help; a run that was interrupted goes on."""

import json
from dataclasses import replace

import pytest

import cooper.curation.flags as flags
from cooper.curation.counts import DrawingCounts
from cooper.curation.flags import FlagSettings, counts_of, flag_questions, read_flags
from cooper.errors import CooperError
from cooper.trace.steps import MapStep, TextStep
from cooper.trace.trace import Trace
from tests.networks import picture
from tests.training.rollout_groups import item, tiny_door


@pytest.mark.parametrize(
    ("counts", "flag"),
    [
        (DrawingCounts(6, 8, 3, 8), "positive"),
        (DrawingCounts(4, 8, 3, 8), "boundary"),
        (DrawingCounts(1, 8, 3, 8), "negative"),
        (DrawingCounts(8, 8, 0, 0), "boundary"),
        (DrawingCounts(0, 0, 8, 8), "boundary"),
        (DrawingCounts(1, 1, 3, 8), "boundary"),  # one drawn answer proves nothing
        (DrawingCounts(3, 3, 3, 13), "boundary"),
        (DrawingCounts(4, 4, 3, 12), "positive"),
    ],
)
def test_a_flag_is_a_clear_difference(counts, flag):
    assert counts.flag(0.25, 8) == flag


def test_traces_are_counted_by_whether_they_drew():
    asked = item()
    drawn = MapStep("depth", drawn=None, image=picture())  # pyright: ignore[reportArgumentType]
    right, wrong = TextStep("<answer>B</answer>"), TextStep("<answer>A</answer>")
    traces = [Trace(asked.question, steps) for steps in ((drawn, right), (drawn, wrong), (drawn, right), (right,), (wrong,))]
    assert counts_of(asked, traces) == DrawingCounts(2, 3, 1, 2)


class Questions:
    def __len__(self) -> int:
        return 5

    def ids(self) -> list[str]:
        return [f"q{number}" for number in range(5)]

    def item(self, number: int):
        return item(number)

    def digest(self, number: int) -> str:
        return f"digest {number}"


def test_flags_are_made_once_and_can_be_read(tmp_path, monkeypatch):
    door = tiny_door(tmp_path)
    out = tmp_path / "flags"
    settings = FlagSettings(model="tiny", data=tmp_path, out=out, samples=2, limit=3, batch=2, max_tokens=5, quiet=True)
    path = flag_questions(door, Questions(), settings).path
    first = path.read_text()
    assert [json.loads(line)["id"] for line in first.splitlines()] == ["q0", "q1", "q2"]
    row = json.loads(first.splitlines()[0])
    assert row["plain"] + row["drawn"] == 4 and row["flag"] in flags.FLAGS
    asked = []
    honest = flags.counts_of
    monkeypatch.setattr(flags, "counts_of", lambda one, traces: asked.append(one.id) or honest(one, traces))
    flag_questions(door, Questions(), replace(settings, limit=5))
    assert asked == ["q3", "q4"] and path.read_text().startswith(first)
    assert set(read_flags(path)) == {"q0", "q1", "q2", "q3", "q4"}
    assert (out / "flags.svg").read_text().startswith("<svg")
    with pytest.raises(CooperError, match="a run with samples '2', not '3'"):
        flag_questions(door, Questions(), replace(settings, samples=3))


class Damaged(Questions):
    """Question 1 cannot be read, and the others only once."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def item(self, number: int):
        assert number not in self.read, f"question {number} was read twice"
        if number == 1:
            raise CooperError("picture 1 is no picture")
        self.read.append(number)
        return item(number)


def test_questions_that_cannot_be_read_are_set_aside_and_those_done_are_not_read_again(tmp_path):
    door, questions = tiny_door(tmp_path), Damaged()
    settings = FlagSettings(
        model="tiny", data=tmp_path, out=tmp_path / "flags", samples=1, limit=3, batch=2, max_tokens=2, quiet=True
    )
    flagged = flag_questions(door, questions, settings)
    assert flagged.set_aside == {"q1": "picture 1 is no picture"} and set(read_flags(flagged.path)) == {"q0", "q2"}
    assert flag_questions(door, questions, settings).set_aside == flagged.set_aside
    with pytest.raises(CooperError, match="none of the 5 questions can be read; the first: no picture 0"):
        flag_questions(door, Unreadable(), replace(settings, limit=5, out=tmp_path / "none"))


class Unreadable(Questions):
    def item(self, number: int):
        raise CooperError(f"no picture {number}")


def test_what_is_no_flag_is_named(tmp_path):
    with pytest.raises(CooperError, match="make them with `cooper data flags`"):
        read_flags(tmp_path / "none.jsonl")
    (tmp_path / "flags.jsonl").write_text('{"id": "a", "flag": "good"}\n')
    with pytest.raises(CooperError, match="row 1: no id with a flag"):
        read_flags(tmp_path / "flags.jsonl")
    with pytest.raises(CooperError, match="margin must lie"):
        FlagSettings(model="nano", data=tmp_path, out=tmp_path, margin=0.0)
