"""Every stage starts from a checkpoint in the published layout, which has no prompts and knows no classes of scenes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from cooper.scenes.examples import CONVENTIONS
from cooper.scenes.room.render import SceneRecord, stage_scene
from cooper.scenes.room.sampling import SceneKey
from cooper.scenes.store import SetInfo, shard_path, write_info, write_shard
from cooper.training.bundles import load_bundle
from cooper.training.loop.watching import read_metrics
from cooper.training.targets import modalities_of
from tests.cli.conftest import run  # noqa: F401 - the command line in this process
from tests.parity.conftest import golden_dir  # noqa: F401 - where the golden checkpoint lies

SIDE = 64  # as the golden checkpoint reads pictures
OPTIMISER = {"steps": 2, "batch": 2, "learning_rate": 1e-4, "warmup": 1}
RECORD = {"log_every": 1, "save_every": 1, "eval_every": 2}
STAGES = {
    "amg": {"optimiser": OPTIMISER, "eval_scenes": 1},
    "sft": {
        "optimiser": OPTIMISER,
        "eval_scenes": 1,
        "eval_questions": 1,
        "mixture": {"interleaved": 1, "replay": 1},
        "questions": {"interleaved": 2},
    },
    "grpo": {
        "steps": 2,
        "learning_rate": 1e-4,
        "questions": 2,
        "group": 2,
        "rows": 2,
        "max_turns": 2,
        "eval_questions": 1,
        "sampling": {"max_tokens": 4},
    },
}


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mitsuba")
    folder, rng = tmp_path_factory.mktemp("rooms"), np.random.default_rng(0)
    made = []
    for index in range(2):
        staged = stage_scene(SceneKey("train", 11, index), SIDE)
        maps = staged.geometry
        rgb = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)  # rendering takes long, and nothing is to be learnt here
        made.append(SceneRecord(rgb, maps.depth_m, maps.labels, maps.instances, staged.scene))
    write_info(folder, SetInfo(2, 11, "train", SIDE, 2))
    write_shard(shard_path(folder, 0), made)
    return folder


@pytest.mark.parametrize("stage", ["amg", *(pytest.param(name, marks=pytest.mark.slow) for name in ("sft", "grpo"))])
def test_a_stage_starts_from_published_weights(run, golden_dir, rooms, tmp_path, stage):  # noqa: F811
    weights = tmp_path / "weights"
    weights.mkdir()
    shutil.copy(golden_dir / "checkpoint" / "ema.safetensors", weights)
    places = {"data": str(rooms), "val": str(rooms), "init": str(weights), "base": str(golden_dir / "checkpoint")}
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"out": str(tmp_path / "run"), **places, "record": RECORD, **STAGES[stage]}))
    ran = run("train", stage, "--config", recipe)
    assert ran.code == 0, ran.err
    assert "holds no prompts.json: the wording of this project is used" in ran.err
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [line["step"] for line in lines if "loss" in line] == [1, 2]
    exam = {name for line in lines for name in line if name.startswith("eval_")}
    assert exam & {"eval_region_iou", "eval_interleaved_accuracy"} and not exam & {"eval_miou", "eval_abs_rel"}
    assert run("export", tmp_path / "run" / "model", tmp_path / "published").code == 0
    if stage == "amg":
        return  # an untrained network writes until it must stop, which takes long
    Image.new("RGB", (SIDE, SIDE), (200, 30, 30)).save(tmp_path / "room.png")
    asked = ("Is it red?", "--mode", "direct", "--out", tmp_path / "trace")
    answer = run("ask", tmp_path / "room.png", *asked, "--model", tmp_path / "run" / "model")
    assert answer.code == 0, answer.err


def test_relative_depth_of_rooms_covers_their_range(golden_dir):  # noqa: F811
    with pytest.warns(UserWarning, match="prompts"):
        bundle = load_bundle(golden_dir / "checkpoint")
    depth = modalities_of(bundle.model.config.modalities, CONVENTIONS)["depth"]
    assert (depth.near, depth.far) == (CONVENTIONS.near, CONVENTIONS.far) and not depth.metric
    assert bundle.model.config.modalities["depth"] == {"near": 0.0, "far": 1.0, "metric": False}


def test_the_bundled_model_is_a_start_by_its_name():
    assert load_bundle(Path("nano")).model.config.hidden_size == 192
