"""Rows that cannot be read: set aside and replaced, told in a file, too many of them, and runs that go on."""

import json
import shutil
from pathlib import Path

import pytest

from cooper.errors import CooperError
from cooper.training.feed.aside import LEAST, SetAside
from cooper.training.loop.watching import Watching, read_metrics
from tests.cli.conftest import run  # noqa: F401 - the command line in this process
from tests.reasoning_files import coded, interleaved_row, last, picture, write_rows
from tests.training.feed.conftest import OPTIMISER, assert_same_model, killed_after, steps_of

TORN = 7  # a row that is not among those that are decoded before a run begins
EPOCH = {**OPTIMISER, "batch": 10}


def aside_in(folder: Path) -> list[dict]:
    return [dict(row) for row in read_metrics(folder / "set-aside.jsonl")]


def rows_with_torn(places: set[int], count: int = 40) -> list[dict]:
    """Published rows; the pictures of some break off in the middle."""
    rows = [interleaved_row(number, ()) for number in range(count)]
    for place in places:
        rows[place]["interleaved_reason"][0]["value"] = coded(picture(1))[:200]
    return rows


def test_a_torn_row_is_set_aside_and_a_resumed_run_is_the_same(run, sft, tmp_path):  # noqa: F811
    data = write_rows(tmp_path / "torn.jsonl", rows_with_torn({TORN}))
    path = sft(data=str(data), optimiser=EPOCH)
    ran = run("train", "sft", "--config", path)
    assert ran.code == 0, ran.err
    (noted,) = aside_in(tmp_path / "run")
    assert (noted["source"], noted["row"], noted["why"]) == (str(data), f"{data}, line {TORN + 1}", "cannot be read")
    assert "field 'interleaved_reason'[0], field 'value': the picture is a truncated or damaged picture" in noted["reason"]
    whole = steps_of(tmp_path / "run")
    assert [line["step"] for line in whole] == [1, 2, 3, 4]
    shutil.copytree(tmp_path / "run", tmp_path / "kept")
    killed_after(tmp_path / "run", 2)
    again = run("train", "sft", "--config", path)
    assert again.code == 0, again.err
    assert steps_of(tmp_path / "run") == whole and aside_in(tmp_path / "run") == [noted]
    assert_same_model(tmp_path / "run", tmp_path / "kept")


@pytest.mark.parametrize("packing", [None, {"expected": 400, "maximum": 400, "sample": 400, "buffer": 2}])
def test_more_than_one_in_a_hundred_ends_the_run_with_one_sentence(run, sft, tmp_path, packing):  # noqa: F811
    data = write_rows(tmp_path / "torn.jsonl", rows_with_torn({7, 9}))
    ran = run("train", "sft", "--config", sft(data=str(data), optimiser={**EPOCH, "steps": 6}, packing=packing))
    told = [line for line in ran.err.splitlines() if line.startswith("cooper: ")]
    assert ran.code == 1 and len(told) == 1 and "rows cannot be read, more than 1%; the last: " in told[0]
    assert str(tmp_path / "run" / "set-aside.jsonl") in told[0]
    assert len(aside_in(tmp_path / "run")) == 2


def test_a_picture_that_disappears_in_training_is_replaced(run, amg, tmp_path, monkeypatch):  # noqa: F811
    victim, watch = tmp_path / "deep" / "images" / "kitchen" / "2.jpg", Watching.on_step_end

    def vanishing(self, args, state, control, **kwargs):  # the file goes between two steps, as on a disk that fails
        victim.unlink(missing_ok=True)
        watch(self, args, state, control, **kwargs)

    monkeypatch.setattr(Watching, "on_step_end", vanishing)
    ran = run("train", "amg", "--config", amg(optimiser=EPOCH, val=str(tmp_path / "labelled")))
    assert ran.code == 0, ran.err
    (noted,) = aside_in(tmp_path / "run")
    assert (noted["source"], noted["row"]) == ("deep", "kitchen/2") and str(victim) in noted["reason"]
    assert [line["set_aside"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl") if "loss" in line] == [0, 1, 1, 1]


def test_a_run_goes_on_without_a_picture_that_is_gone(run, sft, tmp_path, monkeypatch):  # noqa: F811
    """Rows of one's own name their pictures; one that is gone when the run goes on keeps its place among the rows."""
    for number in range(20):
        picture(number).save(tmp_path / f"{number}.png")
    asked = [
        {"question": [{"image": f"{number}.png"}, {"text": "Red?"}], "steps": [{"text": last("no")}]} for number in range(20)
    ]
    data, victim, watch = write_rows(tmp_path / "mine.jsonl", asked), tmp_path / "11.png", Watching.on_step_end

    def vanishing(self, args, state, control, **kwargs):  # the file goes between two steps, as on a disk that fails
        victim.unlink(missing_ok=True)
        watch(self, args, state, control, **kwargs)

    monkeypatch.setattr(Watching, "on_step_end", vanishing)
    path = sft(data=str(data), optimiser=EPOCH)
    assert run("train", "sft", "--config", path).code == 0
    whole, noted = steps_of(tmp_path / "run"), aside_in(tmp_path / "run")
    assert [row["row"] for row in noted] == [f"{data}, line 12"]
    shutil.copytree(tmp_path / "run", tmp_path / "kept")
    killed_after(tmp_path / "run", 2)
    again = run("train", "sft", "--config", path)
    assert again.code == 0, again.err
    assert steps_of(tmp_path / "run") == whole and aside_in(tmp_path / "run") == noted
    assert_same_model(tmp_path / "run", tmp_path / "kept")


def test_a_bad_row_of_many_is_set_aside_before_the_first_step(run, sft, tmp_path):  # noqa: F811
    rows = rows_with_torn(set(), 120)
    rows[3]["interleaved_reason"][1]["need_loss"] = True
    data = write_rows(tmp_path / "many.jsonl", rows)
    ran = run("train", "sft", "--config", sft(data=str(data), optimiser={**OPTIMISER, "steps": 1}))
    assert ran.code == 0, ran.err
    (noted,) = aside_in(tmp_path / "run")
    assert noted["row"] == f"{data}, line 4" and "the field 'need_loss' is True" in noted["reason"]
    rows[4]["interleaved_reason"][1]["need_loss"] = True
    write_rows(data, rows)
    again = run("train", "sft", "--config", sft(data=str(data), optimiser=OPTIMISER, out=str(tmp_path / "other")))
    assert again.code == 1 and "need_loss' is True" in again.err and "(and 1 more of 120 rows cannot be read)" in again.err


def test_what_counts_as_too_many(tmp_path):
    aside = SetAside(tmp_path)
    aside.drop("a", "long", "too long")
    aside.add("a", "0", "torn", 1)
    aside.add("a", "0", "torn", 2)  # the same again
    with pytest.raises(CooperError, match=r"2 of 3 rows cannot be read, more than 1%; the last: gone; .*set-aside.jsonl names"):
        aside.add("b", "0", "gone", 3)
    for number in range(1, 5):  # one more in every hundred
        aside.add("a", str(number), "torn", LEAST * (number + 2))
    assert len(aside_in(tmp_path)) == 7
    other = SetAside(tmp_path)
    assert other.count() == 0, "a run without a checkpoint begins anew"


def test_lines_of_other_processes_are_seen(tmp_path):
    (tmp_path / "checkpoint-1").mkdir()
    one, two = SetAside(tmp_path), SetAside(tmp_path)
    one.add("a", "0", "torn", 500)
    assert not two.holds("a", "0")
    two.look()
    assert two.holds("a", "0") and two.of("a") == {"0"}
    with (tmp_path / "set-aside.jsonl").open("a") as file:
        file.write(json.dumps({"source": "b"})[:7])  # a process was killed while it wrote
    assert SetAside(tmp_path).count() == 1
