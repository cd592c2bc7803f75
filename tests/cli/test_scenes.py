"""Rendering scenes from the command line."""

import pytest

from cooper.cli.scenes import Split
from cooper.scenes.room.catalogue import SPLITS
from cooper.scenes.store import SceneSet


def test_the_command_knows_the_splits_of_the_renderer():
    assert [split.value for split in Split] == list(SPLITS)


@pytest.mark.parametrize("split", SPLITS)
def test_each_split_renders(run, tmp_path, split):
    small = ("--size", 64, "--spp", 4, "--format", 3)
    done = run("scenes", "render", "--count", 1, "--split", split, *small, "--out", tmp_path / split)
    assert done.code == 0, done.err
    info = SceneSet(tmp_path / split).info
    assert (info.count, info.split, info.format) == (1, split, 3)


def test_a_split_that_the_format_lacks_and_an_unknown_format_are_refused(run, tmp_path):
    for wrong, told in ((("--split", "dark"), "needs scenes of format 3"), (("--format", 4), "format: 4 is not one of 2, 3")):
        done = run("scenes", "render", "--count", 1, *wrong, "--out", tmp_path / "set")
        assert done.code == 1 and told in done.err and "Traceback" not in done.err
        assert not (tmp_path / "set").exists()


def test_a_set_keeps_its_format(run, tmp_path):
    small = ("scenes", "render", "--count", 1, "--size", 64, "--spp", 4, "--out", tmp_path / "set")
    assert run(*small).code == 0
    done = run(*small, "--format", 3)
    assert done.code == 1 and "format is 2, this run wants 3" in done.err
