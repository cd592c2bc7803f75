"""`cooper eval --given-maps`: controls of drawing, through the real command and the bundled model, over a few scenes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cooper.evaluation.runs.traces import trace_folder
from cooper.files.rows import read_rows
from cooper.scenes.production import RenderSettings, render_scenes
from cooper.trace.trace import Trace

pytest.importorskip("mitsuba")
OWN, OTHERS = "own", ("none", "true", "blank", "noise", "swap", "repeat")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    render_scenes(RenderSettings(count=2, seed=5, split="val", out=folder, spp=4))
    return folder


def words(scenes: Path, given: str, out: Path) -> tuple[str, ...]:
    told = ("--data", scenes, "--limit", 6, "--maps", 0, "--mode", "interleaved,text", "--given-maps", given, "--out", out)
    return tuple(map(str, ("eval", "scenes", *told)))


@pytest.fixture
def evaluated(run, scenes, tmp_path):
    """The folder with a run of every control, and what the command printed."""
    ran = run(*words(scenes, ",".join((OWN, *OTHERS)), tmp_path / "out"))
    assert ran.code == 0, ran.err
    return tmp_path / "out", ran.out


def rows_of(folder: Path) -> dict[tuple[str, str], dict]:
    """Without the seconds, which differ."""
    rows = [row for path in folder.glob("rows*.jsonl") for row in read_rows(path)]
    return {(row["mode"], row["id"]): {**row, "seconds": 0} for row in rows}


def traces_of(folder: Path) -> list[Trace]:
    asked = [(mode, name) for mode, name in rows_of(folder) if mode == "interleaved"]
    return [Trace.load(trace_folder(folder, *each)) for each in asked]


def test_every_control_is_a_run_of_its_own_and_is_paired_with_own(run, scenes, evaluated):
    out, printed = evaluated
    own = rows_of(out / "scenes")
    assert {mode for mode, _ in own} == {"interleaved", "text"} and len(own) == 12
    drew = [row for row in own.values() if row["maps"]]
    assert drew
    for control in OTHERS:
        folder = out / f"scenes-{control}"
        assert json.loads((folder / "run.json").read_text())["given_maps"] == control
        assert {mode for mode, _ in rows_of(folder)} == {"interleaved"} and len(rows_of(folder)) == 6
        assert f"| {control}: all rows |" in printed
    assert not any(row["maps"] for row in rows_of(out / "scenes-none").values())
    assert all(map_.latents is None for trace in traces_of(out / "scenes-true") for map_ in trace.maps)
    found = json.loads((out / "scenes" / "controls.json").read_text())
    assert [each["control"] for each in found] == list(OTHERS)
    assert "given_maps" not in json.loads((out / "scenes" / "run.json").read_text())
    ran = run("compare", out / "scenes-blank", out / "scenes")
    assert ran.code == 0 and "scenes-blank:interleaved minus scenes:interleaved" in ran.out

    # the maps of another picture: none is the model's own of this one, and each is one that it drew of the other
    drawn = {trace.question.id: trace.maps[0].image.tobytes() for trace in traces_of(out / "scenes") if trace.maps}
    swapped = {trace.question.id: trace.maps[0].image.tobytes() for trace in traces_of(out / "scenes-swap") if trace.maps}
    assert swapped and all(drawn.get(name) != image for name, image in swapped.items())
    assert len({(name.rsplit("-", 2)[0], image) for name, image in swapped.items()}) <= 4  # a map of each kind a scene

    # a perfect reader of the true depth is right; so says the report, beside the model and its words
    readers = json.loads((out / "scenes-true" / "report.json").read_text())["readers"]
    assert readers and all(each["reader"]["mean"] == 1 for each in readers)
    told = json.loads((out / "scenes" / "report.json").read_text())["readers"]
    assert told[-1]["category"] == "mean of these" and told[-1]["words"]["rows"] == told[-1]["model"]["rows"] >= 1
    assert "perfect reader of its maps" in (out / "scenes" / "report.md").read_text()


@pytest.mark.parametrize("control", ["noise", "swap"])
def test_a_stopped_run_goes_on_and_is_the_same(run, scenes, tmp_path, control):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run(*words(scenes, control, whole)).code == 0
    shutil.copytree(whole, stopped)
    for name in ("rows.jsonl", "readers.jsonl"):
        lines = (whole / name).read_text().splitlines(keepends=True)
        (stopped / name).write_text("".join(lines[: len(lines) // 2]))
    assert run(*words(scenes, control, stopped), "--batch", 1).code == 0
    assert rows_of(stopped) == rows_of(whole)
    ran = run(*words(scenes, OWN, whole))
    assert ran.code == 1 and f"holds a run with given_maps {control!r}, not None" in " ".join(ran.err.split())


@pytest.mark.slow
@pytest.mark.parametrize("control", ["swap", "noise"])
def test_two_processes_answer_as_one(run, scenes, tmp_path, control):
    assert run(*words(scenes, control, tmp_path / "one")).code == 0
    command = [sys.executable, "-m", "cooper", *words(scenes, control, tmp_path / "two")]
    both = [
        subprocess.Popen(command, env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"}, stdout=subprocess.DEVNULL)
        for rank in range(2)
    ]
    assert [process.wait() for process in both] == [0, 0]
    assert rows_of(tmp_path / "two") == rows_of(tmp_path / "one")


@pytest.fixture
def own_questions(tmp_path) -> Path:
    """Two pictures of unlike shape and size, as somebody may ask about."""
    lines = []
    for name, size in (("a", (160, 96)), ("b", (90, 140))):
        pixels = np.random.default_rng(len(name) + size[0]).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        row = {"id": name, "image": f"{name}.png", "question": "Is it near?", "type": "YN", "answer": "yes"}
        lines.append(json.dumps(row))
    (tmp_path / "mine.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path / "mine.jsonl"


def test_own_questions_take_all_controls_but_true_maps(run, own_questions, tmp_path):
    told = ("eval", "questions", "--data", own_questions, "--mode", "perception", "--out", tmp_path / "out")
    ran = run(*told, "--given-maps", "own,none,blank,noise,swap,repeat")
    assert ran.code == 0, ran.err
    for control in ("none", "blank", "noise", "swap", "repeat"):
        rows = rows_of(tmp_path / "out" / f"questions-{control}")
        shown = {"none": [], "repeat": ["depth", "depth"]}.get(control, ["depth", "segmentation"])
        assert [row["maps"] for row in rows.values()] == [shown, shown]
    ran = run(*told, "--given-maps", "true")
    assert ran.code == 1 and "the true maps of questions are not known: --given-maps true needs scenes" in " ".join(
        ran.err.split()
    )


def test_what_cannot_be_is_one_sentence(run, scenes, own_questions, tmp_path):
    def refused(*more):
        ran = run("eval", *more, "--out", tmp_path / "x")
        assert ran.code == 1 and "Traceback" not in ran.err and not (tmp_path / "x" / "rows.jsonl").exists()
        return " ".join(ran.err.split())

    assert "unknown given maps 'grey'; known: own, none, true" in refused("scenes", "--given-maps", "grey")
    assert "--given-maps names nothing" in refused("scenes", "--given-maps", ",")
    assert "leave one away" in refused("scenes", "--given-maps", "blank", "--true-maps")
    told = refused("scenes", "--given-maps", "blank", "--mode", "text,direct")
    assert "given maps (blank) change nothing in the modes text, direct" in told
    told = refused("depth", "--dataset", "scenes", "--data", str(scenes), "--given-maps", "noise")
    assert "depth has maps drawn and asks nothing" in told
    first = own_questions.read_text().splitlines()[0]
    own_questions.write_text(first + "\n")
    told = refused("questions", "--data", str(own_questions), "--given-maps", "swap")
    assert "swap needs questions about two different pictures at least" in told


def test_a_run_of_an_earlier_version_with_true_maps_goes_on(run, scenes, tmp_path):
    told = ("eval", "scenes", "--data", scenes, "--limit", 2, "--maps", 0, "--mode", "perception", "--out", tmp_path / "out")
    assert run(*told, "--true-maps").code == 0
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record.pop("given_maps") == "true"
    (tmp_path / "out" / "run.json").write_text(json.dumps({**record, "true_maps": True}))
    assert run(*told, "--given-maps", "true").code == 0
    assert run("eval", tmp_path / "out", "--rescore").code == 0
    assert "holds a run with given_maps 'true', not None" in " ".join(run(*told).err.split())
