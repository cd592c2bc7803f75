"""What a user may type wrongly, at the real commands: one sentence, a code that is not 0, nothing written, no traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from cooper.trace.trace import Trace


def cooper(*arguments, cwd, **environment):
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "cooper", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A working directory with a picture and things that are none."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 48), (200, 30, 30)).save("room.png")
    Path("file").write_text("not a picture")
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("room.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n")
    Path("named\x1b[31m.png").write_text("x")
    return tmp_path


ROOM = ("ask", "room.png", "What?", "--mode", "direct")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*ROOM, "--seed", "-1"), "--seed is -1"),
        ((*ROOM, "--seed", 2**32), "--seed is 4294967296"),
        ((*ROOM, "--seed", 10**30), "--seed is"),
        ((*ROOM, "--out", "file"), "is a file"),
        ((*ROOM, "--out", "file/below"), "is a file"),
        ((*ROOM, "--out", ""), "working directory"),
        ((*ROOM, "--out", "."), "working directory"),
        ((*ROOM, "--out", ".."), "working directory"),
        ((*ROOM, "--out", "a" * 300), "at most 200 bytes"),
        ((*ROOM, "--out", "/proc/out"), "/proc"),
        ((*ROOM, "--model", "nowhere"), "no directory"),
        ((*ROOM, "--model", "folder"), "not a checkpoint"),
        ((*ROOM, "--model", "file"), "is a file"),
        ((*ROOM, "--model", ""), "a checkpoint is a folder"),
        ((*ROOM, "--base", "nowhere"), "no directory"),
        ((*ROOM, "--device", "cuda:99"), "device 'cuda:99'"),
        ((*ROOM, "--device", "foo"), "device 'foo'"),
        ((*ROOM, "--device", ""), "device ''"),
        ((*ROOM, "--subject", "5"), "picture 5 is asked for"),
        (("ask", "pipe", "What?"), "no regular file"),
        (("ask", "folder", "What?"), "is a folder"),
        (("ask", "file", "What?"), "not a picture"),
        (("ask", "room.eps", "What?"), "not a picture"),
        (("ask", "absent.png", "What?"), "No such file"),
        (("ask", "named\x1b[31m.png", "What?"), "not a picture"),
        (("ask", "room.png", " "), "the question is empty"),
        (("ask", "room.png", "\udcff"), "surrogate"),
        (("ask", "room.png", "x" * 20_001), "at most 20000"),
        (("ask", "room.png", "😀" * 10_000, "--mode", "direct"), "at most 2048"),
        (("depth", "room.png", "--view", "nan"), "--view is nan"),
        (("depth", "room.png", "--view", "180"), "--view is 180"),
        (("depth", "room.png", "--out", "file"), "is a file"),
        (("segment", "pipe"), "no regular file"),
        (("inspect", "nowhere"), "no directory"),
        (("inspect", "file"), "is a file"),
        (("export", "nano", "file"), "is a file"),
        (("export", "nowhere", "new"), "no directory"),
        (("export", "nano", "."), "not empty"),
    ],
)
def test_a_mistake_is_one_sentence(run, place, arguments, said):
    before = sorted(path.name for path in place.iterdir())
    ran = run(*arguments)
    assert ran.code == 1 and said in ran.err and ran.out == ""
    assert len(ran.err.strip().splitlines()) == 1 and "Traceback" not in ran.err and "\x1b[31m." not in ran.err
    assert sorted(path.name for path in place.iterdir()) == before


@pytest.mark.parametrize("arguments", [("ask", "room.png"), ("ask", "room.png", "Q?", "--seed", "x"), ("depth",), ("nothing",)])
def test_a_command_that_does_not_exist_so_is_explained(run, place, arguments):
    assert run(*arguments).code == 2


def test_mistakes_are_told_before_anything_heavy_is_imported(place):
    code = (
        "import sys; sys.argv = ['cooper', *{!r}]\n"
        "from cooper.cli.main import main\n"
        "try: main()\n"
        "finally: print([name for name in ('torch', 'transformers', 'diffusers') if name in sys.modules])"
    )
    for arguments in (
        ("inspect", "nowhere"),
        ("ask", "absent.png", "What?"),
        (*ROOM, "--model", "nowhere"),
        (*ROOM, "--out", "file"),
    ):
        ran = subprocess.run(
            [sys.executable, "-c", code.format(arguments)], cwd=place, capture_output=True, text=True, check=False
        )
        assert ran.stdout.strip() == "[]" and ran.returncode == 1, (arguments, ran.stderr)


def test_a_console_without_unicode_gets_escapes_and_the_trace(place):
    ran = cooper(
        "ask", "room.png", "Wie groß ist 立方体? 😀", "--mode", "text", "--out", "out", cwd=place, PYTHONIOENCODING="ascii"
    )
    assert ran.returncode == 0 and "Traceback" not in ran.stderr and ran.stdout.isascii()
    assert Trace.load(place / "out").question.text == "Wie groß ist 立方体? 😀"
    assert (place / "out" / "page.html").is_file()


def test_a_full_disk_behind_the_output_is_one_sentence(place):
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "cooper", "inspect", "nano", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ran.returncode == 1 and "No space left" in ran.stderr and "Traceback" not in ran.stderr


def test_the_output_may_be_closed_early(place):
    command = f"{sys.executable} -m cooper --help | head -c 1"
    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in ran.stderr


def test_json_holds_whatever_a_question_holds(run, place):
    ran = run("ask", "room.png", "a\u2028b</script>\x1b[31m", "--mode", "direct", "--json")
    assert ran.code == 0 and json.loads(ran.out)["question"] == "a\u2028b</script>\x1b[31m"
