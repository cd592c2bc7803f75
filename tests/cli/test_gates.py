"""`cooper gates`, through the real command and the bundled model, over a few scenes."""

import json
from pathlib import Path

import pytest

from cooper.scenes.production import RenderSettings, render_scenes

pytest.importorskip("mitsuba")


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sets")
    for split, count in (("train", 6), ("val", 3)):
        render_scenes(RenderSettings(count=count, seed=5, split=split, out=folder / split, spp=4))
    return {split: folder / split for split in ("train", "val")}


def test_all_gates_of_a_model_and_its_tower(run, sets, tmp_path):
    told = ("gates", "--data", sets["val"], "--model", "nano", "--out", tmp_path / "out", "--batch", 2)
    probe = ("--tower", "nano", "--train", sets["train"], "--labels", 12, "--steps", 20)
    ran = run(*told, *probe, "--json")
    found = json.loads(ran.out)
    assert [each["name"] for each in found] == ["A", "A", "B", "C", "D"], ran.err
    assert ran.code == (0 if all(each["open"] for each in found) else 3)
    assert all(each["figure"]["rows"] == 3 for each in found)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.jsonl")}
    assert len(kept) == 6 and {"find.jsonl", "draw.jsonl", "read.jsonl", "could.jsonl"} < set(kept)

    # nothing is asked again, also not by a table, or one gate by itself
    again = run(*told, *probe)
    assert "| B | the right place of an object" in again.out and "| gate is |" in again.out and again.code == ran.code
    only = run(*told, "--gate", "B", "--json")
    assert json.loads(only.out) == [each for each in found if each["name"] == "B"]
    assert only.code == (0 if json.loads(only.out)[0]["open"] else 3)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.jsonl")} == kept

    # a stopped run goes on, with another batch
    (tmp_path / "out" / "read.jsonl").write_bytes(kept["read.jsonl"].splitlines(keepends=True)[0])
    assert json.loads(run(*told, "--gate", "D", "--json", "--batch", 3).out) == [each for each in found if each["name"] == "D"]
    assert (tmp_path / "out" / "read.jsonl").read_bytes() == kept["read.jsonl"]


def test_drawn_maps_are_compared_with_a_run_in_words(run, sets, tmp_path):
    asked = ("--limit", 12, "--maps", 0, "--mode", "text", "--out", tmp_path / "run")
    assert run("eval", "scenes", "--data", sets["val"], *asked).code == 0
    told = ("gates", "--data", sets["val"], "--model", "nano", "--gate", "C", "--words", tmp_path / "run")
    ran = run(*told, "--out", tmp_path / "out")
    assert ran.code in (0, 3) and "| C | a perfect reader of drawn maps, less words |" in ran.out, ran.err


def test_what_cannot_be_is_one_sentence(run, sets, tmp_path):
    def refused(*more):
        ran = run("gates", *more, "--data", sets["val"], "--out", tmp_path / "x")
        assert ran.code == 1 and "Traceback" not in ran.err
        return " ".join(ran.err.split())

    assert "no gate can be asked: name --model, or --tower and --train" in refused()
    assert "gate C needs --model, and --tower or --words" in refused("--model", "nano", "--gate", "C")
    assert "there is no gate 'E'; there are: A, B, C, D" in refused("--model", "nano", "--gate", "B,E")
    assert "needs both --tower and --train" in refused("--tower", "nano")
    probe = ("--tower", "nano", "--train", sets["train"])
    assert "fewer than the 1000 asked for" in refused(*probe)
    told = refused("--tower", "nano", "--train", sets["val"], "--labels", "2")
    assert "--train and --data both hold the scene" in told
    assert "labels must be at least 1" in refused(*probe, "--labels", "0")
    assert f"{tmp_path / 'none'} does not exist" in refused("--model", "nano", "--words", tmp_path / "none")
    assert "holds a run with model '', not 'nano'" in refused("--model", "nano", "--gate", "B")
