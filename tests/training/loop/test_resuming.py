"""A run that goes on: by its own recipe, from a checkpoint that is whole, and never over a finished one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from cooper.errors import CooperError
from cooper.files.locks import held
from cooper.model.vae import Autoencoder
from cooper.training.bundles import Bundle, TrainedAutoencoder, save_autoencoder, save_bundle
from cooper.training.loop.folder import plain
from cooper.training.loop.sealing import MANIFEST_FILE, STATE_FILE, fault_of, last_whole
from cooper.training.loop.stopping import Interrupted
from cooper.training.loop.watching import read_metrics
from tests.cli.conftest import run  # noqa: F401 - the command line in this process
from tests.training.conftest import MODALITIES, SHAPE
from tests.training.toy import toy_plan, trained

OPTIMISER = {"steps": 3, "batch": 2, "learning_rate": 1e-3, "warmup": 1}
RECORD = {"log_every": 1, "save_every": 1, "eval_every": 3, "keep": 9}


@pytest.fixture
def recipe(scene_folder: Path, tmp_path: Path) -> Path:
    """Of the stage that is quickest."""
    shape = plain(SHAPE)
    places = {"out": str(tmp_path / "run"), "data": str(scene_folder), "val": str(scene_folder)}
    sizes = {"modalities": MODALITIES, "vit": shape["vit"], "transforms": shape["transforms"], "cells": 4, "eval_scenes": 1}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**places, **sizes, "optimiser": OPTIMISER, "record": RECORD}))
    return path


@pytest.fixture
def train(run, recipe):  # noqa: F811
    return lambda *words: run("train", "vision", "--config", recipe, *words)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "run" / "model" / "vision.safetensors")


def _steps(folder: Path) -> list[int]:
    return [line["step"] for line in read_metrics(folder / "run" / "metrics.jsonl") if "loss" in line]


def test_a_changed_recipe_is_refused_by_key_or_forced(train, tmp_path):
    assert train("optimiser.steps=1").code == 0
    refused = train("seed=5", "optimiser.learning_rate=2e-3", "mixture={rgb: 1}", "optimiser.steps=1")
    assert refused.code == 1
    for said in (
        f"{tmp_path / 'run'} holds a run of another recipe",
        "seed was 0 and is 5",
        "optimiser.learning_rate was 0.001 and is 0.002",
        "mixture.depth was 1.0 and is not there",
        "--force-recipe",
    ):
        assert said in " ".join(refused.err.split())
    assert yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())["seed"] == 0
    assert train("optimiser.steps=2").code == 1, "the schedule of the learning rate follows from the steps"
    assert train("--force-recipe", "optimiser.steps=2", "seed=5").code == 0
    assert _steps(tmp_path) == [1, 2]
    assert yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())["seed"] == 5
    assert yaml.safe_load((tmp_path / "run" / "recipe-until-1.yaml").read_text())["seed"] == 0
    fewer = train("--force-recipe", "optimiser.steps=1")
    assert fewer.code == 1 and "has taken 2 steps already" in " ".join(fewer.err.split())


def test_how_often_a_run_prints_and_saves_may_change(train, tmp_path):
    assert train("optimiser.steps=1").code == 0
    (tmp_path / "run" / "finished.json").unlink()
    assert train("optimiser.steps=1", "record.log_every=7", "record.keep=3", "record.save_every=2").code == 0


def test_a_finished_run_is_not_touched(train, tmp_path):
    assert train().code == 0
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    again = train()
    assert again.code == 0 and "holds the finished run of this recipe" in " ".join(again.err.split())
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")} == times
    for number in (1, 2, 3):
        shutil.rmtree(tmp_path / "run" / f"checkpoint-{number}")
    lost = train("--force-recipe", "seed=5")
    assert lost.code == 1 and "holds a finished run and no checkpoint to go on from" in " ".join(lost.err.split())


@pytest.mark.parametrize("stage", ["autoencoder", "vision", "amg", "sft", "grpo"])
def test_every_stage_refuses(run, tmp_path, stage):  # noqa: F811
    shape, nowhere = plain(SHAPE), str(tmp_path / "none")
    values = {"out": str(tmp_path / "run"), "data": nowhere, "val": nowhere, "optimiser": OPTIMISER, "init": "nano"}
    values |= {
        "autoencoder": {"modalities": MODALITIES, "init": None},
        "vision": {"modalities": MODALITIES, "vit": shape["vit"], "transforms": shape["transforms"]},
        "amg": {},
        "sft": {"mixture": {"text": 1}, "questions": {"text": 1}},
        "grpo": {"steps": 1, "learning_rate": 1e-3, "optimiser": None},
    }[stage]
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not None}))
    for change in ((), ("seed=7",)):  # nothing was learnt that could be mixed
        begun = run("train", stage, "--config", recipe, *change)
        assert begun.code == 1 and nowhere in "".join(begun.err.split("\n"))
    (tmp_path / "run" / "model").mkdir()  # as an exam leaves it; training itself is shown above
    refused = run("train", stage, "--config", recipe, "seed=8")
    assert refused.code == 1 and "seed was 7 and is 8" in " ".join(refused.err.split())
    other = "vision" if stage == "amg" else "amg"
    assert run("train", other, "--config", recipe).code == 1


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(bytes(data))


DAMAGES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "torn weights": ("model.safetensors", _cut),
    "other weights": ("model.safetensors", _flip),
    "no optimiser": ("optimizer.pt", Path.unlink),
    "torn optimiser": ("optimizer.pt", _cut),
    "no schedule": ("scheduler.pt", Path.unlink),
    "other schedule": ("scheduler.pt", _flip),
    "no random numbers": ("rng_state.pth", Path.unlink),
    "no average": ("ema.safetensors", Path.unlink),
    "torn average": ("ema.safetensors", _cut),
    "no state": (STATE_FILE, Path.unlink),
    "torn state": (STATE_FILE, _cut),
    "deep state": (STATE_FILE, lambda path: path.write_text("[" * 100_000)),
    "torn manifest": (MANIFEST_FILE, _cut),
    "empty manifest": (MANIFEST_FILE, lambda path: path.write_text("")),
}


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed checkpoint of a very small run."""
    folder = tmp_path_factory.mktemp("sealed")
    trained(toy_plan(folder, steps=4))
    assert not fault_of(folder / "checkpoint-4")
    return folder / "checkpoint-4"


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_named(sealed, tmp_path, damage):
    name, harm = DAMAGES[damage]
    shutil.copytree(sealed, tmp_path / "checkpoint-4")
    harm(tmp_path / "checkpoint-4" / name)
    assert name in fault_of(tmp_path / "checkpoint-4")
    assert last_whole(tmp_path) is None


@pytest.mark.parametrize("damage", ["torn weights", "no optimiser", "deep state"])
def test_a_damaged_checkpoint_is_passed_over_and_said(train, tmp_path, damage):
    assert train().code == 0
    expected = _weights(tmp_path)
    shutil.rmtree(tmp_path / "run" / "model")
    name, harm = DAMAGES[damage]
    harm(tmp_path / "run" / "checkpoint-3" / name)
    ran = train()
    assert ran.code == 0, ran.err
    assert "checkpoint-3 is damaged" in ran.err and name in ran.err and "goes on from checkpoint-2" in ran.err
    assert (tmp_path / "run" / "damaged-0-checkpoint-3").is_dir() and not fault_of(tmp_path / "run" / "checkpoint-3")
    assert _steps(tmp_path) == [1, 2, 3]
    for key, weight in expected.items():
        assert torch.equal(_weights(tmp_path)[key], weight), key


def test_checkpoints_of_older_versions_are_taken_if_they_can_be_read(train, tmp_path):
    assert train().code == 0
    checkpoints = [tmp_path / "run" / f"checkpoint-{number}" for number in (1, 2, 3)]
    for checkpoint in checkpoints:
        (checkpoint / MANIFEST_FILE).unlink()
    assert last_whole(tmp_path / "run") == checkpoints[2]
    _cut(checkpoints[2] / "optimizer.pt")
    (checkpoints[1] / "scheduler.pt").unlink()
    assert last_whole(tmp_path / "run") == checkpoints[0]
    _cut(checkpoints[0] / "model.safetensors")
    assert last_whole(tmp_path / "run") is None


def test_a_manifest_names_every_file(train, tmp_path):
    assert train("optimiser.steps=1").code == 0
    folder = tmp_path / "run" / "checkpoint-1"
    sealed = json.loads((folder / MANIFEST_FILE).read_text())
    assert sealed.keys() == {path.name for path in folder.iterdir()} - {MANIFEST_FILE}
    assert all(said["bytes"] == (folder / name).stat().st_size for name, said in sealed.items())


def test_a_model_that_is_not_finite_is_neither_saved_nor_exported(run, bundle: Bundle, start, tmp_path):  # noqa: F811
    weights = load_file(start / "model.safetensors")
    broken = Autoencoder(bundle.model.vae.geometry)
    with torch.no_grad():
        broken.decoder.conv_out.bias[0] = np.inf
    with pytest.raises(CooperError, match=r"the trained tensor decoder\.conv_out\.bias holds numbers that are not finite"):
        save_autoencoder(TrainedAutoencoder(broken, MODALITIES), tmp_path / "autoencoder")
    assert not (tmp_path / "autoencoder").exists()
    save_bundle(bundle, tmp_path / "model")
    weights["lm_head.weight"][0, 0] = np.nan
    save_file(weights, tmp_path / "model" / "model.safetensors", metadata={"format": "pt"})
    refused = run("export", tmp_path / "model", tmp_path / "published")
    assert refused.code == 1 and "lm_head.weight" in refused.err and "not finite" in " ".join(refused.err.split())
    assert not (tmp_path / "published").exists()


def test_an_interruption_passes_through_any_context(tmp_path):
    """Python writes into an exception that leaves a `with` block of contextlib, so it may not be frozen."""
    with pytest.raises(Interrupted, match="stopped at step 3"), held(tmp_path, "cooper train"):
        raise Interrupted(3, Path("run/checkpoint-3"))
