"""Every block of code of the tutorials runs, in order, in an empty folder, with the bundled model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks

TUTORIALS = ROOT / "docs" / "tutorials"
NEEDS = {"train-maps": ("mitsuba", "accelerate"), "reinforce": ("trl",)}
SLOW = ("train-maps", "reinforce")
PAGES = sorted(page.stem for page in TUTORIALS.glob("*.md") if page.stem != "index")


def run(block: Block, folder: Path, env: dict[str, str]) -> None:
    """Write a block that has a title; run the lines of a shell; leave the blocks of Python to the caller."""
    if block.title:
        (folder / block.title).write_text(block.text, encoding="utf-8")
    elif block.language == "sh":
        ran = subprocess.run(["bash", "-e", "-c", block.text], cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{block.text}\n{ran.stdout}\n{ran.stderr}"


def python_of(page: list[Block], upto: int) -> str:
    """All blocks of Python up to a place, without those that are files: a page is one session."""
    return "\n".join(block.text for block in page[: upto + 1] if block.language == "python" and not block.title)


@pytest.mark.parametrize("name", [pytest.param(each, marks=pytest.mark.slow if each in SLOW else ()) for each in PAGES])
def test_the_page_runs(name, tmp_path):
    for module in NEEDS.get(name, ()):
        pytest.importorskip(module)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool, words in (("cooper", "-m cooper"), ("python", "")):
        command = tools / tool
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n', encoding="utf-8")
        command.chmod(0o755)
    paths = os.pathsep.join(filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}
    folder = tmp_path / "work"
    folder.mkdir()
    page = blocks(TUTORIALS / f"{name}.md")
    last = max((place for place, block in enumerate(page) if block.language == "python"), default=-1)
    for place, block in enumerate(page):
        run(block, folder, env)
        if place == last:
            script = [sys.executable, "-c", python_of(page, place)]
            ran = subprocess.run(script, cwd=folder, env=env, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, ran.stderr


def test_every_tutorial_is_a_page_of_the_index():
    index = (TUTORIALS / "index.md").read_text(encoding="utf-8")
    assert len(PAGES) == 4 and all(f"({name}.md)" in index for name in PAGES)


def test_the_python_of_the_readme_runs(tmp_path):
    (block,) = (block for block in blocks(ROOT / "README.md") if block.language == "python")
    told = "\nassert trace.answer in question and depth.reading.units['depth'] == 'm'\n"
    ran = subprocess.run([sys.executable, "-c", block.text + told], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
