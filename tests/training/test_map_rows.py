"""Rows of stage 1, the store of latents, and the initial weights."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cooper.model.mot import MotLayer
from cooper.model.vae import Autoencoder
from cooper.perception import build_modalities
from cooper.scenes.arrays import ScenePictures, to_pixels
from cooper.sequence.packing import Row, pack
from cooper.sequence.segments import LatentSegment, NoisedSegment, TextSegment, VitSegment, latent_tokens
from cooper.training.bundles import Bundle
from cooper.training.recipe import Optimiser
from cooper.training.stages.latents import LatentStore, PictureKey
from cooper.training.stages.maps import AmgRecipe, MapBatches
from cooper.training.stages.objective import LossWeights, PackedObjective
from cooper.training.stages.rows import MapRows, Noise
from cooper.training.start.network import QUERY_KEY_LIKENESS

from .conftest import MODALITIES

MAPS = ("depth", "segmentation")


def _recipe(folder: Path) -> AmgRecipe:
    return AmgRecipe(folder, folder, folder, Optimiser(4, 2, 1e-3), autoencoder=folder, maps=MAPS)


def test_a_row_reads_the_picture_once_and_hangs_each_map_behind_its_request(map_rows_with_two_draws: MapRows):
    row = map_rows_with_two_draws.row(0, 1, False, MAPS)
    kinds = [type(segment) for segment in row.segments]
    branch = [TextSegment, NoisedSegment, NoisedSegment]
    assert kinds == [LatentSegment, VitSegment, *branch, *branch]
    assert row.parents == (-1, 0, 1, 2, 2, 1, 5, 5)
    times = [segment.t for segment in row.segments if isinstance(segment, NoisedSegment)]
    assert len(set(times)) == 4 and all(0 < t < 1 for t in times)


def test_branches_cost_what_separate_rows_cost(map_rows: MapRows, bundle: Bundle):
    whole = map_rows.row(5, 2, True, MAPS)
    alone = [Row((*whole.segments[:2], *whole.segments[i : i + 2])) for i in (2, 4)]
    geometry = bundle.processor.geometry
    with torch.no_grad():
        together, apart = (bundle.model.losses(pack(rows, geometry)) for rows in ([whole], alone))
    assert together.mse_count == apart.mse_count == 2 * 16
    assert float(together.mse_sum) == pytest.approx(float(apart.mse_sum), abs=1e-4)


def test_the_target_is_noise_minus_latent():
    latent = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(0))
    segment = Noise(1.0, 3).of(latent, 4, row=9, target=1)
    assert segment.velocity_ND is not None
    clean = latent_tokens(latent, 4)
    assert torch.allclose(segment.tokens_ND - segment.t * segment.velocity_ND, clean, atol=1e-5)
    again, other = Noise(1.0, 3).of(latent, 4, 9, 1), Noise(1.0, 3).of(latent, 4, 9, 2)
    assert torch.equal(again.tokens_ND, segment.tokens_ND) and other.t != segment.t


def test_a_shift_moves_times_towards_noise():
    latent = torch.zeros(2, 4, 4)
    for row in range(20):
        plain, moved = (Noise(shift, 0).of(latent, 4, row, 0).t for shift in (1.0, 3.0))
        assert moved == pytest.approx(3 * plain / (1 + 2 * plain), abs=1e-6)


def test_batches_depend_on_seed_and_row_alone(map_rows: MapRows, tmp_path: Path):
    one, two = (MapBatches(map_rows, _recipe(tmp_path))(range(4, 6)) for _ in range(2))
    assert torch.equal(one.latents.tokens_ND, two.latents.tokens_ND) and torch.equal(one.text.ids_T, two.text.ids_T)
    other = MapBatches(map_rows, replace(_recipe(tmp_path), seed=8))(range(4, 6))
    assert not torch.equal(one.vit.patches_PC, other.vit.patches_PC)


def test_latents_are_those_of_the_autoencoder_and_are_kept(pictures: ScenePictures, bundle: Bundle, tmp_path: Path):
    modalities = build_modalities(MODALITIES)
    store = LatentStore(tmp_path, bundle.model.vae, pictures, modalities, 10)
    key = PictureKey(1, "depth")
    with torch.no_grad():
        expected = bundle.model.vae.latents(to_pixels(pictures.picture(1, "depth", modalities))[None])[0]
    assert torch.allclose(store.get(key), expected, atol=2e-3)
    again = LatentStore(tmp_path, bundle.model.vae, pictures, modalities, 10)
    assert torch.equal(again.get(key), store.get(key))
    mirrored = store.pixels(PictureKey(1, "rgb", True))
    assert torch.equal(mirrored, store.pixels(PictureKey(1, "rgb")).flip(-1))


def _stored(folder: Path, autoencoder: Autoencoder, pictures: ScenePictures, capacity: int = 10) -> torch.Tensor:
    """What a store in `folder` gives for a map, and what a fresh one would."""
    key, modalities = PictureKey(1, "depth"), build_modalities(MODALITIES)
    kept = LatentStore(folder, autoencoder, pictures, modalities, capacity).get(key)
    with torch.no_grad():
        expected = autoencoder.latents(to_pixels(pictures.picture(1, "depth", modalities))[None])[0]
    assert torch.allclose(kept, expected, atol=2e-3)
    return kept


def test_latents_of_other_pictures_or_weights_are_made_anew_and_said(pictures, bundle, tmp_path, capsys):
    first = _stored(tmp_path, bundle.model.vae, pictures)
    _stored(tmp_path, bundle.model.vae, pictures)
    assert capsys.readouterr().err == ""
    turned = replace(pictures, depth_m=np.ascontiguousarray(pictures.depth_m[::-1]))
    assert not torch.equal(_stored(tmp_path, bundle.model.vae, turned), first)
    assert capsys.readouterr().err == f"{tmp_path} holds latents of other pictures of 1 scenes: they are made anew\n"
    torch.manual_seed(9)
    _stored(tmp_path, Autoencoder(bundle.model.vae.geometry), turned)
    _stored(tmp_path, bundle.model.vae, turned, capacity=11)
    said = f"{tmp_path} holds latents of another autoencoder or scene set: they are made anew\n"
    assert capsys.readouterr().err == 2 * said
    for damage in (
        lambda: os.truncate(tmp_path / "latents.f16", 100),
        lambda: (tmp_path / "latents.json").write_text("{" * 9999),
    ):
        damage()
        _stored(tmp_path, bundle.model.vae, turned, capacity=11)
        assert capsys.readouterr().err == said


def test_a_mirrored_segmentation_is_painted_anew(map_rows: MapRows, pictures: ScenePictures):
    modalities = build_modalities(MODALITIES)
    pixels = map_rows.latents.pixels(PictureKey(0, "segmentation", True)).numpy()
    labels = modalities["segmentation"].decode(pixels.transpose(1, 2, 0) / 2 + 0.5).arrays["labels"]
    assert np.mean(labels == pictures.labels[0][:, ::-1]) > 0.9


def test_a_fresh_network_has_equal_experts_and_hands_the_noise_on(bundle: Bundle):
    model, layer = bundle.model, bundle.model.layers[0]
    assert isinstance(layer, MotLayer)
    assert torch.equal(layer.mlp.und.gate_proj.weight, layer.mlp.gen.gate_proj.weight)
    assert torch.equal(model.latent_out.weight, model.latent_in.weight.T)
    query, key = layer.attention.q.gen.weight, layer.attention.k.gen.weight
    near = key.view(-1, layer.attention.head_dim, key.shape[1]).repeat_interleave(query.shape[0] // key.shape[0], 0)
    alike = torch.corrcoef(torch.stack([query.flatten(), near.flatten()]))[0, 1]
    assert float(alike) == pytest.approx(QUERY_KEY_LIKENESS, abs=0.05)
    assert not any(weight.requires_grad for weight in PackedObjective(model, LossWeights()).model.vae.parameters())
