"""Tiny scenes and a tiny network, so that every stage can be trained in seconds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cooper.model.config import DrawingDefaults, Transforms, VaeGeometry, VitGeometry
from cooper.model.vae import Autoencoder
from cooper.perception import build_modalities
from cooper.scenes.examples import SceneExamples
from cooper.scenes.room.catalogue import CLASS_NAMES
from cooper.scenes.room.render import SceneRecord, stage_scene
from cooper.scenes.room.sampling import SceneKey
from cooper.scenes.store import SetInfo, shard_path, write_info, write_shard
from cooper.sequence.packing import Row
from cooper.trace.prompts import DEFAULT
from cooper.training.bundles import Bundle, TrainedAutoencoder, save_bundle, save_tokenizer
from cooper.training.feed.latents import LatentStore
from cooper.training.recipe import RecordSettings
from cooper.training.rl.recipe import GrpoRecipe, RewardSettings, SamplingSettings
from cooper.training.stages.reasoning import TraceRows
from cooper.training.stages.rows import MapRows, Noise
from cooper.training.start.network import NetworkShape, new_model
from cooper.training.start.tokenizer import train_tokenizer
from tests.training.grpo_worker import Lengths

SIDE = 32
MODALITIES = {
    "depth": {"near": 0.3, "far": 8.0, "metric": True},
    "segmentation": {"codec": "scenes", "names": list(CLASS_NAMES)},
}
SHAPE = NetworkShape(
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    intermediate_size=48,
    latent_patch_size=4,
    latent_side=4,
    vit_side=2,
    vit=VitGeometry(16, 1, 2, 32, 14, 2),
    transforms=Transforms((SIDE, SIDE, 8), (28, 28, 14), True),
    drawing=DrawingDefaults(3, 1.0, 1.0, 1.0),
)


@pytest.fixture(scope="session")
def records() -> list[SceneRecord]:
    pytest.importorskip("mitsuba")
    rng = np.random.default_rng(0)
    made = []
    for index in range(4):
        staged = stage_scene(SceneKey("train", 11, index), 64)
        maps = (staged.geometry.depth_m, staged.geometry.labels, staged.geometry.instances)
        depth, labels, instances = (field[::2, ::2].copy() for field in maps)
        rgb = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        made.append(SceneRecord(rgb, depth, labels, instances, staged.scene))
    return made


@pytest.fixture(scope="session")
def scene_folder(records: list[SceneRecord], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    write_info(folder, SetInfo(len(records), 11, "train", SIDE, 4))
    write_shard(shard_path(folder, 0), records)
    return folder


@pytest.fixture(scope="session")
def examples(scene_folder: Path) -> SceneExamples:
    return SceneExamples(scene_folder)


@pytest.fixture(scope="session")
def autoencoder() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(VaeGeometry(8, (1, 2), 1, 2, 1.0, 0.0, 4))


@pytest.fixture(scope="session")
def bundle(autoencoder: Autoencoder, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("tokenizer")
    texts = [*DEFAULT.system.values(), *DEFAULT.requests.values(), DEFAULT.reflection] * 3
    save_tokenizer(train_tokenizer(texts, 320), folder)
    model = new_model(SHAPE, TrainedAutoencoder(autoencoder, MODALITIES), 320, seed=0)
    return Bundle(model, model.config.processor(folder), DEFAULT)


@pytest.fixture(scope="session")
def start(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    save_bundle(bundle, folder)
    return folder


@pytest.fixture
def recipe(start: Path, scene_folder: Path, tmp_path: Path) -> GrpoRecipe:
    return GrpoRecipe(
        out=tmp_path / "run",
        init=start,
        data=scene_folder,
        steps=2,
        learning_rate=1e-3,
        questions=2,
        group=3,
        rows=3,
        sampling=SamplingSettings(max_tokens=5),
        max_turns=2,
        record=RecordSettings(log_every=1, save_every=1, eval_every=2),
    )


@pytest.fixture
def rewarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward that a random network can earn."""
    monkeypatch.setattr("cooper.training.rl.run.rewards_of", lambda recipe, door, flags, source: [Lengths()])
    monkeypatch.setattr(RewardSettings, "terms", {"lengths": 1.0})


@pytest.fixture
def map_rows(examples: SceneExamples, bundle: Bundle, tmp_path: Path) -> MapRows:
    store = LatentStore(tmp_path, bundle.model.vae)
    return MapRows(examples, build_modalities(MODALITIES), store, bundle.processor, bundle.prompts, Noise(1.0, 0))


@pytest.fixture
def map_rows_with_two_draws(map_rows: MapRows) -> MapRows:
    return replace(map_rows, draws=2)


def row_of(rows: TraceRows, number: int, index: int, kind: str, count: int) -> Row:
    """Row `number` of a run: `count` traces of a kind about one example."""
    return rows.tree(number, rows.group(number, index, kind, count))
