"""`cooper eval scenes` on scenes of format 3: chosen categories, held-out wordings, things that are not there."""

import json
from pathlib import Path

import pytest

SMALL = ("eval", "scenes", "--mode", "text", "--traces", 0, "--maps", 0, "--seed", 5)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from cooper.scenes.production import RenderSettings, render_scenes

    folder = tmp_path_factory.mktemp("format-3") / "test"
    render_scenes(RenderSettings(count=3, seed=5, split="test", out=folder, spp=4, form=3))
    return folder


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]


def test_chosen_categories_in_words_that_training_lacks(run, scenes: Path, tmp_path: Path):
    chosen = ("--data", scenes, "--limit", 10, "--categories", "camera_distance,absent")
    done = run(*SMALL, *chosen, "--wording", "held_out", "--out", tmp_path / "held-out")
    assert done.code == 0, done.err
    assert {row["category"] for row in rows(tmp_path / "held-out")} == {"camera_distance", "absent"}
    again = run(*SMALL, *chosen, "--out", tmp_path / "held-out")
    assert again.code == 1 and "wording 'held_out', not None" in again.err


def test_a_set_of_format_3_is_rendered_where_none_is_named(run, tmp_path: Path):
    done = run(*SMALL, "--limit", 4, "--format", 3, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "run" / "scenes" / "dataset.json").read_text())["format"] == 3


@pytest.mark.parametrize(
    ("wrong", "told"),
    [(("--categories", "taste"), "unknown category 'taste'"), (("--wording", "odd"), "unknown wording 'odd'")],
)
def test_what_there_is_not_is_refused(run, tmp_path: Path, wrong, told: str):
    done = run(*SMALL, *wrong, "--out", tmp_path / "run")
    assert done.code == 1 and told in done.err and "Traceback" not in done.err


def test_a_format_or_a_wording_that_the_scenes_do_not_have_is_refused(run, scenes: Path, tmp_path: Path):
    done = run(*SMALL, "--data", scenes, "--format", 2, "--limit", 4, "--out", tmp_path / "run")
    assert done.code == 1 and "holds scenes of format 3, not 2 (--format)" in done.err
    done = run(*SMALL, "--wording", "held_out", "--limit", 4, "--out", tmp_path / "other")
    assert done.code == 1 and "--wording needs scenes of format 3" in done.err
