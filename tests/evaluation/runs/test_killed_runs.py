"""`cooper eval` killed with kill -9 at random moments, on one process and on two: the table is that of an unbroken run."""

import csv
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from PIL import Image, ImageOps

from cooper.evaluation.runs.folder import parts_of
from cooper.files.rows import read_rows

ROOM = Path(__file__).parents[3] / "src" / "cooper" / "assets" / "demo" / "room.png"
COLOURS, SHAPES = ("yellow", "red", "blue", "green"), ("cylinder", "capsule", "ring", "ball", "cube")
BENCHMARK, QUESTIONS = "sibench-Existence", 200
KILLS = 3
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """A published table of 200 questions about four pictures of one room, and settings under which replies vary."""
    folder, rng = tmp_path_factory.mktemp("table"), random.Random(0)
    room = Image.open(ROOM).convert("RGB")
    for number, picture in enumerate((room, ImageOps.mirror(room), ImageOps.flip(room), ImageOps.invert(room))):
        picture.save(folder / f"{number}.png")
    with open(folder / "Existence.tsv", "w", newline="") as file:
        out = csv.writer(file, delimiter="\t", lineterminator="\n")
        out.writerow(["index", "question", "answer", "type", "image_path"])
        for index in range(QUESTIONS):
            question = f"Is there a {rng.choice(COLOURS)} {rng.choice(SHAPES)} in the picture?"
            out.writerow([index, question, rng.choice(["yes", "no"]), "YN", f"{index % 4}.png"])
    (folder / "inference.yaml").write_text("sampling: {temperature: 1.0}\n")
    return folder


@dataclass(frozen=True)
class Run:
    """A run of `cooper eval` over the table, which may be started any number of times."""

    table: Path
    out: Path

    def start(self, processes: int = 1) -> psutil.Popen:
        several = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        several += ["--redirects=3", f"--log-dir={self.out / 'log'}"]  # what each process prints, in files
        words = ["eval", BENCHMARK, "--data", self.table, "--out", self.out, "--mode", "direct", "--batch", "4", "--seed", "3"]
        words += ["--inference", self.table / "inference.yaml"]
        command = [sys.executable, *(several if processes > 1 else []), "-m", "cooper", *map(str, words)]
        return psutil.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, processes: int = 1) -> str:
        """Run to the end and give back what was printed."""
        process = self.start(processes)
        printed, told = process.communicate(timeout=300)
        assert process.returncode == 0, told[-3000:]
        return printed

    @property
    def written(self) -> list[dict]:
        """The rows of all processes."""
        return [dict(row) for file in parts_of(self.out / "rows.jsonl") for row in read_rows(file)]

    @property
    def answers(self) -> dict[str, dict]:
        """Rows by id, all but how long they took. No row is there twice."""
        rows = {row["id"]: row for row in self.written}
        assert len(rows) == len(self.written)
        return {id: {name: value for name, value in row.items() if name != "seconds"} for id, row in rows.items()}

    @property
    def report(self) -> dict:
        """The figures, all but how long they took."""
        found = json.loads((self.out / "report.json").read_text())
        assert all(mode.pop("seconds") > 0 for mode in found["modes"])
        return found

    def kill(self, rng: random.Random, processes: int, end: Callable[[psutil.Popen], None]) -> None:
        """Start it, wait until some more rows are written, wait a random moment, end it."""
        before, enough = len(self.written), rng.randint(1, 40)
        process = self.start(processes)
        while len(self.written) < before + enough and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.03 * rng.random())
        assert process.poll() is None, process.communicate()[1][-3000:]
        end(process)
        process.communicate(timeout=60)
        assert before + enough <= len(self.written) < QUESTIONS


def kill_all(process: psutil.Popen) -> None:
    """Launcher and workers, which are no group of one number, at once."""
    for each in [process, *process.children(recursive=True)]:
        each.kill()


def kill_second(process: psutil.Popen) -> None:
    """Only the worker that is the second process of the run. The launcher must then end the whole run by itself."""
    [worker] = [child for child in process.children(recursive=True) if child.environ().get("RANK") == "1"]
    worker.kill()
    process.wait(timeout=60)
    assert process.returncode != 0
    assert not worker.is_running()


@pytest.fixture(scope="module")
def whole(table, tmp_path_factory) -> Run:
    run = Run(table, tmp_path_factory.mktemp("whole"))
    assert f"# nano on {BENCHMARK}" in run.finish()
    assert len(run.answers) == QUESTIONS and 0.2 < run.report["modes"][0]["value"]["mean"] < 0.8
    return run


def test_one_process_killed_three_times(whole, table, tmp_path):
    run, rng = Run(table, tmp_path), random.Random(1)
    for _ in range(KILLS):
        run.kill(rng, 1, kill_all)
    run.finish()
    assert run.answers == whole.answers and run.report == whole.report


def test_two_processes_killed_three_times(whole, table, tmp_path):
    run, rng = Run(table, tmp_path), random.Random(2)
    for end in (kill_all, kill_second, kill_all):
        run.kill(rng, 2, end)
    run.finish(2)
    assert run.answers == whole.answers and run.report == whole.report
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == ["rows-0.jsonl", "rows-1.jsonl"]
    last = max((tmp_path / "log").iterdir(), key=lambda folder: folder.stat().st_mtime)
    printed = {path.relative_to(last).as_posix(): path.read_text() for path in sorted(last.rglob("std*.log"))}
    assert printed.pop("attempt_0/0/stdout.log").startswith(f"# nano on {BENCHMARK}")
    assert "questions, 1 of 2 shares" in printed.pop("attempt_0/0/stderr.log")
    assert printed == {"attempt_0/1/stderr.log": "", "attempt_0/1/stdout.log": ""}
