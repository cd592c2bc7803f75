"""Every row of a report leads to the page of its trace: of scenes and published benchmarks, resumed and shared runs too."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from cooper.evaluation.report.rows import row_table, verdict_of
from cooper.evaluation.runs.answering import AnswerRow
from cooper.evaluation.runs.processes import Share
from cooper.evaluation.runs.traces import trace_folder
from cooper.trace.page import PAGE
from cooper.trace.trace import Trace
from tests.evaluation.runs.test_processes import together
from tests.evaluation.suites.test_published import Says, mmvp, settings  # noqa: F401 - mmvp is a fixture


class Links(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if (tag, name) == ("a", "href")]


def links(out):
    """The files that the report of a run leads to."""
    return [out / unquote(link) for link in Links((out / "report.html").read_text()).found]


def row(id, **changes) -> AnswerRow:
    fields = {"mode": "text", "category": "c", "group": "general", "type": "MCQ", "truth": "left", "reply": "left"}
    values = {"extracted": "left", "correct": True, "value": 1.0, "maps": (), "answered": True, "truncated": False}
    return replace(AnswerRow(id, **fields, **values, turns=1, seconds=0.1), **changes)


@pytest.fixture
def out(tmp_path):
    """Where the run goes, beside its data."""
    return tmp_path / "run"


def test_every_row_has_a_page(mmvp, out):  # noqa: F811
    settings(out, mmvp).evaluate(Says("A"))
    pages = links(out)
    assert len(set(pages)) == 16 and all(page.is_file() for page in pages)
    assert {page.parent.parent.name for page in pages} == {"interleaved", "direct"}
    kept = [Trace.load(page.parent) for page in pages]
    assert all(trace.answer == "A" and trace.question.images[0].size == (16, 12) for trace in kept)
    assert [len(trace.maps) for trace in kept] == [int(trace.mode == "interleaved") for trace in kept]
    assert pages[0].read_text().count("data:image/png") == 3  # the picture, and beside it the map


def test_a_resumed_run_has_all_pages(mmvp, out):  # noqa: F811
    for stop in (1, 2, 1):
        with pytest.raises(KeyboardInterrupt):
            settings(out, mmvp).evaluate(Says("A", stop_after=stop))
    path = out / "rows.jsonl"
    path.write_bytes(path.read_bytes()[:-10])  # its trace is there already, and is written again
    settings(out, mmvp).evaluate(Says("A"))
    assert len(links(out)) == 16 and all(page.is_file() for page in links(out))


def test_a_shared_run_has_all_pages(mmvp, out, monkeypatch):  # noqa: F811
    monkeypatch.setattr("cooper.evaluation.runs.processes.PAUSE", 0.01)
    together(2, lambda share: settings(out, mmvp, share=share).evaluate(Says("A")))
    assert len(links(out)) == 16 and all(page.is_file() for page in links(out))


def test_rows_without_a_trace_have_no_link(mmvp, out):  # noqa: F811
    settings(out, mmvp, traces=2, share=Share()).evaluate(Says("A"))
    assert len(links(out)) == 4
    settings(out.with_name("none"), mmvp, traces=0).evaluate(Says("A"))
    page = (out.with_name("none") / "report.html").read_text()
    assert links(out.with_name("none")) == [] and page.count('<tr class="wrong"') == 4


def test_wrong_rows_come_first_and_say_what_they_are(tmp_path):
    rows = [
        row("a"),
        row("b&<i>", correct=False, reply="<b>" + "x" * 500, maps=("depth", "segmentation")),
        row("c", correct=False, unscored=True),
    ]
    folder = trace_folder(tmp_path, "text", "b&<i>")
    folder.mkdir(parents=True)
    (folder / PAGE).touch()
    table = row_table(rows, tmp_path, {"b&<i>": "Where <i>?", "a": "Who?", "c": "What?"})
    assert re.findall(r'data-verdict="([^"]*)"', table) == ["wrong", "not scored", "right"]
    assert [verdict_of(each) for each in rows] == ["right", "wrong", "not scored"]
    cells = re.sub(r"<td [^>]*>", "<td>", table)
    assert "b&amp;&lt;i&gt;</a></td><td>text</td><td>c</td><td>Where &lt;i&gt;?</td><td>left</td><td>&lt;b&gt;xxx" in cells
    assert "depth, segmentation" in table and "x" * 161 not in table
    assert [tmp_path / unquote(link) for link in Links(table).found] == [folder / PAGE]
    assert row_table([], tmp_path) == ""
