"""Rows of stage 1, the store of latents, and the initial weights."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cooper.data.examples import example_of
from cooper.model.mot import MotLayer
from cooper.model.vae import Autoencoder
from cooper.perception import build_modalities
from cooper.scenes.examples import SceneExamples
from cooper.sequence.packing import Row, pack
from cooper.sequence.segments import LatentSegment, NoisedSegment, TextSegment, VitSegment, latent_tokens
from cooper.training.bundles import Bundle
from cooper.training.feed.latents import LatentStore
from cooper.training.recipe import Optimiser
from cooper.training.stages.maps import AmgRecipe
from cooper.training.stages.objective import LossWeights, PackedObjective
from cooper.training.stages.rows import MapBatches, MapRows, Noise, PictureKey, to_pixels
from cooper.training.start.network import QUERY_KEY_LIKENESS
from tests.training.conftest import MODALITIES

MAPS = ("depth", "segmentation")


def _recipe(folder: Path) -> AmgRecipe:
    return AmgRecipe(out=folder, data=folder, val=folder, optimiser=Optimiser(4, 2, 1e-3), autoencoder=folder, maps=MAPS)


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


def test_latents_are_those_of_the_autoencoder_and_are_kept(
    map_rows: MapRows, examples: SceneExamples, bundle: Bundle, monkeypatch
):
    key = PictureKey(1, "depth")
    with torch.no_grad():
        expected = bundle.model.vae.latents(to_pixels(examples[1].drawn("depth", map_rows.modalities))[None])[0]
    assert torch.allclose(map_rows.latent(key), expected, atol=2e-3)
    mirrored = map_rows.pixels(PictureKey(1, "rgb", True))
    assert torch.equal(mirrored, map_rows.pixels(PictureKey(1, "rgb")).flip(-1))
    first = map_rows.latent(key)
    monkeypatch.setattr(Autoencoder, "latents", _refused)
    assert torch.equal(map_rows.latent(key), first)


def _refused(*_: object) -> None:
    raise AssertionError("a latent that is known is made again")


def _kept(folder: Path, autoencoder: Autoencoder, pixels: torch.Tensor, **changes: int) -> torch.Tensor:
    """What a store in `folder` gives for a picture, which is what the autoencoder makes of it."""
    kept = LatentStore(folder, autoencoder, **changes).get(lambda: pixels)
    with torch.no_grad():
        assert torch.allclose(kept, autoencoder.latents(pixels[None])[0], atol=2e-3)
    return kept


def test_a_latent_belongs_to_its_pixels_and_its_autoencoder(bundle: Bundle, tmp_path: Path, capsys, monkeypatch):
    first, other = torch.rand(3, 32, 32) * 2 - 1, torch.rand(3, 48, 32) * 2 - 1
    one = _kept(tmp_path, bundle.model.vae, first)
    assert _kept(tmp_path, bundle.model.vae, other).shape[1:] == (24, 16)
    torch.manual_seed(9)
    assert not torch.allclose(_kept(tmp_path, Autoencoder(bundle.model.vae.geometry), first), one)
    (tmp_path / "latents.sqlite").write_bytes(b"no store at all" * 999)
    _kept(tmp_path, bundle.model.vae, first)
    assert capsys.readouterr().err == f"{tmp_path / 'latents.sqlite'} is damaged: its latents are made anew\n"
    monkeypatch.setattr(Autoencoder, "latents", _refused)
    assert torch.equal(LatentStore(tmp_path, bundle.model.vae).get(lambda: first), one)


def test_a_store_keeps_no_more_than_its_limit(bundle: Bundle, tmp_path: Path):
    pictures = [torch.rand(3, 32, 32) * 2 - 1 for _ in range(5)]
    size = 2 * _kept(tmp_path / "one", bundle.model.vae, pictures[0]).numel()
    store = LatentStore(tmp_path / "few", bundle.model.vae, limit=3 * size)
    store.fill([(place, lambda place=place: pictures[place]) for place in range(5)])
    with sqlite3.connect(tmp_path / "few" / "latents.sqlite") as file:
        assert file.execute("select count(*), sum(length(numbers)) from latents").fetchone() == (3, 3 * size)
    for place, picture in enumerate(pictures):  # those that went are made again
        with torch.no_grad():
            expected = bundle.model.vae.latents(picture[None])[0]
        assert torch.allclose(store.get(lambda picture=picture: picture, place), expected, atol=2e-3)


def test_pictures_of_any_size_are_read_and_drawn_at_the_size_that_the_model_takes(map_rows: MapRows, bundle: Bundle):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8))
    depth, labels = np.full((40, 60), 2.0, np.float32), np.ones((40, 60), np.int32)
    wide = example_of("wide", image, depth=depth, labels=labels, instances=np.zeros_like(labels))
    rows = replace(map_rows, examples=[wide])
    height, width = rows.pixels(PictureKey(0, "rgb")).shape[1:]
    assert width > height and rows.pixels(PictureKey(0, "depth")).shape == (3, height, width)
    row = rows.row(0, 0, False, MAPS)
    assert bundle.model.losses(pack([row], bundle.processor.geometry)).mse_count == 2 * (height // 8) * (width // 8)


def test_a_mirrored_segmentation_is_painted_anew(map_rows: MapRows, examples: SceneExamples):
    modalities = build_modalities(MODALITIES)
    pixels = map_rows.pixels(PictureKey(0, "segmentation", True)).numpy()
    labels = modalities["segmentation"].decode(pixels.transpose(1, 2, 0) / 2 + 0.5).arrays["labels"]
    assert np.mean(labels == examples[0].labels[:, ::-1]) > 0.9


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
