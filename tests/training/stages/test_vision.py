"""The picture tower: what its cells are asked, how it learns, and how it comes into a network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cooper.errors import CooperError
from cooper.model.vit import Vit
from cooper.perception import build_modalities
from cooper.scenes.examples import SceneExamples
from cooper.scenes.room.catalogue import CLASS_NAMES, COLOURS, MATERIALS
from cooper.training.bundles import Bundle, TrainedVision, load_autoencoder, load_vision, save_bundle, save_vision
from cooper.training.recipe import Optimiser
from cooper.training.stages.cells import NOT_ASKED, Shown
from cooper.training.stages.objective import LossWeights, PackedObjective
from cooper.training.stages.vision import VisionBatches, VisionObjective, VisionRecipe, vision_scores
from cooper.training.start.network import with_vision
from tests.training.conftest import MODALITIES, SHAPE


@pytest.fixture
def batches(examples: SceneExamples, tmp_path: Path) -> VisionBatches:
    optimiser = Optimiser(steps=1, batch=2, learning_rate=1e-2)
    recipe = VisionRecipe(
        out=tmp_path,
        data=tmp_path,
        val=tmp_path,
        optimiser=optimiser,
        modalities=MODALITIES,
        vit=SHAPE.vit,
        transforms=SHAPE.transforms,
        cells=4,
    )
    return VisionBatches(examples, build_modalities(MODALITIES), recipe)


def test_cells_lie_patch_by_patch_and_name_what_is_there(batches: VisionBatches, examples: SceneExamples):
    cells = batches.batch([Shown(1)]).cells
    things = {thing.id: thing for thing in examples.record(1).scene.objects}
    step = 4  # px of 32 in one of 2 x 4 cells
    for row, column in ((0, 0), (3, 5), (6, 2), (7, 7)):
        cell = ((row // 4) * 2 + column // 4) * 16 + (row % 4) * 4 + column % 4
        at = (row * step + 2, column * step + 2)
        assert cells.classes_S[cell] == examples.record(1).labels[at]
        assert cells.depth_S[cell].exp() == pytest.approx(examples.record(1).depth_m[at], rel=1e-5)
        thing = things.get(int(examples.record(1).instances[at]))
        assert cells.colours_S[cell] == (NOT_ASKED if thing is None else list(COLOURS).index(thing.colour))
        assert cells.materials_S[cell] == (NOT_ASKED if thing is None else MATERIALS.index(thing.material))
    seen = {CLASS_NAMES[each] for each in cells.classes_S[cells.objects_S].tolist()}
    assert seen and seen <= {thing.shape for thing in things.values()}


def test_a_mirrored_picture_has_mirrored_cells(batches: VisionBatches):
    plain, mirrored = (batches.batch([Shown(0, mirrored=way)]) for way in (False, True))
    grid = plain.cells.classes_S.view(2, 2, 4, 4).permute(0, 2, 1, 3).reshape(8, 8)
    flipped = mirrored.cells.classes_S.view(2, 2, 4, 4).permute(0, 2, 1, 3).reshape(8, 8)
    step = torch.tensor(batches.examples.record(0).labels[2::4, ::-1][:, 2::4].astype(np.int64))
    assert torch.equal(flipped, step) and not torch.equal(grid, flipped)
    assert not torch.equal(plain.patches_PK, mirrored.patches_PK)


def test_a_moved_picture_has_moved_cells_without_depth(batches: VisionBatches, examples: SceneExamples):
    moved = Shown(0, down=4, right=-8)
    cells = batches.batch([moved]).cells
    grid = cells.classes_S.view(2, 2, 4, 4).permute(0, 2, 1, 3).reshape(8, 8).numpy()
    labels = examples.record(0).labels[2::4, 2::4]
    assert np.array_equal(grid[1:, :-2], labels[:-1, 2:]) and torch.isnan(cells.depth_S).all()
    assert np.array_equal(moved.of(examples.record(0).rgb)[4:, :-8], examples.record(0).rgb[:-4, 8:])


def test_a_crop_fills_the_picture_and_its_cells(batches: VisionBatches, examples: SceneExamples):
    corner = Shown(0, top=4, left=16, side=16)
    cells, labels = batches.batch([corner]).cells, examples.record(0).labels
    grid = cells.classes_S.view(2, 2, 4, 4).permute(0, 2, 1, 3).reshape(8, 8).numpy()
    assert np.array_equal(grid, labels[5:20:2, 17:32:2])  # eight cells of two pixels each way
    assert np.array_equal(corner.of(examples.record(0).rgb), examples.record(0).rgb[4:20, 16:32])


def test_crops_are_as_often_and_as_small_as_asked(batches: VisionBatches):
    many = [replace(batches, recipe=replace(batches.recipe, crops=0.7, zoom=0.5)).shown(row) for row in range(300)]
    sides = [each.side for each in many if each.side]
    assert 180 <= len(sides) <= 240 and min(sides) >= 16 and max(sides) <= 32
    assert all(each.top + each.side <= 32 and each.left + each.side <= 32 for each in many)
    assert not any(batches.shown(row).side for row in range(50)), "dense labels crop nothing unless they are told to"


def test_rows_are_shown_in_many_ways_and_always_in_the_same(batches: VisionBatches):
    recipe = replace(batches.recipe, move=3, jitter=0.2)
    many = [replace(batches, recipe=recipe).shown(row) for row in range(200)]
    assert many == [replace(batches, recipe=recipe).shown(row) for row in range(200)]
    assert {each.mirrored for each in many} == {True, False}
    assert {each.down for each in many} == set(range(-3, 4)) and max(abs(each.brightness - 1) for each in many) <= 0.2


def test_maps_are_asked_only_what_they_show(batches: VisionBatches):
    depth, segmentation = (batches.batch([Shown(0, kind)]).cells for kind in ("depth", "segmentation"))
    for cells in (depth, segmentation):
        assert (cells.colours_S == NOT_ASKED).all() and (cells.materials_S == NOT_ASKED).all()
    assert torch.isnan(segmentation.depth_S).all() and not torch.isnan(depth.depth_S).any()


def test_a_tower_learns_a_few_scenes_and_the_figures_say_so(batches: VisionBatches):
    torch.manual_seed(0)
    objective = VisionObjective(SHAPE.vit, 4, batches.recipe.loss)
    optimiser = torch.optim.Adam(objective.parameters(), lr=5e-3)
    batch = batches.batch([Shown(scene) for scene in range(4)])
    before = vision_scores(objective, batches)
    losses = []
    for _ in range(150):
        loss = (objective(batch) / objective.counts(batch) * torch.tensor(objective.weights)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    after = vision_scores(objective, batches)
    assert losses[-1] < 0.5 * losses[0]
    assert after["miou"] > before["miou"] + 0.1 and after["abs_rel"] < 0.5 * before["abs_rel"]


def test_cells_that_do_not_divide_a_picture_are_refused(batches: VisionBatches):
    odd = replace(batches, recipe=replace(batches.recipe, cells=5))
    with pytest.raises(CooperError, match="2 patches of 5 cells do not divide a picture of 32 px"):
        odd.batch([Shown(0)])


def test_another_tower_changes_nothing_but_the_eyes(bundle: Bundle, tmp_path: Path):
    geometry = replace(SHAPE.vit, hidden_size=24)
    torch.manual_seed(4)
    save_vision(TrainedVision(Vit(geometry), geometry, SHAPE.transforms), tmp_path)
    trained = load_vision(tmp_path)
    seeing = with_vision(bundle.model, trained, seed=0)
    before, after = bundle.model.state_dict(), seeing.state_dict()
    assert before.keys() == after.keys() and seeing.config.vit_geometry == geometry
    for name in before:
        if not name.startswith(("vit.", "connector.")):
            assert torch.equal(before[name], after[name]), name
    for name, weight in trained.vit.state_dict().items():
        assert torch.equal(after[f"vit.{name}"], weight)
    with pytest.raises(CooperError, match="no finished picture tower"):
        load_vision(tmp_path / "none")


def test_a_tower_that_learned_on_keeps_the_connector_behind_it(bundle: Bundle):
    torch.manual_seed(5)
    trained = TrainedVision(Vit(SHAPE.vit), SHAPE.vit, SHAPE.transforms)
    before, after = bundle.model.state_dict(), with_vision(bundle.model, trained, seed=0).state_dict()
    for name, weight in after.items():
        wanted = trained.vit.state_dict()[name.removeprefix("vit.")] if name.startswith("vit.") else before[name]
        assert torch.equal(weight, wanted), name


def test_tower_and_autoencoder_can_be_taken_out_of_a_whole_checkpoint(bundle: Bundle, tmp_path: Path):
    save_bundle(bundle, tmp_path)
    tower, autoencoder = load_vision(tmp_path), load_autoencoder(tmp_path)
    assert tower.geometry == bundle.model.config.vit_geometry and autoencoder.modalities == bundle.model.config.modalities
    for name, weight in tower.vit.state_dict().items():
        assert torch.equal(weight, bundle.model.vit.state_dict()[name]), name
    for name, weight in autoencoder.autoencoder.state_dict().items():
        assert torch.equal(weight, bundle.model.vae.state_dict()[name]), name


def test_one_expert_can_be_frozen_in_every_layer(bundle: Bundle):
    objective = PackedObjective(bundle.model, LossWeights(), ("und", "lm_head"))
    try:
        still = {name for name, weight in objective.named_parameters() if not weight.requires_grad}
        assert {name for name, _ in objective.named_parameters() if ".und." in name or "lm_head" in name} <= still
        assert not any(".gen." in name or "latent_in" in name for name in still)
    finally:
        bundle.model.requires_grad_(True)


def test_frozen_parts_have_no_gradient_and_unknown_ones_are_named(bundle: Bundle):
    objective = PackedObjective(bundle.model, LossWeights(), ("vit",))
    try:
        trained = {name for name, weight in objective.named_parameters() if weight.requires_grad}
        assert trained and not any(name.startswith(("model.vit.", "model.vae.")) for name in trained)
        with pytest.raises(CooperError, match=r"frozen names 'eyes', no part of the network; known: .*vit"):
            PackedObjective(bundle.model, LossWeights(), ("eyes",))
    finally:
        bundle.model.vit.requires_grad_(True)
