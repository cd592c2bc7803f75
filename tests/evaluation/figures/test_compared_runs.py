"""Two runs told apart by their folders, and refused where they answered different questions."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cooper.errors import CooperError
from cooper.evaluation.figures.comparison import compare_runs
from cooper.evaluation.figures.pairing import Model
from cooper.evaluation.figures.study import study
from cooper.evaluation.figures.summary import summarise
from cooper.evaluation.report.report import html, markdown, report_json
from cooper.files.rows import append_rows
from tests.evaluation.figures.test_figures import row


def stored(folder: Path, *rows) -> str:
    append_rows(folder / "rows.jsonl", [asdict(each) for each in rows])
    return str(folder)


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ("cooper/mmvp", "bagel/mmvp", ("cooper/mmvp", "bagel/mmvp")),
        ("seed-1/cooper/mmvp", "seed-2/cooper/mmvp", ("seed-1/cooper/mmvp", "seed-2/cooper/mmvp")),
        ("a", "b", ("a", "b")),
        ("mmvp", "a/mmvp", ("runs/mmvp", "a/mmvp")),
    ],
)
def test_runs_of_one_benchmark_have_names_of_their_own(tmp_path, first, second, names):
    places = [stored(tmp_path / "runs" / name, row(0, 1.0)) for name in (first, second)]
    [found] = compare_runs(*places)
    assert (found.first, found.second) == tuple(f"{name}:text" for name in names)


def test_modes_of_one_run_need_the_folder_once(tmp_path):
    place = stored(tmp_path / "a" / "mmvp", row(0, 1.0), row(0, 0.0, "direct"))
    [found] = compare_runs(f"{place}:text", f"{place}:direct")
    assert (found.first, found.second) == ("mmvp:text", "mmvp:direct")


def test_one_id_for_two_questions_is_an_error(tmp_path):
    same, other = (row(0, 1.0), row(1, 1.0)), (row(0, 1.0), replace(row(1, 1.0), truth="another"))
    first, second = stored(tmp_path / "a", *same), stored(tmp_path / "b", *other)
    with pytest.raises(
        CooperError, match="not answer the same questions: the right answer to q1 is 't' in the one and 'another'"
    ):
        compare_runs(first, second)
    with pytest.raises(CooperError, match="a and b did not answer the same questions"):
        study([Model("a", (same,)), Model("b", (other,))])


def test_rows_that_are_not_compared_are_counted(tmp_path):
    first = stored(tmp_path / "a", row(0, 1.0), row(1, 1.0), row(2, 1.0), row(3, 0.0, unscored=True))
    [found] = compare_runs(first, stored(tmp_path / "b", row(0, 1.0), row(9, 1.0)))
    assert (found.first_alone, found.second_alone) == (3, 1)
    [found] = compare_runs(first, stored(tmp_path / "c", row(0, 1.0), row(1, 1.0), row(2, 1.0), row(3, 0.0, unscored=True)))
    assert (found.first_alone, found.second_alone) == (1, 1)


def test_reports_say_how_many_rows_have_no_partner():
    report = summarise([row(0, 1.0), row(1, 1.0), row(0, 1.0, "direct")], {})
    told = "Not compared: 1 rows of text and 0 of direct"
    assert told in markdown(report) and told in html(report) and report_json(report)["comparisons"][0]["first_alone"] == 1
    assert "Not compared" not in markdown(summarise([row(0, 1.0), row(0, 1.0, "direct")], {}))
