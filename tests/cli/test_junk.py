"""Random junk at every door: no traceback, one sentence and a code that is not 0, or an honest success; memory stays small.

The cases run in one process of their own, so that what they take is measured together; each case is a command line.
"""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

LARGEST = 2_000_000  # KiB of memory that all cases together may ever hold
RUNNER = textwrap.dedent(
    """
    import contextlib, io, json, resource, sys
    from cooper.cli.main import main

    for line in sys.stdin:
        arguments = json.loads(line)
        out, err = io.StringIO(), io.StringIO()
        sys.argv, code, fault = ["cooper", *arguments], 0, ""
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
            except BaseException as error:
                fault = f"{type(error).__name__}: {error}"[:300]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"code": code, "fault": fault, "err": err.getvalue()[-2000:], "peak": peak}), flush=True)
    """
)


class Doors:
    """The command line in a process that stays."""

    def __init__(self, place: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUNNER],
            cwd=place,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __call__(self, *arguments: str) -> dict:
        self.process.stdin.write(json.dumps(list(arguments)) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def doors(tmp_path_factory):
    place = tmp_path_factory.mktemp("junk")
    Image.new("RGB", (64, 48), (200, 30, 30)).save(place / "room.png")
    for folder in ("checkpoint", "set", "run"):
        (place / folder).mkdir()
    opened = Doors(place)
    opened.place = place
    yield opened
    opened.process.stdin.close()
    opened.process.wait()


NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([2**63, 10**400, -0.0, 1e-320]))
PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)
BYTES = st.one_of(
    st.binary(max_size=200),
    PLAIN.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    st.lists(PLAIN, max_size=4).map(lambda rows: "\n".join(map(json.dumps, rows)).encode("utf-8", "surrogatepass")),
    st.sampled_from(
        [b"[" * 50_000, b"\x89PNG\r\n\x1a\n" + bytes(40), b"PK\x03\x04", b"\xff\xfe\x00", b"\n" * 100, b"id\tquestion\n1\t"]
    ),
)
FILES = (
    "picture.png",
    "questions.jsonl",
    "table.tsv",
    "recipe.yaml",
    "checkpoint/config.json",
    "checkpoint/model.safetensors",
    "checkpoint/llm_config.json",
    "set/dataset.json",
    "run/run.json",
    "run/rows.jsonl",
)
COMMANDS = (
    ("ask", "picture.png", "What?", "--mode", "direct", "--out", "trace"),
    ("depth", "picture.png"),
    ("ask", "room.png", "What?", "--model", "checkpoint"),
    ("inspect", "checkpoint"),
    ("export", "checkpoint", "exported"),
    ("data", "flags", "--data", "questions.jsonl", "--out", "flags", "--limit", "1", "--samples", "1"),
    ("data", "draw", "--data", "set", "--out", "drawn", "--limit", "1"),
    ("eval", "mmvp", "--data", "table.tsv", "--mode", "direct", "--limit", "1", "--out", "eval"),
    ("eval", "scenes", "--data", "set", "--mode", "direct", "--limit", "1", "--out", "scenes"),
    ("eval", "scenes", "--data", "set", "--inference", "recipe.yaml", "--out", "scenes"),
    ("compare", "run:direct", "run:text"),
    ("study", "a=run:direct", "b=run:text", "--out", "study"),
    *(("train", stage, "--config", "recipe.yaml") for stage in ("autoencoder", "vision", "amg", "sft", "grpo")),
)
JUNK = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def holds(ran: dict, command: tuple[str, ...]) -> None:
    assert not ran["fault"], (command, ran["fault"])
    assert "Traceback" not in ran["err"]
    if ran["code"] == 1:
        said = [line for line in ran["err"].splitlines() if line.startswith("cooper: ")]
        assert len(said) == 1 or command[0] == "inspect", (command, ran["err"])
    assert ran["peak"] < LARGEST


@JUNK
@given(st.sampled_from(COMMANDS), st.dictionaries(st.sampled_from(FILES), BYTES, max_size=4))
def test_junk_in_files(doors, command, contents):
    for name in FILES:
        (doors.place / name).unlink(missing_ok=True)
    for name, content in contents.items():
        (doors.place / name).write_bytes(content)
    holds(doors(*command), command)


OPTIONS = (
    "--seed",
    "--limit",
    "--mode",
    "--model",
    "--device",
    "--out",
    "--batch",
    "--data",
    "--view",
    "--subject",
    "--base",
    "--split",
)
VALUES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
    NUMBERS.map(str),
    st.sampled_from(
        ["", ".", "..", "/", "/dev/null", "room.png", "room.png/x", "nan", "-1", "cuda:9", "a" * 300, "direct,direct"]
    ),
)


@JUNK
@given(st.sampled_from(COMMANDS), st.lists(st.tuples(st.sampled_from(OPTIONS), VALUES), min_size=1, max_size=2))
def test_junk_in_options(doors, command, options):
    for name in FILES:
        (doors.place / name).unlink(missing_ok=True)
    (doors.place / "recipe.yaml").write_text("{}")
    words = tuple(word for pair in options for word in pair)
    holds(doors(*command, *words), command)


@JUNK
@given(
    st.sampled_from(("autoencoder", "vision", "amg", "sft", "grpo")), st.dictionaries(st.text(max_size=10), PLAIN, max_size=3)
)
def test_junk_in_recipes(doors, stage, values):
    known = {"out": "trained", "data": "set", "validation": "set", "autoencoder": "checkpoint", "init": "checkpoint"}
    try:
        text = yaml.safe_dump(known | values, allow_unicode=True)
    except (yaml.YAMLError, ValueError, OverflowError):
        return
    (doors.place / "recipe.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
    command = ("train", stage, "--config", "recipe.yaml")
    ran = doors(*command)
    holds(ran, command)
    assert ran["code"] == 1
