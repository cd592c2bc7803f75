"""Every command of docs/how-to/reproduce-the-paper.md is one that we have; its options, modes and files exist."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from cooper.cli.main import app
from cooper.evaluation.benchmarks.catalogue import BENCHMARKS
from cooper.evaluation.runs.settings import check_modes
from cooper.model.config import DrawingDefaults
from cooper.reasoning.options import read_inference

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "reproduce-the-paper.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """All lines of code that begin with `cooper`, with the words that the page gives names to in their place."""
    blocks = "\n".join(re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)).replace("\\\n", " ")
    names = dict(re.findall(r'^([A-Z]+)="(.*)"$', blocks, re.MULTILINE))
    lines = [re.sub(r"\$([A-Z]+)", lambda found: names[found[1]], line) for line in blocks.splitlines()]
    inline = [line for line in re.findall(r"`(cooper [^`]*)`", PAGE) if "--" in line and "WEIGHTS" not in line]
    return [shlex.split(line) for line in (*lines, *inline) if line.startswith("cooper ")]


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words)[:70])
def test_the_command_is_one_of_ours(words):
    known = typer.main.get_command(app)
    command = known.get_command(None, words[1])
    asked = command.make_context(words[1], words[2:]).params  # an unknown option, or a missing argument, raises
    if words[1] == "compare":
        assert all(check_modes([run.rpartition(":")[2]]) for run in (asked["first"], asked["second"]))
        assert {asked["first"].rpartition(":")[0], asked["second"].rpartition(":")[0]} <= folders()
    if words[1] == "eval":
        assert set(asked["names"]) <= {*BENCHMARKS, "depth", "segmentation"} and check_modes(
            (asked["mode"] or "direct").split(",")
        )
        assert asked["inference"] is not None and read_inference(ROOT / asked["inference"])


def folders() -> set[str]:
    """Where the evaluations of the page put their runs."""
    found = set()
    for words in commands():
        if words[1] == "eval":
            names = words[2 : next(place for place, word in enumerate(words) if word.startswith("--"))]
            out = words[words.index("--out") + 1]
            found |= {f"{out}/{name}" for name in names} if len(names) > 1 else {out}
    return found


def test_all_rows_of_the_table_have_commands():
    asked = [words for words in commands() if words[1] == "eval" and "--mode" in words]
    modes = [words[words.index("--mode") + 1] for words in asked]
    assert {mode: modes.count(mode) for mode in modes} == {"direct": 3, "perception": 2, "text": 2, "interleaved": 2}
    assert all(len({*words} & {"mm-vet"}) == ("--judge" in words) for words in asked)


def test_the_settings_are_those_that_the_page_tells():
    asked, perception, maps = (
        read_inference(ROOT / "recipes" / "7b" / f"{name}.yaml") for name in ("inference", "perception", "maps")
    )
    assert (asked.sampling.temperature, asked.sampling.max_tokens, asked.max_turns) == (0.0, 4096, 3)
    assert replace(perception, sampling=asked.sampling) == asked and perception.sampling.max_tokens == 256
    drawing, of_maps = (each.drawn_by(DrawingDefaults()) for each in (asked, maps))
    assert (drawing.num_timesteps, drawing.timestep_shift, drawing.interval) == (50, 3.0, (0.0, 1.0))
    assert (drawing.renorm, drawing.text_scale, drawing.image_scale) == ("text_channel", 4.0, 2.0)
    assert (of_maps.text_scale, of_maps.image_scale, of_maps.interval) == (3.0, 1.5, (0.4, 1.0))
