"""Every stage through its door: trains, saves, goes on, and the result answers."""

from pathlib import Path

import pytest
import yaml
from PIL import Image

from cooper.cli.main import main  # noqa: F401 - the door imports
from cooper.errors import CooperError
from cooper.reasoning.cooper import Cooper
from cooper.training.bundles import load_vision
from cooper.training.loop.watching import read_metrics
from cooper.training.run import train
from tests.training.conftest import MODALITIES, SHAPE, SIDE

OPTIMISER = {"steps": 2, "batch": 2, "learning_rate": 1e-3, "warmup": 1}
RECORD = {"log_every": 1, "save_every": 1, "eval_every": 2}


def _recipe(folder: Path, name: str, values: dict[str, object]) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"out": str(folder / name), "optimiser": OPTIMISER, "record": RECORD, **values}))
    return path


@pytest.mark.slow
def test_four_stages_make_a_model_that_answers(scene_folder: Path, tmp_path: Path):
    from cooper.training.loop.folder import plain

    data = {"data": str(scene_folder), "val": str(scene_folder)}
    vae = {"base_channels": 8, "channel_multipliers": [1, 2], "blocks_per_level": 1, "latent_channels": 2}
    geometry = {**vae, "norm_groups": 4, "scale": 1.0, "shift": 0.0}
    first = {**data, "modalities": MODALITIES, "geometry": geometry, "crop": 16, "eval_scenes": 2}
    autoencoder = train("autoencoder", _recipe(tmp_path, "autoencoder", first))
    network = plain(SHAPE)
    sight = {**data, "modalities": MODALITIES, "vit": network["vit"], "transforms": network["transforms"], "cells": 4}
    vision = train("vision", _recipe(tmp_path, "vision", {**sight, "eval_scenes": 2}))
    second = {
        **data,
        "autoencoder": str(autoencoder),
        "vision": str(vision),
        "network": network,
        "words": 400,
        "eval_scenes": 2,
    }
    amg = train("amg", _recipe(tmp_path, "amg", second))
    third = {
        **data,
        "init": str(amg),
        "mixture": {"interleaved": 1, "replay": 1},
        "questions": {"interleaved": 2},
        "frozen": ["vit"],
    }
    recipe = _recipe(tmp_path, "sft", {**third, "eval_questions": 2, "eval_scenes": 2})
    sft = train("sft", recipe)
    assert (tmp_path / "sft" / "curves.svg").exists() and (tmp_path / "amg" / "maps-000002.png").exists()
    with pytest.raises(CooperError, match=r"optimiser.steps was 2 and is 3; choose another out, or .* --force-recipe"):
        train("sft", recipe, ["optimiser.steps=3"])
    assert train("sft", recipe, ["optimiser.steps=3"], force=True) == sft
    steps = [line["step"] for line in read_metrics(tmp_path / "sft" / "metrics.jsonl") if "ce" in line]
    assert steps == [1, 2, 3]
    again = train("vision", _recipe(tmp_path, "again", {**sight, "eval_scenes": 2, "init": str(sft)}))
    before, after = (load_vision(folder).vit.patch_embedding.weight for folder in (vision, again))
    assert 0 < (before - after).abs().max().item() < 0.02  # two small steps from where it was
    with pytest.raises(CooperError, match="vit does not fit the tower of"):
        train("vision", _recipe(tmp_path, "odd", {**sight, "vit": {**network["vit"], "num_layers": 2}, "init": str(sft)}))
    door = Cooper.from_pretrained(sft)
    picture = Image.new("RGB", (SIDE, SIDE), (90, 120, 30))
    assert door.depth(picture).reading.units == {"depth": "m"}
    assert door.ask(picture, "What is nearest?", mode="direct").steps


def test_missing_data_and_models_are_named(scene_folder: Path, tmp_path: Path):
    data = {"data": str(scene_folder), "val": str(scene_folder)}
    with pytest.raises(CooperError, match="no finished autoencoder"):
        train("amg", _recipe(tmp_path, "amg", {**data, "autoencoder": str(tmp_path)}))
    nowhere = {"data": str(tmp_path / "none"), "val": str(scene_folder), "modalities": MODALITIES}
    with pytest.raises(CooperError, match="no rendered scene set"):
        train("autoencoder", _recipe(tmp_path, "autoencoder", nowhere))
