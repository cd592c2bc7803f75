"""A published benchmark from its files to its report, with and without a judge."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.evaluation.figures.comparison import compare_runs
from cooper.evaluation.judge.verdicts import judge_rows, laid_over
from cooper.evaluation.runs.answering import answer_all
from cooper.evaluation.runs.settings import RunSettings
from cooper.evaluation.suites.published import PublishedSuite, limited
from cooper.files.rows import read_rows
from cooper.trace.steps import MapStep, Question, TextStep
from cooper.trace.trace import Trace
from tests.judge_server import Play, completion, serving, settings_of

SAID = {"mmvp": "A", "open": "It is red, I think.", "unclear": "Hard to say, perhaps the left one of them"}


class Says:
    """Gives one reply to everything; draws in interleaved mode.

    A fake, so that replies are known and a run can be stopped at a batch; `benchmarks/test_real_door.py` runs nano.
    """

    modalities: dict = {}

    def __init__(self, reply: str, stop_after: int = 10**9) -> None:
        self.reply, self.left, self.asked = reply, stop_after, 0

    def options(self, mode, *, given="own"):
        return mode

    def batch(self, questions, options="direct", seed=0, samples=1):
        self.asked += len(questions)
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        drawn = [MapStep("depth", np.zeros((4, 4, 3), np.float32), Image.new("RGB", (4, 4)))] * (options == "interleaved")
        step = TextStep(f"<answer>{self.reply}</answer>")
        return [[Trace(question, (*drawn, step), mode=options)] for question in questions]


@pytest.fixture
def mmvp(tmp_path):
    folder = tmp_path / "MMVP"
    (folder / "MMVP Images").mkdir(parents=True)
    lines = ["Index,Question,Options,Correct Answer"]
    for number in range(1, 9):
        lines.append(f'{number},"Open or closed?","(a) Open (b) Closed",({"ab"[number % 3 == 0]})')
        Image.new("RGB", (16, 12), (number, 0, 0)).save(folder / "MMVP Images" / f"{number}.jpg")
    (folder / "Questions.csv").write_text("\n".join(lines) + "\n")
    return folder


def settings(out, data, **changes) -> PublishedSuite:
    modes = ("interleaved", "direct")
    suite = PublishedSuite(model="says", name="mmvp", modes=modes, out=out, data=str(data), batch=3, quiet=True)
    return replace(suite, **changes)


def test_rows_pairs_and_notes_are_counted_by_hand(mmvp, tmp_path):
    report = settings(tmp_path / "run", mmvp).evaluate(Says("A"))
    mode = report.modes[0]
    assert mode.rows == 8 and mode.categories[0].accuracy.mean == pytest.approx(6 / 8)  # wrong on 3 and 6
    assert (mode.bundles.mean, mode.bundles.rows) == (pytest.approx(2 / 4), 4)  # pairs 1-2 and 7-8
    assert mode.usage.drew == {"depth": 1.0} and report.modes[1].usage.none == 1.0
    text = (tmp_path / "run" / "report.md").read_text()
    assert "8 questions, 300 were published" in text and "whole bundles (4)" in text and "mean of what rows earn" not in text
    assert json.loads((tmp_path / "run" / "report.json").read_text())["modes"][0]["unscored"] == 0


def test_a_broken_run_goes_on_and_repeats_nothing(mmvp, tmp_path):
    whole = settings(tmp_path / "whole", mmvp).evaluate(Says("A"))
    for stop in (1, 2, 1):
        with pytest.raises(KeyboardInterrupt):
            settings(tmp_path / "parts", mmvp).evaluate(Says("A", stop_after=stop))
    path = tmp_path / "parts" / "rows.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    parts = settings(tmp_path / "parts", mmvp).evaluate(Says("A"))
    assert parts.modes == whole.modes
    rows = [(row["mode"], row["id"]) for row in read_rows(path)]
    assert len(rows) == len(set(rows)) == 16
    with pytest.raises(CooperError, match="a run with limit None, not 4"):
        settings(tmp_path / "parts", mmvp, limit=4).evaluate(Says("A"))


def _item(number: int, kind: str, truth: str, **changes) -> Item:
    question = Question((Image.new("RGB", (8, 8)), "What is it?"), id=f"q{number}")
    return Item(f"q{number}", "c", "general", question, kind, truth, **changes)


def test_a_limit_keeps_bundles_whole():
    items = [_item(n, "YN", "yes", bundle=f"pair-{n // 2}") for n in range(6)]
    assert [item.id for item in limited(items, 3)] == ["q0", "q1", "q2", "q3"]
    assert len(limited(items, None)) == 6


def test_a_judge_grades_open_answers_and_reads_what_rules_cannot(tmp_path, monkeypatch):
    from cooper.evaluation.judge.judge import Judge

    items = [
        _item(0, "Text", "red", scoring="judge"),
        _item(1, "MCQ", "left", choices=("left", "right")),
        _item(2, "Text", "blue", scoring="judge"),
    ]
    rows = answer_all(
        Says("Hmm"), items, RunSettings(model="made", modes=("direct",), seed=0, batch=4, out=tmp_path, quiet=True)
    )
    assert [row.unscored for row in rows] == [True, False, True]
    with pytest.raises(CooperError, match="which a judge must grade"):
        judge_rows(rows, items, None)
    replies = {"red": "0.8", "left": "A", "blue": "no idea"}

    def script(call, prompt):
        return Play(completion(next(reply for word, reply in replies.items() if word in prompt)))

    for server in serving_once(monkeypatch):
        server.script = script
        judged = laid_over(rows, judge_rows(rows, items, Judge(settings_of(server))).judged)
    assert [(row.correct, row.value, row.unscored) for row in judged] == [
        (True, 0.8, False),
        (True, 1.0, False),
        (False, 0.0, True),
    ]


def serving_once(monkeypatch):
    with serving(monkeypatch) as server:
        yield server


def test_open_answers_need_a_judge_before_anything_is_asked(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "v1_0.png")
    entry = {"imagename": "v1_0.png", "question": "x?", "answer": "1", "capability": ["ocr"]}
    (tmp_path / "mm-vet.json").write_text(json.dumps({"v1_0": entry}))
    model = Says("1")
    with pytest.raises(CooperError, match="mm-vet has open answers"):
        settings(tmp_path / "run", tmp_path, name="mm-vet").evaluate(model)
    assert model.asked == 0


def test_two_runs_are_compared_over_the_rows_that_both_have(mmvp, tmp_path):
    settings(tmp_path / "a", mmvp).evaluate(Says("A"))
    settings(tmp_path / "b", mmvp).evaluate(Says("B"))
    found = compare_runs(str(tmp_path / "a"), str(tmp_path / "b"))
    assert [(each.first, each.second) for each in found] == [("a:interleaved", "b:interleaved"), ("a:direct", "b:direct")]
    assert found[0].categories["mmvp"].estimate.mean == pytest.approx(6 / 8 - 2 / 8)
    assert (found[0].categories["mmvp"].only_first, found[0].categories["mmvp"].only_second) == (6, 2)
    crossed = compare_runs(f"{tmp_path / 'a'}:interleaved", f"{tmp_path / 'b'}:direct")
    assert [(each.first, each.second) for each in crossed] == [("a:interleaved", "b:direct")]
    with pytest.raises(CooperError, match="no answers in the mode 'text'"):
        compare_runs(f"{tmp_path / 'a'}:text", str(tmp_path / "b"))
    with pytest.raises(CooperError, match=r"none does not exist"):
        compare_runs(str(tmp_path / "none"), str(tmp_path / "b"))
