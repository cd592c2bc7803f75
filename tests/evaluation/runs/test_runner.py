"""Answering and drawing with a made model: rows, resuming, traces."""

import json

import pytest

from cooper.errors import CooperError
from cooper.evaluation.maps.drawing import DEPTH, SEGMENTATION, draw_maps
from cooper.evaluation.runs.answering import answer_all
from cooper.evaluation.runs.settings import RunSettings, check_modes
from cooper.files.rows import read_rows
from cooper.trace.trace import Trace


def plan(folder, **changes) -> RunSettings:
    settings = {"model": "made", "modes": ("interleaved", "direct"), "seed": 0, "batch": 5, "out": folder, "quiet": True}
    return RunSettings(**{**settings, **changes})


def test_every_question_gets_one_row_per_mode(cooper, items, tmp_path):
    rows = answer_all(cooper, items, plan(tmp_path))
    assert [(row.mode, row.id) for row in rows[:2]] == [("interleaved", "q0"), ("interleaved", "q1")]
    assert len(rows) == 44
    assert [calls for _, calls in cooper.calls] == [5, 5, 5, 5, 2] * 2
    assert all(row.correct == (int(row.id[1:]) % 2 == 0) for row in rows)
    assert rows[0].value == pytest.approx(0.9) and rows[0].extracted == "2.1"
    assert rows[1].maps == ("depth",) and rows[0].maps == ()
    assert rows[0].answered and not rows[-1].answered


def test_a_run_goes_on_where_it_stopped(cooper, items, tmp_path):
    whole = answer_all(cooper, items, plan(tmp_path / "whole"))
    stopping = type(cooper)(stop_after=3)
    with pytest.raises(KeyboardInterrupt):
        answer_all(stopping, items, plan(tmp_path / "parts"))
    path = tmp_path / "parts" / "rows.jsonl"
    assert len(read_rows(path)) == 15
    path.write_bytes(path.read_bytes()[:-30])  # killed within a line
    again = type(cooper)()
    assert answer_all(again, items, plan(tmp_path / "parts")) == whole
    rows = [(row["mode"], row["id"]) for row in read_rows(path)]
    assert len(rows) == len(set(rows)) == 44
    assert sum(count for _, count in again.calls) == 30


def test_finished_runs_ask_nothing(cooper, items, tmp_path):
    answer_all(cooper, items, plan(tmp_path))
    calls = len(cooper.calls)
    answer_all(cooper, items, plan(tmp_path))
    assert len(cooper.calls) == calls


def test_some_traces_are_kept(cooper, items, tmp_path):
    answer_all(cooper, items, plan(tmp_path, modes=("perception",), traces=2))
    assert sorted(path.name for path in (tmp_path / "traces" / "perception").iterdir()) == ["q0", "q1"]
    answer_all(cooper, items, plan(tmp_path / "none", modes=("perception",), traces=0))
    assert not (tmp_path / "none" / "traces").exists()
    trace = Trace.load(tmp_path / "traces" / "perception" / "q1")
    assert [step.modality for step in trace.maps] == ["depth", "segmentation"]


def test_bad_plans_are_named(cooper, items, tmp_path):
    assert check_modes(["direct", "text", "direct"]) == ("direct", "text")
    with pytest.raises(CooperError, match="unknown mode 'dreamy'"):
        check_modes(["dreamy"])
    with pytest.raises(CooperError, match="no mode named"):
        check_modes([])
    with pytest.raises(CooperError, match="one id"):
        answer_all(cooper, [items[0], items[0]], plan(tmp_path))


def test_maps_are_scored_and_resumed(cooper, truths, conventions, tmp_path):
    whole = draw_maps(cooper, DEPTH, truths, conventions=conventions, settings=plan(tmp_path / "whole"))
    assert len(whole) == 7 and whole[0].aligned.abs_rel < 1e-5
    stopping = type(cooper)(stop_after=1)
    with pytest.raises(KeyboardInterrupt):
        draw_maps(stopping, DEPTH, truths, conventions=conventions, settings=plan(tmp_path / "parts"))
    assert draw_maps(cooper, DEPTH, truths, conventions=conventions, settings=plan(tmp_path / "parts")) == whole


def test_segmentation_rows_hold_sparse_counts(cooper, truths, conventions, tmp_path):
    rows = draw_maps(cooper, SEGMENTATION, truths, conventions=conventions, settings=plan(tmp_path))
    assert all(row.iou == 1.0 and row.region_iou == 1.0 for row in rows)
    stored = json.loads((tmp_path / "segmentation.jsonl").read_text().splitlines()[0])
    assert sum(pixels for _, _, pixels in stored["confusion"]) == 48 * 48


def test_a_missing_modality_is_named(cooper, truths, conventions, tmp_path, monkeypatch):
    monkeypatch.setattr(type(cooper), "modalities", {})
    with pytest.raises(CooperError, match="draws no 'depth' map; it draws: none"):
        draw_maps(cooper, DEPTH, truths, conventions=conventions, settings=plan(tmp_path))
