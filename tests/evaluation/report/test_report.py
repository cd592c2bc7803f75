"""Figures of a made run, and the three forms of its report."""

import json
from dataclasses import replace

import pytest

from cooper.evaluation.figures.summary import Report, summarise
from cooper.evaluation.maps.drawing import DEPTH, SEGMENTATION, draw_maps
from cooper.evaluation.maps.scores import depth_figures, segmentation_figures
from cooper.evaluation.report.report import write_report
from cooper.evaluation.runs.answering import answer_all
from cooper.evaluation.runs.settings import RunSettings


@pytest.fixture
def report(cooper, items, truths, conventions, tmp_path) -> Report:
    plan = RunSettings(model="made", modes=("interleaved", "perception", "direct"), seed=0, batch=8, out=tmp_path, quiet=True)
    rows = answer_all(cooper, items, plan)
    summary = summarise(rows, {"benchmark": "scenes", "model": "nano <b>", "seed": 0})
    depth = depth_figures(draw_maps(cooper, DEPTH, truths, conventions=conventions, settings=plan))
    drawn = draw_maps(cooper, SEGMENTATION, truths, conventions=conventions, settings=plan)
    maps = segmentation_figures(drawn, conventions)
    return replace(summary, depth=depth, segmentation=maps)


def test_accuracy_and_means(report):
    interleaved, perception, direct = report.modes
    accuracy = {part.category: part.accuracy for part in interleaved.categories}
    assert [part.category for part in interleaved.categories] == ["distance", "existence", "left_right", "colour"]
    assert (accuracy["distance"].mean, accuracy["left_right"].mean) == (1.0, 0.0)
    assert accuracy["distance"].rows == 6 and accuracy["colour"].rows == 5
    assert interleaved.means["spatial"].mean == pytest.approx(2 / 3)
    assert interleaved.means["general"].mean == 0.0 and perception.means["general"].mean == 1.0
    assert interleaved.categories[0].relative_accuracy.mean == pytest.approx(0.9)
    assert interleaved.categories[1].relative_accuracy.rows == 0
    assert direct.unanswered == 22 and interleaved.unanswered == 0


def test_map_usage(report):
    interleaved, perception, direct = report.modes
    assert interleaved.usage.drew == {"depth": 0.5} and interleaved.usage.none == 0.5
    assert perception.usage.drew == {"depth": 1.0, "segmentation": 1.0} and perception.usage.maps == 2.0
    assert direct.usage.none == 1.0
    assert {part.category: part.usage.none for part in interleaved.categories}["left_right"] == 0.0


def test_paired_differences(report):
    pairs = {(comparison.first, comparison.second): comparison for comparison in report.comparisons}
    assert len(pairs) == 3
    lost = pairs["interleaved", "perception"]
    assert lost.means["spatial"].estimate.mean == pytest.approx(-1 / 3)
    assert lost.categories["left_right"].estimate.mean == -1.0
    assert lost.categories["left_right"].only_second == 6
    same = pairs["interleaved", "direct"]
    assert same.means["spatial"].estimate.mean == 0 and same.means["spatial"].p_value == 1.0


def test_three_forms(report, tmp_path):
    write_report(report, tmp_path)
    stored = json.loads((tmp_path / "report.json").read_text())
    assert stored["modes"][0]["means"]["spatial"]["mean"] == pytest.approx(2 / 3)
    assert stored["depth"]["abs_rel_metres"]["rows"] == 7 and stored["segmentation"]["pq"]["mean"] == 1.0
    text = (tmp_path / "report.md").read_text()
    assert "| spatial mean | 66.7 (" in text and "AbsRel in metres" in text and "| only second right | p |" in text
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 3 and "nano &lt;b&gt;" in page and "nano <b>" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")


def test_settings_that_nobody_named_are_words(report, tmp_path):
    told = {"benchmark": "scenes", "limit": None, "data": None, "base": None, "blind": False, "true_maps": True, "seed": 0}
    write_report(replace(report, settings=told), tmp_path)
    text, page = ((tmp_path / name).read_text() for name in ("report.md", "report.html"))
    words = ("limit: all rows", "data: rendered for this run", "base: none", "blind: no", "true_maps: yes", "seed: 0")
    assert all(f"- {each}\n" in text for each in words) and "<th>limit</th><td>all rows</td>" in page
    assert "None" not in text + page
    stored = json.loads((tmp_path / "report.json").read_text())
    assert stored["settings"] == told


def test_a_report_of_maps_alone(report, tmp_path):
    write_report(replace(report, modes=(), comparisons=()), tmp_path)
    assert "## Depth" in (tmp_path / "report.md").read_text()


def test_figures_without_rows_are_null(cooper, items, tmp_path):
    spatial = [item for item in items if item.group == "spatial"]
    rows = answer_all(cooper, spatial, RunSettings(model="made", modes=("direct",), seed=0, batch=8, out=tmp_path, quiet=True))
    write_report(summarise(rows, {}), tmp_path)
    stored = json.loads((tmp_path / "report.json").read_text())
    assert stored["modes"][0]["means"]["general"]["mean"] is None
