"""MMVP in its published folder and as a kit's table; single and paired accuracy."""

from typing import ClassVar

import pytest

from cooper.errors import CooperError
from cooper.evaluation.benchmarks.items import LETTER
from cooper.evaluation.benchmarks.mmvp import read_mmvp
from cooper.evaluation.figures.summary import bundle_figure
from cooper.evaluation.runs.answering import answer_all, score_reply
from cooper.evaluation.runs.settings import RunSettings
from cooper.trace.steps import TextStep
from cooper.trace.trace import Trace


def published(count, first=1):
    return [
        {
            "Index": number,
            "Question": "Are the wings closer to being open or closed?",
            "Options": "(a) Open (b) Closed",
            "Correct Answer": "(a)" if number % 2 else "(b)",
        }
        for number in range(first, first + count)
    ]


@pytest.fixture
def folder(tmp_path, picture, write_table):
    write_table(tmp_path / "Questions.csv", published(300), bom=True)
    (tmp_path / "MMVP Images").mkdir()
    for number in range(1, 301):
        (tmp_path / "MMVP Images" / f"{number}.jpg").write_bytes(picture(number % 256))
    return tmp_path


def test_the_published_folder(folder, red):
    found = read_mmvp(folder)
    assert (len(found.items), found.expected, found.notes) == (300, 300, ())
    first, second, third = found.items[:3]
    assert [item.bundle for item in (first, second, third)] == ["pair-0", "pair-0", "pair-1"]
    assert len({item.bundle for item in found.items}) == 150
    assert (first.choices, first.truth, second.truth) == (("Open", "Closed"), "Open", "Closed")
    assert first.question.text == f"Are the wings closer to being open or closed?\nA. Open\nB. Closed\n{LETTER}"
    assert red(found.items[9]) == [10] and first.group == "spatial"
    assert score_reply(first, "(a)").correct and score_reply(second, "Closed").correct and not score_reply(second, "A").correct


def test_the_table_of_a_kit(tmp_path, write_table, base64_picture, red):
    base = {"question": "Open?", "A": "Open", "B": "Closed"}
    for first in (0, 1):
        rows = [
            {"index": first + place, **base, "answer": "AB"[place % 2], "image": base64_picture(place)} for place in range(4)
        ]
        found = read_mmvp(write_table(tmp_path / f"from{first}" / "MMVP.tsv", rows).parent)
        assert [item.bundle for item in found.items] == ["pair-0", "pair-0", "pair-1", "pair-1"]
        assert [red(item) for item in found.items] == [[0], [1], [2], [3]]
        assert found.notes == ("mmvp: 4 questions, 300 were published",)


class Opener:
    """Finds everything open, after one look at the picture."""

    modalities: ClassVar[dict] = {}

    def options(self, mode, *, given="own"):
        return mode

    def batch(self, questions, options=None, seed=0, samples=1):
        said = "<think>Let me see.</think><answer>(A)</answer>"
        return [[Trace(question, (TextStep(said),), mode=options)] for question in questions]


def test_a_run_over_the_set_keeps_its_traces(folder, tmp_path, red):
    items = read_mmvp(folder).items[:6]
    rows = answer_all(
        Opener(), items, RunSettings(model="made", modes=("text",), seed=0, batch=4, out=tmp_path / "run", traces=2, quiet=True)
    )
    correct = [row.correct for row in rows]
    assert correct == [True, False] * 3 and (bundle_figure(rows).mean, bundle_figure(rows).rows) == (0.0, 3)
    kept = Trace.load(tmp_path / "run" / "traces" / "text" / items[1].id)
    assert kept.question.text == items[1].question.text and red(kept) == red(items[1])


def test_rows_at_fault_are_named(tmp_path, write_table, picture):
    (tmp_path / "MMVP Images").mkdir()
    (tmp_path / "MMVP Images" / "1.JPG").write_bytes(picture(1))
    table = tmp_path / "Questions.csv"
    with pytest.raises(CooperError, match=r"row 2, field 'Index': picture '2\.jpg' is in none of .*MMVP Images"):
        read_mmvp(write_table(table, published(2)))
    rows = published(1)
    for field, value, message in (
        ("Options", "Open or closed", "lists no options"),
        ("Correct Answer", "(c)", "is none of the 2 options"),
        ("Index", "one", "is no whole number"),
    ):
        with pytest.raises(CooperError, match=rf"Questions\.csv, row 1, field '{field}': .*{message}"):
            read_mmvp(write_table(table, [{**rows[0], field: value}]))
    with pytest.raises(CooperError, match=r"row 2, field 'Index': '1' stands in row 1"):
        read_mmvp(write_table(table, rows * 2))
    table.unlink()
    with pytest.raises(CooperError, match=r"holds none of Questions\.csv, MMVP\.tsv"):
        read_mmvp(tmp_path)
