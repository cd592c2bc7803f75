"""Ctrl-C says what is kept, and the same command goes on from there with the same result."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

import cooper.reasoning.cooper as door
from cooper.files.rows import read_rows
from cooper.scenes import production
from cooper.scenes.room.render import render_record
from cooper.scenes.room.sampling import SceneKey
from cooper.scenes.store import write_shard
from tests.evaluation.suites.test_published import Says, mmvp  # noqa: F401 - a fixture


def use(monkeypatch, model: Says) -> None:
    """A fake in place of the model, so that a run can be stopped at a batch."""
    monkeypatch.setattr(
        door.Cooper, "from_pretrained", classmethod(lambda cls, name, base=None, device_map=None, quantization=None: model)
    )


def test_an_evaluation_says_where_it_goes_on(run, tmp_path, mmvp, monkeypatch):  # noqa: F811
    out = tmp_path / "out"
    words = ("eval", "mmvp", "--data", mmvp, "--mode", "direct", "--batch", 3, "--out", out)
    use(monkeypatch, Says("A", stop_after=1))
    ran = run(*words)
    told = f"cooper: interrupted: what is done is kept in {out}; the same command goes on from there"
    assert ran.code == 130 and ran.err.splitlines()[-1] == told
    kept = read_rows(out / "rows.jsonl")
    assert len(kept) == 3
    use(monkeypatch, again := Says("A"))
    assert run(*words).code == 0 and again.asked == 5 and read_rows(out / "rows.jsonl")[:3] == kept


def test_an_evaluation_that_kept_nothing_promises_nothing(run, tmp_path, mmvp, monkeypatch):  # noqa: F811
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("cooper.evaluation.suites.published.read_benchmark", stop)
    ran = run("eval", "mmvp", "--data", mmvp, "--out", tmp_path / "out")
    assert ran.code == 130 and ran.err == "cooper: interrupted\n" and not (tmp_path / "out").exists()


def test_rendering_goes_on_with_the_same_bytes(run, tmp_path, monkeypatch):
    pytest.importorskip("mitsuba")
    monkeypatch.setattr(production, "PIECE", 1)

    def stop(key, size, spp):
        if key.index == 2:
            raise KeyboardInterrupt
        return render_record(key, size, spp)

    words = ("scenes", "render", "--count", 3, "--size", 32, "--spp", 4, "--out")
    with monkeypatch.context() as patch:
        patch.setattr(production, "render_record", stop)
        ran = run(*words, tmp_path / "broken")
    told = f"cooper: interrupted: 2 of 3 scenes are kept in {tmp_path / 'broken'}; the same command goes on from there"
    assert ran.code == 130 and ran.err.splitlines()[-1] == told
    assert "1 scenes rendered now, 3 in" in run(*words, tmp_path / "broken").out
    assert "3 scenes rendered now, 3 in" in run(*words, tmp_path / "whole").out
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("broken", "whole")]
    assert files[0] == files[1] and sorted(files[0]) == ["dataset.json", "shard-00000.parquet"]


def test_a_second_interruption_ends_as_the_first():
    """Also while the interpreter ends, where it would be a traceback or a signal."""
    code = (
        "import atexit, signal, sys\n"
        "from cooper.cli import main\n"
        "@atexit.register\n"
        "def again(): signal.raise_signal(signal.SIGINT)\n"
        "def stop(): raise KeyboardInterrupt\n"
        "main.app = stop\n"
        "main.main()"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "cooper: interrupted\n")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="interrupts a group of processes")
def test_workers_finish_the_scenes_at_hand_when_a_terminal_interrupts(tmp_path):
    pytest.importorskip("mitsuba")
    out = tmp_path / "set"
    words = ("scenes", "render", "--count", "5000", "--size", "32", "--spp", "4", "--workers", "2", "--out", str(out))
    process = subprocess.Popen(
        [sys.executable, "-m", "cooper", *words], start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    while not list(out.glob("*.parts/*.parquet")):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == 130 and "Traceback" not in said
    told = re.search(r"interrupted: (\d+) of 5000 scenes are kept", said)
    pieces = sorted(out.glob("*.parts/*.parquet"))
    assert told is not None and len(pieces) * production.PIECE == int(told[1]) < 5000
    for piece in pieces:
        keys = [SceneKey("train", 0, int(piece.stem) + number) for number in range(production.PIECE)]
        write_shard(tmp_path / "alone", [render_record(key, 32, 4) for key in keys])
        assert piece.read_bytes() == (tmp_path / "alone").read_bytes()
