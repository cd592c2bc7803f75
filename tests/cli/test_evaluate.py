"""`cooper eval` and `cooper compare` with a made model."""

import json

import pytest

import cooper.reasoning.cooper as door
from cooper.cli.evaluate import folder_name
from tests.evaluation.suites.test_published import Says, mmvp  # noqa: F401 - a fixture


@pytest.fixture
def says(monkeypatch):
    monkeypatch.setattr(
        door.Cooper, "from_pretrained", classmethod(lambda cls, name, base=None, device_map=None, quantization=None: Says("A"))
    )


@pytest.mark.usefixtures("says")
def test_a_published_benchmark_and_a_comparison(run, tmp_path, mmvp):  # noqa: F811
    ran = run("eval", "mmvp", "--data", mmvp, "--mode", "direct", "--out", tmp_path / "a", "--json")
    assert ran.code == 0 and json.loads(ran.out)["modes"][0]["rows"] == 8
    assert "Accuracy" in run("eval", "mmvp", "--data", f"mmvp={mmvp}", "--mode", "direct", "--out", tmp_path / "b").out
    ran = run("compare", tmp_path / "a", tmp_path / "b")
    assert ran.code == 0 and "a:direct minus b:direct" in ran.out
    assert json.loads(run("compare", tmp_path / "a", tmp_path / "b", "--json").out)[0]["means"]["spatial"]["p_value"] == 1.0


@pytest.mark.usefixtures("says")
def test_without_a_folder_the_default_is_told(run, tmp_path, mmvp, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    ran = run("eval", "mmvp", "--data", mmvp, "--mode", "direct", "--json")
    assert ran.code == 0 and "Results go to runs/eval/mmvp-nano" in ran.err and json.loads(ran.out)["modes"][0]["rows"] == 8
    record = json.loads((tmp_path / "runs" / "eval" / "mmvp-nano" / "run.json").read_text())
    assert len(record["weights"]) == 16 and "inference" not in record
    assert folder_name("runs/a model/") == "runs_a_model" and folder_name("/x/y") == "x_y"
    ran = run("eval", "mmvp", "scenes", "--data", "mmvp=there", "--mode", "direct")
    assert "runs/eval/mmvp-nano, runs/eval/scenes-nano" in " ".join(ran.err.split())


@pytest.mark.usefixtures("says")
def test_mistakes_are_one_sentence(run, tmp_path, mmvp):  # noqa: F811
    ran = run("eval", "sibenhc", "--out", tmp_path / "x")
    assert ran.code == 1 and "unknown benchmark 'sibenhc'; known: sibench" in ran.err
    ran = run("eval", "mmvp", "--data", "mm-vet=there", "--data", "x=y", "--out", tmp_path / "x")
    assert ran.code == 1 and "'mm-vet' belongs to no benchmark" in ran.err
    ran = run("eval", "mmvp", "questions", "--data", "mine.jsonl", "--out", tmp_path / "x")
    assert ran.code == 1 and "several are asked for: write NAME=mine.jsonl" in ran.err
    ran = run("eval", "mmvp", "--judge", "http://localhost:1/v1", "--out", tmp_path / "x")
    assert ran.code == 1 and "needs both --judge URL and --judge-model NAME" in ran.err
    ran = run("study", "a=x", "--beside", "figure", "--out", tmp_path / "x")
    assert ran.code == 1 and "--beside 'figure' is no figure with a name; write NAME=TEXT" in ran.err
    ran = run("compare", tmp_path / "x", tmp_path / "y")
    assert ran.code == 1 and f"{tmp_path / 'x'} does not exist" in ran.err
