"""The bundled model and the bundled picture: what a user meets first."""

import json
import subprocess
import sys
import warnings
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from cooper.reasoning.cooper import Cooper
from cooper.trace.example import example
from cooper.trace.modes import MODES

ASSETS = Path(str(files("cooper"))) / "assets"
ROOM = ASSETS / "demo" / "room.png"
QUESTION = example().text


@pytest.fixture(scope="module")
def nano() -> Cooper:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return Cooper.from_pretrained("nano")


def test_the_files_are_small():
    assert sum(path.stat().st_size for path in (ASSETS / "nano").iterdir()) < 24e6


def test_depth_in_metres(nano):
    drawn = nano.depth(ROOM)
    depth = drawn.reading.arrays["depth"]
    assert drawn.reading.units["depth"] == "m"
    assert depth.shape == (128, 128)
    floor, wall = depth[-8:].mean(), depth[40:60].mean()
    assert 0.3 < floor < wall < 8  # the floor at our feet is nearer than the wall


def test_segmentation_names_what_it_sees(nano):
    reading = nano.segment(ROOM).reading
    named = {reading.names[label] for label in np.unique(reading.arrays["labels"])}
    assert {"floor", "wall"} <= named


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_answers(nano, mode):
    trace = nano.ask(ROOM, QUESTION, mode=mode)
    assert trace.answer is not None
    assert (len(trace.maps) == 2) == (mode == "perception")
    assert [turn.token_ids for turn in trace.turns] == [t.token_ids for t in nano.ask(ROOM, QUESTION, mode=mode).turns]


def test_the_command_line_answers(tmp_path):
    command = [sys.executable, "-m", "cooper.cli.main", "ask", str(ROOM), QUESTION, "--out", str(tmp_path / "out"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert said["answer"]
    page = (tmp_path / "out" / "page.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "data:image/" in page


def test_loading_prints_nothing():
    code = "import cooper; cooper.Cooper.from_pretrained('nano')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == ran.stderr == ""
