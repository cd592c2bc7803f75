"""Several models over the same questions: pooled seeds, gaps, pages."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from cooper.errors import CooperError
from cooper.evaluation.figures.comparison import compare_runs
from cooper.evaluation.figures.pairing import Model
from cooper.evaluation.figures.statistics import mcnemar, sign_flips
from cooper.evaluation.figures.study import read_model, study
from cooper.evaluation.report.study import study_json, write_study
from cooper.evaluation.runs.answering import AnswerRow
from cooper.files.rows import append_rows

CATEGORIES = (("reach", "spatial"), ("height", "distance_size"), ("colour", "general"))


def rows(right: str, mode: str = "text", maps: Sequence[str] = ()) -> tuple[AnswerRow, ...]:
    """A run of one question per mark, categories in turn; "x" is right."""
    return tuple(
        AnswerRow(
            f"q{place:03}",
            mode,
            *CATEGORIES[place % 3],
            "MCQ",
            "A",
            "A",
            "A",
            mark == "x",
            0.0,
            tuple(maps),
            True,
            False,
            1,
            0.1,
        )
        for place, mark in enumerate(right)
    )


def test_seeds_are_pooled_by_question():
    found = study([Model("a", (rows("xxxxxx"), rows("xx.xx."))), Model("b", (rows("......"),))])
    first = found.models[0]
    assert found.questions == 6
    assert first.means["spatial"].mean == 1 and first.means["spatial"].rows == 4
    assert first.means["general"].mean == 0.5 and [seed["general"] for seed in first.by_seed] == [1, 0]
    assert list(first.categories) == ["reach", "height", "colour"]
    (gap,) = found.gaps
    assert (gap.first, gap.second, gap.means["general"].mean, gap.means["distance_size"].mean) == ("a", "b", 0.5, 1)


def test_two_seeds_of_one_question_do_not_narrow_the_interval():
    marks = "x.." * 20 + ".x." * 20
    once, twice = (study([Model("a", (rows(marks),) * seeds), Model("b", (rows("." * 120),))]) for seeds in (1, 2))
    assert once.models[0].means == twice.models[0].means and once.gaps[0].means == twice.gaps[0].means
    assert once.gaps[0].p_values == twice.gaps[0].p_values


def test_only_questions_that_every_run_has_count():
    found = study([Model("a", (rows("xxxxxx"),)), Model("b", (rows("xxx"),))])
    assert found.questions == 3
    with pytest.raises(CooperError, match="no question in common"):
        study([Model("a", (rows("xxxxxx")[3:],)), Model("b", (rows("xxx"),))])
    with pytest.raises(CooperError, match="one name"):
        study([Model("a", (rows("x"),)), Model("a", (rows("x"),))])


def test_sign_flips_are_the_share_of_signs_that_go_as_far():
    steps, groups = [1.0, 0.5, -0.5, 1.0, 0.0, 0.5], ["a", "a", "a", "b", "b", "b"]
    weighed = [step / 6 for step in steps]
    sums = [sum(sign * step for sign, step in zip(signs, weighed, strict=True)) for signs in product((-1, 1), repeat=6)]
    exact = float(np.mean(np.abs(sums) >= abs(sum(weighed)) - 1e-12))
    assert sign_flips(steps, groups, resamples=20_000) == pytest.approx(exact, abs=0.01)
    assert sign_flips([0.0, 0.0], ["a", "a"]) == 1.0
    uneven = ["a"] * 30 + ["b"] * 10
    assert sign_flips([1.0] * 40, uneven, resamples=1000) == pytest.approx(1 / 1001)
    assert sign_flips([1.0] * 40, ["a"] * 40) == mcnemar(40, 0), "rows that weigh alike need no random signs"


def test_pages_hold_every_figure(tmp_path: Path):
    found = study([Model("drawing", (rows("xxxx..", "interleaved", ("depth",)),)), Model("words", (rows("..xxxx"),))])
    write_study(found, tmp_path, {"published": "+6.91"})
    assert json.loads((tmp_path / "study.json").read_text()) == json.loads(json.dumps(study_json(found)))
    page = (tmp_path / "study.html").read_text()
    assert (
        "<svg" in page
        and "drawing - words" in page
        and "<th>published</th><td>+6.91</td>" in page
        and "Maps drawn, drawing" in page
    )
    assert "| drawing: all | 100 | 0 | 1.00 | 66.7 (30.0 .. 90.3) of 6 | - |" in (tmp_path / "study.md").read_text()


def test_a_model_is_named_with_its_runs(tmp_path: Path):
    for seed in (1, 2):
        append_rows(tmp_path / str(seed) / "rows.jsonl", [asdict(row) for row in (*rows("x.x"), *rows("...", "direct"))])
    model = read_model(f"nano={tmp_path / '1'}:text,{tmp_path / '2'}:direct")
    assert model.name == "nano" and [row.correct for row in model.seeds[0]] == [True, False, True]
    assert {row.mode for row in model.seeds[1]} == {"direct"}
    with pytest.raises(CooperError, match="name one of them as"):
        read_model(f"nano={tmp_path / '1'}")
    with pytest.raises(CooperError, match="write NAME=RUN:MODE"):
        read_model(str(tmp_path / "1"))


def test_a_run_counts_once():
    with pytest.raises(CooperError, match="one run twice"):
        read_model("a=run:direct,run:direct")


def test_another_spelling_of_a_run_is_the_same_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CooperError, match="one run twice"):
        read_model("a=run:direct,./run/:direct")


def test_a_comparison_is_a_study_of_two(tmp_path):
    """Of 8, 8 and 7 questions in three categories: the mean over categories weighs rows unlike, so its p is no McNemar's."""
    runs = {"one": rows("xx.xxxxx.xx.xxxxx.xx.xx"), "other": rows("x..x.x..xxx....x.xx....")}
    for name, each in runs.items():
        append_rows(tmp_path / name / "rows.jsonl", [asdict(row) for row in each])
    [compared] = compare_runs(*(str(tmp_path / name) for name in runs))
    (gap,) = study([read_model(f"{name}={tmp_path / name}:text") for name in runs]).gaps
    assert {name: each.estimate for name, each in compared.means.items()} == gap.means
    assert {name: each.p_value for name, each in compared.means.items()} == gap.p_values
    assert compared.all_rows.p_value == mcnemar(compared.all_rows.only_first, compared.all_rows.only_second)
    assert gap.means["spatial"].rows == 16 and 0 < gap.p_values["spatial"] < 1
