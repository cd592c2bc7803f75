"""Figures of hand-written rows: all rows, what they earned, bundles, and what each kind of map did."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cooper.evaluation.figures.summary import Report, bundle_figure, summarise
from cooper.evaluation.report.report import charts, html, markdown, report_json
from cooper.evaluation.runs.answering import AnswerRow


def row(number: int, value: float, mode: str = "text", maps: Sequence[str] = (), **changes) -> AnswerRow:
    plain = {
        "id": f"q{number}",
        "mode": mode,
        "category": "c",
        "group": "general",
        "type": "Text",
        "truth": "t",
        "reply": "r",
        "extracted": "r",
        "correct": value >= 0.5,
        "value": value,
        "maps": tuple(maps),
        "answered": True,
        "truncated": False,
        "turns": 1,
        "seconds": 0.1,
    }
    return AnswerRow(**{**plain, **changes})


def test_all_rows_stand_in_every_form():
    rows = [row(0, 1.0, category="a"), row(1, 0.0, category="b"), row(2, 0.0, category="b"), row(3, 1.0, unscored=True)]
    report = summarise(rows, {})
    assert (report.modes[0].accuracy.mean, report.modes[0].accuracy.rows) == (pytest.approx(1 / 3), 3)
    line = "all rows (3) | 33.3 (6.1 .. 79.2)"  # the mean over categories would be 1 / 2
    assert line in markdown(report) and "<td>all rows (3)</td><td>33.3 (6.1 .. 79.2)</td>" in html(report)
    assert report_json(report)["modes"][0]["accuracy"] == pytest.approx(
        {"mean": 1 / 3, "low": 0.0615, "high": 0.7923, "rows": 3}, abs=1e-4
    )


def test_modes_with_other_counts_of_scored_rows_say_so():
    rows = [row(0, 1.0), row(1, 1.0, unscored=True), row(0, 1.0, "direct"), row(1, 0.0, "direct")]
    assert "| all rows (1, 2) | 100.0" in markdown(summarise(rows, {}))


def test_a_bundle_with_a_row_that_is_not_scored_counts_neither_way():
    rows = [
        row(0, 1.0, bundle="a"),
        row(1, 1.0, bundle="a", unscored=True),
        row(2, 1.0, bundle="b"),
        row(3, 1.0, bundle="b"),
        row(4, 1.0, bundle="c", unscored=True),
        row(5, 0.0, bundle="c"),
        row(6, 0.0),
    ]
    assert (bundle_figure(rows).mean, bundle_figure(rows).rows) == (1.0, 1)
    assert summarise(rows, {}).modes[0].bundles.rows == 1


def test_what_rows_earn_is_compared_in_pairs_and_told_by_category():
    first = [row(number, value, "direct", category="ab"[number % 2]) for number, value in enumerate((0.9, 0.9, 0.6, 1.0))]
    second = [row(number, value, category="ab"[number % 2]) for number, value in enumerate((0.5, 0.9, 0.5, 0.5))]
    report = summarise([*first, *second], {})
    [found] = report.comparisons
    assert found.all_rows.estimate.mean == 0.0, "right and wrong see no difference"
    assert found.value.mean == pytest.approx(0.25) and found.value.rows == 4
    assert {name: each.mean for name, each in found.values.items()} == pytest.approx({"a": 0.25, "b": 0.25})
    assert found.value.low < 0.0 < 0.25 < found.value.high < 1.0, "four rows leave it open"
    assert {part.category: part.value.mean for part in report.modes[0].categories} == pytest.approx({"a": 0.75, "b": 0.95})
    text = markdown(report)
    assert "| all rows, earned | +25.0 |" in text and "| b, earned | +25.0 | -85.6 .. +97.6 | 2 |" in text
    assert "Mean of what rows earn" in text and "| a (2) | 75.0 (8.4 .. 99.9) | 50.0 (2.2 .. 97.8) |" in text


def drawn() -> Report:
    """Depth is drawn at questions 0 to 3 and mends three of them, segmentation at 3 and 4 and spoils question 4."""
    text = [row(number, value) for number, value in enumerate((0.0, 0.0, 1.0, 0.0, 1.0, 1.0))]
    text[0] = replace(text[0], category="b")
    maps = [["depth"], ["depth"], ["depth"], ["depth", "segmentation"], ["segmentation"], []]
    values = (1.0, 1.0, 1.0, 1.0, 0.4, 1.0)
    interleaved = [row(n, values[n], "interleaved", maps[n], category=text[n].category) for n in range(6)]
    return summarise([*text, *interleaved], {})


def test_what_each_kind_of_map_did():
    effects = {(effect.map, effect.category): effect for effect in drawn().effects}
    assert list(effects) == [("depth", "all"), ("depth", "b"), ("depth", "c"), ("segmentation", "all"), ("segmentation", "c")]
    depth, segmentation = effects["depth", "all"], effects["segmentation", "all"]
    assert effects["depth", "c"].accuracy.estimate.mean == pytest.approx(2 / 3)
    assert (depth.mode, depth.map, segmentation.map) == ("interleaved", "depth", "segmentation")
    assert (depth.accuracy.estimate.mean, depth.accuracy.estimate.rows) == (0.75, 4)
    assert (depth.accuracy.only_first, depth.accuracy.only_second) == (3, 0)
    assert (segmentation.accuracy.estimate.mean, segmentation.accuracy.estimate.rows) == (0.0, 2)
    assert segmentation.value.mean == pytest.approx((1.0 - 0.6) / 2)
    text = markdown(drawn())
    assert "## Effect of maps" in text and "| interleaved, depth: all | +75.0 |" in text
    assert "80.0 (37.6 .. 96.4) of 5 | 100.0 (20.7 .. 100.0) of 1 |" in text


def test_no_effect_of_maps_without_the_mode_text():
    rows = [row(0, 1.0, "direct"), row(0, 1.0, "interleaved", ["depth"])]
    report = summarise(rows, {})
    assert report.effects == () and "Effect of maps" not in markdown(report)


def test_a_category_that_nobody_scored_has_no_bar():
    report = summarise([row(0, 1.0), row(1, 0.0, category="lost", unscored=True)], {})
    assert not any("nan" in chart.svg for chart in charts(report)) and "nan" not in html(report) + markdown(report)
    assert "| lost (0) | - |" in markdown(report)
