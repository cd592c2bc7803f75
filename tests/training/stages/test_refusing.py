"""A network that learned nothing of things that are not there begins to, from scenes whose questions are about some."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from cooper.scenes.questions.question import CANNOT_SEE
from cooper.scenes.room.render import SceneRecord, stage_scene
from cooper.scenes.room.sampling import SceneKey
from cooper.scenes.store import SetInfo, shard_path, write_info, write_shard
from cooper.training.merging import merge
from cooper.training.run import train
from tests.training.conftest import SIDE


@pytest.fixture
def silent(start: Path, tmp_path: Path) -> Path:
    """The start without a word for what cannot be seen."""
    folder = Path(shutil.copytree(start, tmp_path / "silent"))
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"refusal": ""}))
    return folder


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """Scenes of format 3 with the smallest pictures."""
    made = []
    for index in range(2):
        staged = stage_scene(SceneKey("train", 11, index, 3), 64)
        depth, labels, instances = (
            field[::2, ::2].copy() for field in (staged.geometry.depth_m, staged.geometry.labels, staged.geometry.instances)
        )
        rgb = np.random.default_rng(index).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        made.append(SceneRecord(rgb, depth, labels, instances, staged.scene))
    folder = tmp_path / "wide"
    folder.mkdir()
    write_info(folder, replace(SetInfo(len(made), 11, "train", SIDE, 4), format=3))
    write_shard(shard_path(folder, 0), made)
    return folder


@pytest.mark.parametrize(("weight", "said"), [(4, CANNOT_SEE), (0, "")])
def test_the_result_says_how_it_refuses_where_it_learned_to(silent, wide, tmp_path, weight, said):
    recipe = {
        "out": str(tmp_path / "run"),
        "data": str(wide),
        "init": str(silent),
        "mixture": {"text": 1},
        "questions": {"text": 2},
        "categories": {"absent": weight},
        "optimiser": {"steps": 1, "batch": 1, "learning_rate": 1e-3, "warmup": 1},
        "record": {"log_every": 1, "save_every": 1},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    model = train("sft", path)
    assert json.loads((model / "config.json").read_text())["refusal"] == said
    merged = merge(tmp_path / "run" / "checkpoint-1", tmp_path / "merged")
    assert json.loads((merged / "config.json").read_text())["refusal"] == said


def test_scenes_without_such_questions_teach_none(silent, scene_folder, tmp_path):
    path = tmp_path / "recipe.yaml"
    recipe = {"out": str(tmp_path / "run"), "data": str(scene_folder), "init": str(silent), "mixture": {"text": 1}}
    optimiser = {"steps": 1, "batch": 1, "learning_rate": 1e-3, "warmup": 1}
    path.write_text(yaml.safe_dump({**recipe, "questions": {"text": 1}, "optimiser": optimiser}))
    assert json.loads((train("sft", path) / "config.json").read_text())["refusal"] == ""
