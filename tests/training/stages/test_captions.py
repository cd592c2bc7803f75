"""A picture tower from captions: what a caption says of a crop, and that the tower learns it."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from cooper.errors import CooperError
from cooper.files.values import read_recipe
from cooper.scenes.examples import SceneExamples
from cooper.scenes.room.catalogue import COLOURS, MATERIALS, SHAPES
from cooper.scenes.room.render import SceneRecord
from cooper.training.bundles import load_vision
from cooper.training.loop.watching import read_metrics
from cooper.training.run import train
from cooper.training.stages.captions import CaptionBatches, CaptionObjective, Crop, caption_scores
from cooper.training.stages.vision import VisionRecipe
from tests.training.conftest import SHAPE, SIDE


@pytest.fixture
def batches(examples: SceneExamples) -> CaptionBatches:
    return CaptionBatches(
        examples=examples,
        geometry=SHAPE.vit,
        transforms=SHAPE.transforms,
        seed=3,
        crops=0.7,
        zoom=0.4,
        mirror=True,
        jitter=0.2,
    )


def names_of(record: SceneRecord) -> set[tuple[int, int]]:
    return {(list(COLOURS).index(item.colour), SHAPES.index(item.shape)) for item in record.scene.objects}


def test_a_caption_of_a_whole_picture_names_what_is_there(batches: CaptionBatches, records: list[SceneRecord]):
    words = batches.whole(range(len(records))).words
    for place, record in enumerate(records):
        named = {(int(colour), int(shape)) for colour, shape in words.names_NCS[place].nonzero().tolist()}
        assert named == names_of(record) and bool(words.asked_NCS[place].all())
        assert int(words.count_N[place]) == len(record.scene.objects)
        seen = {MATERIALS[int(number)] for (number,) in words.materials_N3[place].nonzero().tolist()}
        assert seen == {item.material for item in record.scene.objects}


def test_a_crop_names_only_what_it_shows_and_leaves_open_what_it_cuts(batches: CaptionBatches, records: list[SceneRecord]):
    record = records[0]
    for left in range(0, SIDE - 14, 3):
        crop = Crop(left, 4, 14)
        words = batches.batch([(record, crop)]).words
        whole, here = (np.bincount(each.ravel(), minlength=9) for each in (record.instances, crop.of(record.instances)))
        for item in record.scene.objects:
            place = (list(COLOURS).index(item.colour), SHAPES.index(item.shape))
            share = here[item.id] / whole[item.id]
            assert bool(words.names_NCS[0][place]) == (share >= 0.6)
            assert bool(words.asked_NCS[0][place]) == (share >= 0.6 or share <= 0.1)


def test_rows_are_the_same_each_time_and_differ_from_each_other(batches: CaptionBatches):
    first, again = batches(range(6)), batches(range(6))
    assert torch.equal(first.patches_PK, again.patches_PK)
    pictures = first.patches_PK.view(6, -1)
    assert len({tuple(each[:50].tolist()) for each in pictures}) == 6


def test_the_tower_learns_the_names_of_a_few_scenes(batches: CaptionBatches):
    torch.manual_seed(0)
    objective = CaptionObjective(SHAPE.vit)
    optimiser = torch.optim.Adam(objective.parameters(), lr=5e-3)
    batch = batches.whole(range(4))
    for _ in range(150):
        loss = (objective(batch) / objective.counts(batch) * torch.tensor(objective.weights)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    scores = caption_scores(objective, batches, 4)
    assert scores["shape_of_colour"] > 0.9 and scores["colour_of_shape"] > 0.9


def test_the_stage_trains_a_tower_from_captions_and_needs_no_maps(scene_folder: Path, tmp_path: Path):
    recipe = {
        "out": str(tmp_path / "run"),
        "data": str(scene_folder),
        "val": str(scene_folder),
        "objective": "captions",
        "vit": {"hidden_size": 16, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
        | {"patch_size": 14, "position_side": 2},
        "transforms": {"vae": [SIDE, SIDE, 8], "vit": [28, 28, 14], "vit_after_vae": True},
        "optimiser": {"steps": 2, "batch": 2, "learning_rate": 1e-3, "kind": "muon", "precision": "auto"},
        "eval_scenes": 2,
        "record": {"eval_every": 2},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    assert load_vision(train("vision", tmp_path / "recipe.yaml")).geometry.hidden_size == 16
    assert any("eval_shape_of_colour" in line for line in read_metrics(tmp_path / "run" / "metrics.jsonl"))


@pytest.mark.parametrize("key", ["cells=4", "move=5", "mixture={depth: 1.0}"])
def test_keys_of_dense_labels_are_refused(key: str):
    with pytest.raises(CooperError, match=r"is read with `objective: cells` only"):
        read_recipe(VisionRecipe, ROOT / "recipes/study/tower.yaml", [key])


ROOT = Path(__file__).resolve().parents[3]
