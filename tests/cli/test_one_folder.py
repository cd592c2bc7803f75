"""Two commands on one folder, a table that is edited in place, replies that are read again, and pictures that cannot be
read."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

import cooper.evaluation.runs.folder as rows_of_runs
import cooper.reasoning.cooper as door
from cooper.files.locks import FILE
from cooper.files.rows import read_rows
from cooper.scenes.store import SetInfo, shard_path, write_info, write_shard
from tests.cli.test_bad_data import record
from tests.evaluation.benchmarks.published_tables import published
from tests.evaluation.suites.test_published import Says, mmvp  # noqa: F401 - a fixture
from tests.files.test_locks import holding


@pytest.fixture
def says(monkeypatch):
    """A fake model, for what is tested here are folders and tables: its replies are known, and nothing is loaded."""
    monkeypatch.setattr(
        door.Cooper, "from_pretrained", classmethod(lambda cls, name, base=None, device_map=None, quantization=None: Says("A"))
    )


@pytest.fixture
def no_model(monkeypatch):
    monkeypatch.setattr(door.Cooper, "from_pretrained", lambda *args, **kwargs: pytest.fail("the model was loaded"))


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("command", ["eval", "flags", "draw", "study", "render"])
def test_a_folder_in_use_is_refused_before_a_model_is_loaded(run, tmp_path, mmvp, command):  # noqa: F811
    out = tmp_path / "out"
    other = holding(out)
    words = {
        "eval": ("eval", "mmvp", "--data", mmvp),
        "flags": ("data", "flags", "--data", write_questions(tmp_path)),
        "draw": ("data", "draw", "--data", made_set(tmp_path / "set")),
        "study": ("study", "a=x", "b=y"),
        "render": ("scenes", "render", "--count", "1"),
    }[command]
    ran = run(*words, "--out", out)
    assert ran.code == 1 and f"is in use by process {other.pid} on" in " ".join(ran.err.split())
    other.kill()
    other.communicate()


def made_set(folder: Path) -> Path:
    folder.mkdir()
    write_shard(shard_path(folder, 0), [record(0)])
    write_info(folder, SetInfo(1, 0, "val", 64, 4))
    return folder


def write_questions(folder: Path) -> Path:
    (folder / "a.png").write_bytes((next((folder / "MMVP").glob("*/1.jpg"))).read_bytes())
    row = {"id": "q", "image": "a.png", "question": "Is it?", "type": "YN", "answer": "yes"}
    (folder / "q.jsonl").write_text(json.dumps(row))
    return folder / "q.jsonl"


def started(data: Path, out: Path) -> "subprocess.Popen[str]":
    words = ["eval", "mmvp", "--data", data, "--mode", "perception,text", "--batch", "1", "--traces", "0", "--out", out]
    return subprocess.Popen(
        [sys.executable, "-m", "cooper", *map(str, words)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )


def wait_for(file: Path) -> None:
    while not file.exists():
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("way", [None, signal.SIGKILL, signal.SIGINT])
def test_two_real_commands_lose_and_double_nothing(tmp_path, way):
    data, out = published("mmvp", tmp_path / "data"), tmp_path / "out"
    first = started(data, out)
    wait_for(out / FILE)
    first.send_signal(signal.SIGSTOP)  # it must not end before the second has begun
    second = started(data, out)
    said = second.communicate()[1]
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 1 and f"is in use by process {first.pid} on {os.uname().nodename}" in " ".join(said.split())
    if way is not None:
        wait_for(out / "rows.jsonl")
        first.send_signal(way)
        assert first.wait() == (130 if way == signal.SIGINT else -way)
        first.communicate()
        first = started(data, out)
    said = first.communicate()[1]
    assert first.returncode == 0, said
    found = [(row["mode"], row["id"]) for row in read_rows(out / "rows.jsonl")]
    assert sorted(found) == [(mode, f"mmvp-{number}") for mode in ("perception", "text") for number in (1, 2)]
    assert not (out / FILE).exists()


ROW = '4,"Open or closed?","(a) Open (b) Closed",(a)'
EDITS = {
    "the truth": ROW.replace(",(a)", ",(b)"),
    "the question": ROW.replace("or closed", "or ajar"),
    "an option": ROW.replace("(b) Closed", "(b) Ajar"),
    "a picture": "",
}


@pytest.mark.usefixtures("says")
@pytest.mark.parametrize("edit", EDITS)
def test_a_table_edited_in_place_is_refused_by_its_row(run, tmp_path, mmvp, edit):  # noqa: F811
    words = ("eval", "mmvp", "--data", mmvp, "--mode", "direct", "--out", tmp_path / "out")
    assert run(*words).code == 0 and run(*words).code == 0
    kept = (tmp_path / "out" / "rows.jsonl").read_bytes()
    if EDITS[edit]:
        table = mmvp / "Questions.csv"
        table.write_text(table.read_text().replace(ROW, EDITS[edit]))
    else:
        Image.new("RGB", (16, 12), (0, 0, 200)).save(mmvp / "MMVP Images" / "4.jpg")
    ran = run(*words)
    assert ran.code == 1 and "the question mmvp-4 has changed since" in " ".join(ran.err.split())
    assert (tmp_path / "out" / "rows.jsonl").read_bytes() == kept


@pytest.mark.usefixtures("says")
def test_rows_that_come_and_go_are_named(run, tmp_path, mmvp):  # noqa: F811
    words = ("eval", "mmvp", "--data", mmvp, "--mode", "direct", "--out", tmp_path / "out")
    assert run(*words).code == 0
    table = mmvp / "Questions.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-1]) + "\n")
    assert "the question mmvp-8 is gone from the data" in " ".join(run(*words).err.split())
    (mmvp / "MMVP Images" / "9.jpg").write_bytes((mmvp / "MMVP Images" / "1.jpg").read_bytes())
    table.write_text("\n".join([*lines, lines[-1].replace("8,", "9,", 1)]) + "\n")
    assert "data without the question mmvp-9" in " ".join(run(*words).err.split())


@pytest.mark.usefixtures("says")
def test_a_folder_of_the_version_before_opens_with_a_note(run, tmp_path, mmvp):  # noqa: F811
    out = tmp_path / "out"
    words = ("eval", "mmvp", "--data", mmvp, "--mode", "direct", "--out", out)
    assert run(*words).code == 0
    known = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps({name: known[name] for name in known if name not in ("rules", "questions")}))
    ran = run(*words)
    assert ran.code == 0 and "begun by an earlier version" in ran.out
    table = mmvp / "Questions.csv"
    table.write_text(table.read_text().replace(ROW, EDITS["the truth"]))
    ran = run(*words)
    assert ran.code == 1 and "truth of mmvp-4 is 'Open', but the data say 'Closed'" in " ".join(ran.err.split())


@pytest.mark.usefixtures("says")
def test_other_rules_read_the_kept_replies_again(run, tmp_path, mmvp, monkeypatch):  # noqa: F811
    out = tmp_path / "out"
    words = ("eval", "mmvp", "--data", mmvp, "--mode", "direct", "--out", out)
    assert run(*words).code == 0
    rows = [{**row, "correct": False, "value": 0.0, "extracted": ""} for row in read_rows(out / "rows.jsonl")]
    (out / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))  # as older rules may have read them
    monkeypatch.setattr(rows_of_runs, "RULES_VERSION", 99)
    ran = run(*words)
    assert ran.code == 1 and "read by version 3 of the rules, and this is version 99: read them again" in " ".join(
        ran.err.split()
    )
    assert f"read them again with `cooper eval --rescore {out}`" in " ".join(run("compare", out, out).err.split())
    monkeypatch.setattr(door.Cooper, "from_pretrained", lambda *args, **kwargs: pytest.fail("the model was loaded"))
    for again in (("eval", "--rescore", out, "--json"), (*words, "--rescore", "--json")):
        ran = run(*again)
        assert ran.code == 0, ran.err
        report = json.loads(ran.out)
        assert report["modes"][0]["accuracy"]["mean"] == pytest.approx(6 / 8) and report["modes"][0]["rows"] == 8
    assert json.loads((out / "run.json").read_text())["rules"] == 99
    assert all(row["extracted"] for row in read_rows(out / "rows.jsonl"))
    assert "1 of" not in (out / "report.md").read_text() and "read again (--rescore)" in (out / "report.md").read_text()


def test_what_cannot_be_read_again_is_one_sentence(run, tmp_path):
    (tmp_path / "run.json").write_text('{"benchmark": "depth on nyu"}')
    assert "has no replies to read again" in " ".join(run("eval", tmp_path, "--rescore").err.split())
    (tmp_path / "bare").mkdir()
    for name, said in (("none", "none is no folder, and no benchmark has that name"), ("bare", "bare holds no run (run.json")):
        ran = run("eval", tmp_path / name, "--rescore", "--out", tmp_path / "x")
        assert ran.code == 1 and said in " ".join(ran.err.split()) and "sibench" not in ran.err
    ran = run("eval", tmp_path, "mmvp", "--rescore")
    assert ran.code == 1 and "is a folder, mmvp is none" in " ".join(ran.err.split())


@pytest.mark.usefixtures("says")
@pytest.mark.parametrize("fault", ["torn", "missing", "text"])
def test_one_bad_picture_need_not_block_a_benchmark(run, tmp_path, mmvp, fault):  # noqa: F811
    path = mmvp / "MMVP Images" / "3.jpg"
    whole = path.read_bytes()
    if fault == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[: len(whole) // 2] if fault == "torn" else b"no picture")
    words = ("eval", "mmvp", "--data", mmvp, "--mode", "direct", "--out", tmp_path / "out")
    ran = run(*words)
    assert ran.code == 1 and "3.jpg" in ran.err
    ran = run(*words, "--skip-bad")
    assert ran.code == 0, ran.err
    assert "mmvp: 1 left out, as they cannot be read (--skip-bad); the first:" in " ".join(ran.err.split())
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["modes"][0]["rows"] == 7 and report["modes"][0]["bundles"]["rows"] == 3
    assert "1 left out" in (tmp_path / "out" / "report.md").read_text()
    path.write_bytes(whole)
    ran = run(*words)
    assert ran.code == 0 and json.loads((tmp_path / "out" / "report.json").read_text())["modes"][0]["rows"] == 8
