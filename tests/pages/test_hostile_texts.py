"""Pages show what models, files and users say as text: nothing of it runs, loads or leads away."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from cooper.cli.main import main
from cooper.curation.counts import FLAGS
from cooper.curation.flags import plot_split
from cooper.evaluation.figures.statistics import Estimate
from cooper.evaluation.figures.summary import summarise
from cooper.evaluation.report.meanings import FIGURES
from cooper.evaluation.report.report import write_report
from cooper.evaluation.runs.answering import AnswerRow
from cooper.evaluation.runs.traces import keep_trace, trace_folder
from cooper.files.rows import append_rows
from cooper.perception.modality import Reading
from cooper.trace.page import save_with_page
from cooper.trace.steps import MapStep, Question, TextStep
from cooper.trace.trace import Trace
from tests.pages.reading import HOSTILE, Elements, faults_of, loaded, title_of

IDS = (
    HOSTILE,
    "javascript:document.title='ran'//",
    "../../../outside",
    "..",
    "",
    "/etc/passwd",
    "a\\..\\b",
    "x" * 300,
    "é#?%2e&",
)


def hostile_trace() -> Trace:
    reading = Reading({"depth": np.linspace(1, 6, 48, dtype=np.float32).reshape(6, 8)}, {"depth": HOSTILE}, {0: HOSTILE})
    labels = Reading({"labels": np.zeros((6, 8), np.int32)}, {"labels": "class id"}, {0: HOSTILE})
    numbers = Reading({HOSTILE: np.ones((6, 8), np.float32)}, {HOSTILE: HOSTILE})
    drawn, picture = np.zeros((6, 8, 3), np.float32), Image.new("RGB", (8, 6), "red")
    steps = (
        TextStep(f"<think>{HOSTILE} x 3 y 4</think>\n<{HOSTILE}><depth>{HOSTILE}</depth>", (1,), (-0.1,), seconds=0.5),
        MapStep("depth", drawn, picture, seconds=1.5, reading=reading),
        TextStep(HOSTILE, author="prompt"),
        MapStep("segmentation", drawn, picture, reading=labels),
        MapStep(HOSTILE, drawn, picture, seconds=0.5, reading=numbers),
        TextStep(f"<answer>{HOSTILE}</answer>", truncated=True),
    )
    question = Question((HOSTILE, picture, HOSTILE), subject=0, id=HOSTILE)
    return Trace(question, steps, model=HOSTILE, seed=3, system=HOSTILE, settings={HOSTILE: {HOSTILE: [HOSTILE]}})


def hostile_row(id: str, **changes) -> AnswerRow:
    row = AnswerRow(
        id, HOSTILE, HOSTILE, "spatial", "MCQ", HOSTILE, HOSTILE, HOSTILE, False, 0.5, (HOSTILE,), True, False, 1, 0.1
    )
    return replace(row, **changes)


def trace_page(folder: Path) -> Path:
    hostile_trace().save(folder / "trace")  # and from there: a trace may be somebody else's
    save_with_page(Trace.load(folder / "trace"), folder / "again")
    return folder / "again" / "page.html"


def report_page(folder: Path) -> Path:
    """A report of rows in two modes, one of them `text`, so that every table is there; all traces are kept."""
    rows = [hostile_row(id, mode=mode, correct=bool(place % 2)) for mode in (HOSTILE, "text") for place, id in enumerate(IDS)]
    for row in rows:
        keep_trace(hostile_trace(), trace_folder(folder, row.mode, row.id))
    report = summarise(rows, {"model": HOSTILE, "benchmark": HOSTILE, HOSTILE: HOSTILE, "judge": {HOSTILE: [HOSTILE]}})
    one = Estimate(0.5, low=0.4, high=0.6, rows=3)
    figures = dict.fromkeys(FIGURES, one)
    write_report(replace(report, depth=figures), folder, None, rows, {row.id: HOSTILE for row in rows})
    return folder / "report.html"


def study_page(folder: Path) -> Path:
    """Through the command line, as a user writes it; a name there cannot hold "="."""
    name = HOSTILE.replace("=", "\N{FULLWIDTH EQUALS SIGN}") + "<script>document.body.append('ran')</script>"
    for run in ("a", "b"):
        rows = [hostile_row(f"q{place}", mode="text", correct=run == "a") for place in range(4)]
        append_rows(folder / run / "rows.jsonl", [asdict(row) for row in rows])
    with pytest.MonkeyPatch.context() as patched:
        models = [f"{name}={folder / 'a'}:text", f"b{name}={folder / 'b'}:text"]
        patched.setattr(
            sys, "argv", ["cooper", "study", *models, "--beside", f"{name}={HOSTILE}", "--out", str(folder / "out")]
        )
        with pytest.raises(SystemExit) as stop:
            main()
    assert not stop.value.code
    return folder / "out" / "study.html"


def check_page(folder: Path) -> Path:
    """Through the command line, of rows whose maps, ids and fields have such names."""
    Image.new("RGB", (16, 16), "red").save(folder / "0.png")
    step = {"map": HOSTILE, "image": "0.png"}
    row = {"id": HOSTILE, "question": [{"image": "0.png"}], "steps": [{"text": HOSTILE}, step]}
    append_rows(folder / "rows.jsonl", [row, {**row, "mode": HOSTILE}, {**row, HOSTILE: 1}, row])
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setattr(sys, "argv", ["cooper", "data", "check", "rows.jsonl", "--out", "out"])
        with pytest.raises(SystemExit) as stop:
            main()
    assert stop.value.code == 1
    return folder / "out" / "check.html"


PAGES: dict[str, Callable[[Path], Path]] = {
    "trace": trace_page,
    "report": report_page,
    "study": study_page,
    "check": check_page,
}


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_shows_hostile_texts_as_text(kind, tmp_path):
    page = PAGES[kind](tmp_path).read_text(encoding="utf-8")
    assert faults_of(page) == []
    said = HOSTILE if kind != "study" else HOSTILE.replace("=", "\N{FULLWIDTH EQUALS SIGN}")
    assert said in Elements(page).text, "it is shown, and shown as it is"


@pytest.mark.browser
@pytest.mark.parametrize("kind", PAGES)
def test_nothing_runs_in_a_browser(kind, tmp_path):
    page = loaded(PAGES[kind](tmp_path))
    assert title_of(page) != "ran" and faults_of(page) == []


@pytest.mark.browser
def test_the_browser_would_run_what_is_not_escaped(tmp_path):
    (tmp_path / "page.html").write_text(f"<!doctype html><title>still</title><p>{HOSTILE}", encoding="utf-8")
    page = loaded(tmp_path / "page.html")
    assert title_of(page) == "ran" and "element script" in faults_of(page)


def test_rows_lead_to_their_own_traces_only(tmp_path):
    links = [each["href"] for each in Elements(report_page(tmp_path).read_text(encoding="utf-8")).of("a")]
    assert len(links) == len(set(links)) == 2 * len(IDS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json", "report.md", "traces"]
    assert all(len(path.relative_to(tmp_path).parts) == 4 for path in tmp_path.rglob("trace.json"))


def test_markdown_shows_hostile_texts_as_text(tmp_path):
    report_page(tmp_path)
    study_page(tmp_path / "study")
    for path in (tmp_path / "report.md", tmp_path / "study" / "out" / "study.md"):
        text = path.read_text(encoding="utf-8")
        assert "<script" in text and "<" not in text.replace("\\<", "")


@pytest.mark.parametrize("text", [HOSTILE, "$x_{$ \\frac"])
def test_charts_show_hostile_texts_as_text(text, tmp_path):
    from cooper.training.loop.curves import draw_curves, draw_together

    plot_split([{"category": text, "flag": flag} for flag in FLAGS], tmp_path / "flags.svg")
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps({"step": step, text: step}) + "\n" for step in range(30)))
    draw_curves(tmp_path / "metrics.jsonl", tmp_path / "curves.svg")
    draw_together(tmp_path / "metrics.jsonl", tmp_path / "together.svg", [text], text)
    for path in tmp_path.glob("*.svg"):
        drawn = ElementTree.parse(path)
        assert not [each for each in drawn.iter() if each.tag.endswith(("script", "iframe", "img", "foreignObject"))]
        assert not [name for each in drawn.iter() for name in each.attrib if name.startswith("on")]
        assert any((each.text or "").startswith(text[:20]) for each in drawn.iter())


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_is_the_same_each_time(kind, tmp_path):
    pages = []
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        pages.append(PAGES[kind](tmp_path / place).read_bytes())
    assert pages[0] == pages[1]
