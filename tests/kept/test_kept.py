"""Folders that an earlier version wrote, as it wrote them, still open, go on and compare.

Those here are of November 2026, by the commands beside each test. A change that cannot read them needs a conversion, or a
sentence that says what to do; then the folder of the new kind is kept beside the old one.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cooper import Trace
from cooper.evaluation.runs.origin import Origin
from cooper.files.rows import read_rows
from tests.cli.conftest import run  # noqa: F401 - the command line in this process

KEPT = Path(__file__).parent


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    """`cooper eval scenes --limit 8 --mode text,direct --traces 0`, without its pages."""
    return Path(shutil.copytree(KEPT / "evaluation", tmp_path / "run"))


def test_a_run_is_scored_again_and_compared(run, evaluation):  # noqa: F811
    before = read_rows(evaluation / "rows.jsonl")
    ran = run("eval", "--rescore", evaluation)
    assert ran.code == 0, ran.err
    assert read_rows(evaluation / "rows.jsonl") == before and len(before) == 16
    figures, known = (json.loads((place / "report.json").read_text())["modes"] for place in (evaluation, KEPT / "evaluation"))
    for ours, theirs in zip(figures, known, strict=True):
        for name in ("accuracy", "value"):
            assert ours[name] == pytest.approx(theirs[name])
    compared = run("compare", f"{evaluation}:text", f"{evaluation}:direct", "--json")
    assert compared.code == 0 and json.loads(compared.out)[0]["all_rows"]["estimate"]["rows"] == 8, compared.err


def test_a_run_goes_on(run, evaluation):  # noqa: F811
    record = json.loads((evaluation / "run.json").read_text())
    record["weights"] = Origin.of("nano").record["weights"]  # the bundled model may be another by now
    (evaluation / "run.json").write_text(json.dumps(record))
    assert run("eval", "--rescore", evaluation).code == 0  # by the rules of today
    *lines, last = (evaluation / "rows.jsonl").read_text().splitlines(keepends=True)
    (evaluation / "rows.jsonl").write_text("".join(lines))
    ran = run("eval", "scenes", "--limit", 8, "--mode", "text,direct", "--traces", 0, "--out", evaluation)
    assert ran.code == 0, ran.err
    *again, answered = (evaluation / "rows.jsonl").read_text().splitlines(keepends=True)
    assert again == lines
    fields = ("id", "mode", "category", "type", "truth")
    assert [json.loads(answered)[name] for name in fields] == [json.loads(last)[name] for name in fields]


def test_a_trace_is_read_and_saved_again(tmp_path):
    """Of two maps of random numbers, as `Trace.save` writes it."""
    trace = Trace.load(KEPT / "trace")
    assert (trace.answer, trace.mode, trace.seed, trace.notes) == ("ball", "interleaved", 7, ("a note",))
    assert trace.question.id == "near" and trace.question.text == "Which is nearer? A. ball B. cone"
    assert trace.question.images[0].size == (32, 24) and trace.settings["choices"] == ["ball", "cone"]
    assert [turn.author for turn in trace.turns] == ["model", "model", "model"]
    depth, segments = trace.maps
    assert depth.reading.units == {"depth": "m"} and segments.reading.names == {0: "wall", 3: "ball", 7: "cone"}
    assert depth.drawn.shape == (24, 32, 3) and depth.latents.shape == (4, 8)
    assert np.array_equal(np.unique(segments.reading.arrays["labels"]), [0, 3, 7])
    trace.save(tmp_path / "again")
    assert Trace.load(tmp_path / "again") == trace


def test_a_training_is_known_and_goes_on(run, tmp_path, monkeypatch):  # noqa: F811
    """`cooper train vision --config vision.yaml`; its weights are made here, as they are large."""
    pytest.importorskip("accelerate")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(KEPT / "evaluation" / "scenes", "scenes")
    shutil.copy(KEPT / "training" / "vision.yaml", "vision.yaml")
    assert run("train", "vision", "--config", "vision.yaml").code == 0
    folder, kept = Path("run"), KEPT / "training" / "run"
    for file in kept.iterdir():
        shutil.copy(file, folder / file.name)
    done = run("train", "vision", "--config", "vision.yaml")
    assert done.code == 0 and "run holds the finished run of this recipe: run/model" in done.err, done.err
    assert (folder / "recipe.yaml").read_text() == (kept / "recipe.yaml").read_text()
    for left in (folder / "model", folder / "checkpoint-2"):
        shutil.rmtree(left)
    again = run("train", "vision", "--config", "vision.yaml")
    assert again.code == 0 and "vision 2/2" in again.err and "vision 1/2" not in again.err, again.err
    first, known = ((place / "metrics.jsonl").read_text().splitlines() for place in (folder, kept))
    assert first[0] == known[0] and len(first) == len(known)
