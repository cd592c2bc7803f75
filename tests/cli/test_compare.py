"""`cooper compare` on the command line: what is left out is told, and places that name nothing are explained."""

import json

import pytest

from tests.evaluation.figures.test_compared_runs import stored
from tests.evaluation.figures.test_figures import row


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with two runs: `one` in two modes over three questions, `other` in one mode over one of them and a fourth."""
    monkeypatch.chdir(tmp_path)
    stored(tmp_path / "one", *(row(number, 1.0, mode) for mode in ("text", "direct") for number in range(3)))
    stored(tmp_path / "other", row(0, 0.0), row(7, 1.0))
    return tmp_path


@pytest.mark.usefixtures("place")
def test_rows_without_a_partner_are_told(run):
    ran = run("compare", "one", "other")
    assert ran.code == 0 and "Not compared: 2 rows of one:text and 1 of other:text" in ran.out
    [found] = json.loads(run("compare", "one", "other", "--json").out)
    assert (found["first_alone"], found["second_alone"], found["all_rows"]["estimate"]["rows"]) == (2, 1, 1)
    assert "Not compared" not in run("compare", "one:text", "one:direct").out


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("second", ["one", "./one/", "one:text"])
def test_a_run_is_not_compared_with_itself(run, second):
    ran = run("compare", "one" if ":" not in second else "one:text", second)
    assert ran.code == 1 and ran.out == "" and "are the same rows; name two runs, or two modes of one as FOLDER:MODE" in ran.err


@pytest.mark.usefixtures("place")
def test_two_modes_of_one_run_are_compared(run):
    assert "one:text minus one:direct" in run("compare", "one:text", "one:direct").out
    ran = run("compare", "one", "one:direct")
    assert ran.code == 0 and "one:text minus one:direct" in ran.out and "one:direct minus" not in ran.out


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("mode", ["foo", "perception"])
def test_a_mode_that_a_run_does_not_have(run, mode):
    ran = run("compare", f"one:{mode}", "other")
    said = " ".join(ran.err.split())
    assert ran.code == 1 and f"no answers in the mode '{mode}'; it has: text, direct" in said and len(ran.err.splitlines()) == 1


def test_a_folder_may_have_a_colon_in_its_name(run, place):
    stored(place / "one:foo", row(0, 1.0))
    assert "one:foo:text minus one:text" in run("compare", "one:foo", "one:text").out
