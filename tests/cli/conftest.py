"""The command line with a model in its place that writes and draws what the tests say."""

import signal
import sys
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from cooper.cli.main import main
from cooper.perception.modality import Reading
from cooper.trace.steps import MapStep, Question, TextStep
from cooper.trace.trace import Trace


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch, capsys):
    """`run("ask", ...)` runs the command line in this process."""

    def of(*arguments):
        monkeypatch.setattr(sys, "argv", ["cooper", *map(str, arguments)])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # put back afterwards, as is the handler of Ctrl-C
        handler = signal.getsignal(signal.SIGINT)
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            signal.signal(signal.SIGINT, handler)
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return of


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "room.png"
    Image.new("RGB", (32, 24), (200, 30, 30)).save(path)
    return path


@pytest.fixture
def depth_step():
    depth = np.linspace(1, 6.5, 32 * 24, dtype=np.float32).reshape(24, 32)
    reading = Reading({"depth": depth}, {"depth": "m"})
    return MapStep("depth", np.zeros((24, 32, 3), np.float32), Image.new("RGB", (32, 24)), seconds=1.0, reading=reading)


@pytest.fixture
def example_trace(depth_step):
    """`example_trace(image, ...)`: a trace that looks once and answers B."""

    def of(image, text="Which?", mode="interleaved", seed=0):
        steps = (
            TextStep("<think>Look.</think>\n<depth-estimation>Draw.</depth-estimation>", (1, 2), (-0.5, -0.5), seconds=0.5),
            depth_step,
            TextStep("Check the map.", author="prompt"),
            TextStep("<think>Seen.</think>\n<answer>B</answer>", (3,), (-0.5,)),
        )
        return Trace(Question((image, text)), steps, mode=mode, model="fake", seed=seed)

    return of
