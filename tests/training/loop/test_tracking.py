"""A tracked run: what trackio then holds, in a folder of this test and without a network."""

import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cooper.training.bundles import load_bundle
from cooper.training.rl.run import reinforce
from tests.training.grpo_runs import lines, script
from tests.training.rollout_groups import ANSWER, DEPTH, PARTS

pytest.importorskip("trackio")


@pytest.fixture
def tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a trackio that is imported anew, since it reads its folder once, and that may open no connection."""

    def refused(*_: object) -> None:
        raise AssertionError("a tracked run opens a connection")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "trackio"}
    yield tmp_path / "trackio"
    for name in [name for name in sys.modules if name.partition(".")[0] == "trackio"]:
        del sys.modules[name]
    sys.modules.update(before)


@pytest.mark.usefixtures("rewarded")
def test_a_tracked_run_logs_figures_and_a_table_with_all_pictures(recipe, tracker, monkeypatch):
    turns = ([DEPTH, PARTS, ANSWER], [ANSWER], [PARTS, ANSWER])
    script(monkeypatch, load_bundle(recipe.init).processor, lambda id: turns)
    run = replace(recipe, max_turns=3, record=replace(recipe.record, tracker="trackio"))
    reinforce(run)

    from trackio.sqlite_storage import SQLiteStorage

    logged = SQLiteStorage.get_logs("cooper", "grpo-run")
    told = {line["step"]: line["reward"] for line in logged if "reward" in line}
    assert told == {line["step"]: line["reward"] for line in lines(run) if "reward" in line} and set(told) == {1, 2}
    (table,) = [line["samples"] for line in logged if "samples" in line]
    rows = table["_value"]
    assert [[picture["caption"] for picture in row["maps"]] for row in rows] == [
        ["depth", "segmentation"],
        [],
        ["segmentation"],
    ]
    assert [row["written"].count("[depth]") for row in rows] == [1, 0, 0] and all("short" in row for row in rows)
    kept = run.out / "samples" / "step-000002"
    for place, row in enumerate(rows):
        folder = kept / f"{place:02d}"
        saved = [folder / "input_0.png", *sorted(folder.glob("step_*.png"))]
        shown = [tracker / "media" / picture["file_path"] for picture in (row["picture"], *row["maps"])]
        assert row["question"] and len(shown) == len(saved)
        assert all(np.array_equal(_pixels(one), _pixels(other)) for one, other in zip(shown, saved, strict=True))


def _pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))
