"""A disk that fills while a command writes: one sentence, nothing lost that was there, and the same command goes on later.

A limit on the size of files stands for the full disk: the system refuses the same bytes, and no disk must be filled.
"""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from cooper.cli.console.faults import is_full_disk, sentence_of
from cooper.files.rows import read_rows
from cooper.trace.steps import Question, TextStep
from cooper.trace.trace import Trace
from tests.evaluation.suites.test_published import mmvp  # noqa: F401 - a fixture


def cooper(*arguments, most: int = resource.RLIM_INFINITY) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own that may write no file of more than `most` bytes."""
    return subprocess.run(
        [sys.executable, "-m", "cooper", *map(str, arguments)],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )


def told(ran: "subprocess.CompletedProcess[str]") -> str:
    """The one sentence of a command that failed."""
    said = [line for line in ran.stderr.splitlines() if line.startswith("cooper: ")]
    assert ran.returncode == 1 and len(said) == 1 and "Traceback" not in ran.stderr, ran.stderr
    return said[0]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def earlier(tmp_path) -> Path:
    """A folder with a trace that is there already."""
    Trace(Question(("before",)), (TextStep("words"),), seed=7).save(tmp_path / "out")
    return tmp_path / "out"


def test_a_map_is_saved_whole_or_not_at_all(earlier, picture):
    Image.open(picture).resize((320, 240)).save(picture)
    before = files(earlier)
    ran = cooper("depth", picture, "--out", earlier, most=1_000_000)  # enough for the trace, not for the points beside it
    assert f"cannot save the trace in {earlier}: File too large" in told(ran)
    assert files(earlier) == before and sorted(path.name for path in earlier.parent.iterdir()) == ["out", picture.name]


def test_an_answer_is_saved_whole_or_not_at_all(earlier, picture):
    before = files(earlier)
    ran = cooper("ask", picture, "Which is nearer? A. cube B. ball", "--mode", "perception", "--out", earlier, most=50_000)
    assert f"cannot save the trace in {earlier}: the disk is full" in told(ran)
    assert files(earlier) == before and sorted(path.name for path in earlier.parent.iterdir()) == ["out", picture.name]


def test_an_evaluation_keeps_its_rows_and_goes_on(tmp_path, mmvp):  # noqa: F811
    out = tmp_path / "out"
    words = ("eval", "mmvp", "--data", mmvp, "--mode", "direct", "--batch", 2, "--traces", 0, "--out", out)
    assert f"cannot write {out}/rows.jsonl: File too large" in told(cooper(*words, most=1200))
    kept = read_rows(out / "rows.jsonl")
    assert 0 < len(kept) < 8
    assert cooper(*words).returncode == 0
    rows = read_rows(out / "rows.jsonl")
    assert rows[: len(kept)] == kept and len(rows) == len({row["id"] for row in rows}) == 8


@pytest.mark.parametrize(
    ("fault", "full"),
    [
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 49994880 vs 49994772"), True),
        (RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed"), True),
        (OSError("490000 requested and 297952 written"), True),
        (OSError("problem writing element 13312 to file"), True),
        (RuntimeError("PytorchStreamReader failed reading zip archive"), False),
        (RuntimeError("shapes do not fit"), False),
    ],
)
def test_what_libraries_say_of_a_full_disk_is_known(fault, full):
    assert is_full_disk(fault) is full and (sentence_of(fault) is not None) is full
