"""Conditions that are left out, and targets as the published training makes them."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cooper.data.examples import example_of
from cooper.data.sources.pictures import read_pictures
from cooper.perception import build_modalities
from cooper.sequence.packing import pack
from cooper.sequence.segments import LatentSegment, NoisedSegment, TextSegment, VitSegment
from cooper.training.bundles import Bundle
from cooper.training.feed.dropouts import Dropouts, with_dropouts
from cooper.training.stages.rows import MapBatches, MapRows, PictureKey
from tests.cli.conftest import run  # noqa: F401 - the command line in this process
from tests.own_pictures import NAMES, make_pictures
from tests.training.conftest import MODALITIES
from tests.training.feed.conftest import OPTIMISER, steps_of
from tests.training.stages.test_map_rows import MAPS, _recipe


def kinds(row) -> list[type]:
    return [type(segment) for segment in row.segments]


def test_each_condition_is_left_out_for_itself(map_rows: MapRows, bundle: Bundle):
    row = map_rows.row(0, 1, False, MAPS)
    assert kinds(row) == [LatentSegment, VitSegment, TextSegment, NoisedSegment, TextSegment, NoisedSegment]
    cases = {
        Dropouts(vae=1.0): ([VitSegment, TextSegment, NoisedSegment, TextSegment, NoisedSegment], (-1, 0, 1, 0, 3)),
        Dropouts(vit=1.0): ([LatentSegment, TextSegment, NoisedSegment, TextSegment, NoisedSegment], (-1, 0, 1, 0, 3)),
        Dropouts(text=1.0): ([LatentSegment, VitSegment, NoisedSegment, NoisedSegment], (-1, 0, 1, 1)),
        Dropouts(text=1.0, vit=1.0, vae=1.0): ([NoisedSegment, NoisedSegment], (-1, -1)),
    }
    for dropouts, (left, parents) in cases.items():
        found = with_dropouts(row, dropouts, 0, 0)
        assert (kinds(found), found.parents) == (left, parents)
        assert bundle.model.losses(pack([found], bundle.processor.geometry)).mse_count == 2 * 16
    assert with_dropouts(row, Dropouts(), 0, 0) is row


def test_shares_are_met_by_seed_and_row_and_learned_words_stay(map_rows: MapRows):
    row = map_rows.row(0, 1, False, ("depth",))
    learned = replace(row, segments=(*row.segments[:2], TextSegment((5, 6), loss=True), row.segments[3]))
    dropouts = Dropouts(text=0.1, vit=0.3, vae=0.5)
    rows = [with_dropouts(row, dropouts, 3, number) for number in range(1000)]
    for kind, share in ((TextSegment, 0.1), (VitSegment, 0.3), (LatentSegment, 0.5)):
        assert np.mean([kind not in kinds(each) for each in rows]) == pytest.approx(share, abs=0.05)
    assert [kinds(each) for each in rows] == [kinds(with_dropouts(row, dropouts, 3, number)) for number in range(1000)]
    assert all(TextSegment in kinds(with_dropouts(learned, replace(dropouts, text=1.0), 3, number)) for number in range(99))


def test_recipes_say_dropouts(run, sft, tmp_path):  # noqa: F811
    """Of published rows every picture is a ViT view and latents, about half of the tokens each."""
    path = sft(dropouts={"vae": 1.0}, optimiser={**OPTIMISER, "steps": 1})
    ran = run("train", "sft", "--config", path)
    assert ran.code == 0, ran.err
    (fewer,) = steps_of(tmp_path / "run")
    rows = run("train", "sft", "--config", path, "dropouts.vae=0", f"out={tmp_path / 'plain'}")
    assert rows.code == 0, rows.err
    (all_of_them,) = steps_of(tmp_path / "plain")
    assert fewer["tokens"] < all_of_them["tokens"]
    refused = run("train", "sft", "--config", path, "dropouts.vit=1.5")
    assert refused.code == 1 and "dropouts.vit is 1.5; it must be at least 0 and at most 1" in " ".join(refused.err.split())


def test_published_targets_are_learnt_whole_and_blended(map_rows: MapRows, bundle: Bundle, tmp_path):
    found = read_pictures(make_pictures(tmp_path / "mine"))
    modalities = build_modalities({**MODALITIES, "segmentation": {"codec": "scenes", "names": list(NAMES)}})
    square = next(place for place, item in enumerate(found.items) if item.id == "kitchen/2")  # 80 x 80, holes of 40 x 20
    ours = replace(map_rows, examples=found.items, modalities=modalities)
    theirs = replace(ours, published=True)
    key = PictureKey(square, "depth")
    assert ours.known(key, (4, 4)) is not None and theirs.known(key, (4, 4)) is None
    hole = np.s_[0, :6, :14]  # of 32 x 32
    assert float(theirs.pixels(key)[hole].max()) == -1 < float(ours.pixels(key)[hole].min()), "unknown depth is the nearest"
    colours = [
        np.unique(rows.pixels(PictureKey(square, "segmentation")).flatten(1).T.numpy(), axis=0) for rows in (ours, theirs)
    ]
    assert len(colours[0]) < 8 < len(colours[1]), "borders of regions are blended"
    batch = MapBatches(replace(theirs, examples=[found.items[square]]), replace(_recipe(tmp_path), mirror=False))(range(1))
    assert len(batch.targets.velocity_index_M) == 2 * 16, "all is learnt"


def test_published_depth_is_resized_before_it_is_cut_to_its_range():
    """By hand: a step from 2 m to 100 m, resized by Pillow's bicubic rule, then clamped to 0 to 10 m."""
    depth = np.full((16, 16), 2.0, np.float32)
    depth[:, 8:] = 100.0
    modalities = build_modalities({"depth": {"near": 0.0, "far": 10.0, "metric": True}})
    drawn = example_of("step", Image.new("RGB", (16, 16)), depth=depth).drawn_as_published("depth", modalities, (8, 8))
    expected = np.clip(np.asarray(Image.fromarray(depth).resize((8, 8), Image.Resampling.BICUBIC)) / 10, 0, 1)
    np.testing.assert_allclose(drawn[..., 0], expected, atol=1e-6)


def test_a_run_learns_published_targets(run, amg):  # noqa: F811
    path = amg(published=True, optimiser={**OPTIMISER, "steps": 1})
    ran = run("train", "amg", "--config", path)
    assert ran.code == 0, ran.err
    changed = run("train", "amg", "--config", path, "published=false")
    assert changed.code == 1 and "published was True and is False" in " ".join(changed.err.split())
