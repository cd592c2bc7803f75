"""Rendering scenes from the command line."""

import pytest

from cooper.cli.scenes import Split
from cooper.scenes.room.catalogue import SPLITS
from cooper.scenes.store import SceneSet


def test_the_command_knows_the_splits_of_the_renderer():
    assert [split.value for split in Split] == list(SPLITS)


@pytest.mark.parametrize("split", SPLITS)
def test_each_split_renders(run, tmp_path, split):
    done = run("scenes", "render", "--count", 1, "--split", split, "--size", 64, "--spp", 4, "--out", tmp_path / split)
    assert done.code == 0, done.err
    info = SceneSet(tmp_path / split).info
    assert (info.count, info.split) == (1, split)
