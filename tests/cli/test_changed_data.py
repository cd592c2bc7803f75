"""Flags and drawn maps are those of the data that they were made of: data that changed since are refused by name."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cooper.curation.flags import check_flags
from cooper.errors import CooperError
from cooper.scenes.drawings import Drawings
from cooper.scenes.store import SceneSet, shard_path
from cooper.training.rl.tasks import source_of
from tests.cli.test_bad_data import parquet, png, pyarrow, scene_set, whole_set  # noqa: F401 - fixtures
from tests.evaluation.benchmarks.published_tables import room


def questions(folder: Path, **changed: str) -> Path:
    """Three questions; `changed` has other words for some of them, by id."""
    path = folder / "questions.jsonl"
    rows = [
        {"id": name, "image": f"{name}.png", "question": changed.get(name, "Is it near?"), "type": "YN", "answer": "yes"}
        for name in ("q0", "q1", "q2")
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def asked(tmp_path) -> Path:
    for name in ("q0", "q1", "q2"):
        (tmp_path / f"{name}.png").write_bytes(room())
    return questions(tmp_path)


def flags(run, path: Path, limit: int):
    return run("data", "flags", "--data", path, "--out", path.parent / "flags", "--samples", "1", "--limit", limit)


def repaint(folder: Path, scene: int) -> None:
    """Give a scene another picture."""
    path = shard_path(folder, 0)
    stored = parquet.read_table(path)
    cells = stored.column("rgb").to_pylist()
    cells[scene] = png(np.full((64, 64, 3), 200, np.uint8))
    parquet.write_table(stored.set_column(stored.column_names.index("rgb"), "rgb", pyarrow.array(cells)), path)


@pytest.mark.parametrize("change", ["words", "picture"])
def test_flags_of_questions_that_changed(run, asked, change):
    assert flags(run, asked, 2).code == 0
    made = asked.parent / "flags" / "flags.jsonl"
    check_flags(made, source_of(asked, 0, 1))
    if change == "words":
        questions(asked.parent, q0="Is the red cube near?")
    else:
        Image.new("RGB", (64, 64), "red").save(asked.parent / "q0.png")
    before = made.read_bytes()
    ran = flags(run, asked, 3)
    assert ran.code == 1 and "'q0' of the data has changed since" in " ".join(ran.err.split()) and "Traceback" not in ran.err
    assert made.read_bytes() == before
    with pytest.raises(CooperError, match=r"flags\.jsonl: the question q0 has changed since its flag was made"):
        check_flags(made, source_of(asked, 0, 1))
    questions(asked.parent)
    (asked.parent / "q0.png").write_bytes(room())
    assert flags(run, asked, 3).code == 0 and made.read_bytes().startswith(before)


def test_a_question_without_a_flag_may_change(run, asked):
    assert flags(run, asked, 2).code == 0
    questions(asked.parent, q2="Is the red cube near?")
    assert flags(run, asked, 3).code == 0
    check_flags(asked.parent / "flags" / "flags.jsonl", source_of(asked, 0, 1))


def test_flags_of_an_earlier_version_are_taken_as_they_are(run, asked):
    assert flags(run, asked, 2).code == 0
    path = asked.parent / "flags" / "run.json"
    path.write_text(json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != "questions"}))
    questions(asked.parent, q0="Is the red cube near?")
    assert flags(run, asked, 3).code == 0
    assert set(json.loads(path.read_text())["questions"]) == {"q2"}  # nobody knows what the others were
    path.write_text(path.read_text().replace('"questions": {', '"questions": {"q1": 5, '))
    ran = flags(run, asked, 3)
    assert ran.code == 1 and "questions must be an object of digests" in ran.err


def test_maps_of_scenes_that_changed(run, scene_set, tmp_path):  # noqa: F811
    out = tmp_path / "maps"
    words = ("data", "draw", "--data", scene_set, "--out", out, "--maps", "depth")
    assert run(*words, "--limit", "1").code == 0
    whole = shutil.copytree(scene_set, tmp_path / "whole")
    repaint(scene_set, 1)  # not drawn yet
    assert run(*words).code == 0
    assert Drawings.opened(out, SceneSet(scene_set)).path(1, "depth").is_file()
    with pytest.raises(CooperError, match="scene 1 has another picture since its maps were drawn"):
        Drawings.opened(out, SceneSet(whole))
    repaint(scene_set, 0)
    ran = run(*words)
    assert ran.code == 1 and "'0' of the data has changed since" in " ".join(ran.err.split())
    with pytest.raises(CooperError, match="scene 0 has another picture since its maps were drawn"):
        Drawings.opened(out, SceneSet(scene_set))


def test_a_scene_of_a_set_has_a_digest_of_its_own(scene_set):  # noqa: F811
    source = source_of(scene_set, 0, 1)
    first = [source.digest(number) for number in range(len(source))]
    assert len(set(first)) == len(first) == 2
    repaint(scene_set, 1)
    again = source_of(scene_set, 0, 1)
    assert [again.digest(number) == first[number] for number in range(2)] == [True, False]
