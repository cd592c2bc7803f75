"""Recipes are strict: a wrong key or value is named."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cooper.errors import CooperError
from cooper.files.values import read_recipe
from cooper.training.loop.folder import plain
from cooper.training.recipe import Optimiser, RecordSettings, warn_of_warmup
from cooper.training.rl.recipe import GrpoRecipe
from cooper.training.rl.run import arguments
from cooper.training.run import train
from cooper.training.stages.autoencoder import AutoencoderRecipe
from cooper.training.stages.maps import AmgRecipe
from cooper.training.stages.reasoning import SftRecipe

RECIPES = Path(__file__).parents[2] / "recipes" / "nano"


@dataclass(frozen=True)
class Small:
    """A recipe for these tests."""

    out: Path
    optimiser: Optimiser
    sides: tuple[int, ...] = (1, 2)
    name: str | None = None
    record: RecordSettings = field(default_factory=RecordSettings)


TEXT = "out: here\noptimiser: {steps: 3, batch: 4, learning_rate: 1e-3}\n"


def _written(folder: Path, text: str = TEXT) -> Path:
    path = folder / "small.yaml"
    path.write_text(text)
    return path


def test_values_defaults_and_overrides(tmp_path: Path):
    recipe = read_recipe(Small, _written(tmp_path), ["optimiser.steps=7", "sides=[3, 4]", "record.tracker=none", "name=a"])
    assert recipe.optimiser.steps == 7
    assert recipe.optimiser.learning_rate == 1e-3
    assert recipe.sides == (3, 4)
    assert (recipe.out, recipe.name) == (Path("here"), "a")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.steps=7", "optimizer"),
        ("optimiser.step=7", "optimiser.*step"),
        ("optimiser.steps=many", "optimiser.steps must be a whole number"),
        ("optimiser.steps=true", "whole number"),
        ("optimiser.steps=0", "at least 1"),
        ("optimiser.schedule=linear", "cosine"),
        ("optimiser=3", "group of keys"),
        ("sides=3", "list"),
        ("out.more=1", "no parts"),
        ("steps", "key=value"),
        ("record.save_every=soon", "save_every"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, override: str, message: str):
    with pytest.raises(CooperError, match=message):
        read_recipe(Small, _written(tmp_path), [override])


def test_missing_keys_and_files_are_named(tmp_path: Path):
    with pytest.raises(CooperError, match="'optimiser' is missing"):
        read_recipe(Small, _written(tmp_path, "out: here"))
    with pytest.raises(CooperError, match="No such file"):
        read_recipe(Small, tmp_path / "none.yaml")
    with pytest.raises(CooperError, match="not YAML"):
        read_recipe(Small, _written(tmp_path, "a: [1"))
    with pytest.raises(CooperError, match="no group"):
        read_recipe(Small, _written(tmp_path, "- 1"))


def test_the_recipes_that_come_with_the_project_are_read():
    for kind, name in ((AutoencoderRecipe, "autoencoder"), (AmgRecipe, "amg"), (SftRecipe, "sft")):
        recipe = read_recipe(kind, RECIPES / f"{name}.yaml")
        assert plain(recipe)["optimiser"]["steps"] > 100
    for name, noise in (("grpo", 0.0), ("grpo_joint", 0.3)):
        reinforced = read_recipe(GrpoRecipe, RECIPES / f"{name}.yaml")
        assert reinforced.map_noise == noise and ("gen" in reinforced.frozen) == (noise == 0)
        told = arguments(reinforced, 1)
        assert {key: getattr(told, key) for key in reinforced.trl} == reinforced.trl


def test_the_grey_baseline_must_not_replay_maps():
    with pytest.raises(CooperError, match="replay"):
        read_recipe(SftRecipe, RECIPES / "sft.yaml", ["grey=true"])
    with pytest.raises(CooperError, match=r"questions\.text"):
        read_recipe(SftRecipe, RECIPES / "sft.yaml", ["questions.text=0"])
    with pytest.raises(CooperError, match="mixture names 'think'"):
        read_recipe(SftRecipe, RECIPES / "sft.yaml", ["mixture.think=1"])


def test_an_unknown_stage_is_named(tmp_path: Path):
    with pytest.raises(CooperError, match="unknown stage 'rl'"):
        train("rl", tmp_path / "r.yaml")


def test_a_rate_that_still_rises_at_the_end_is_told():
    with pytest.warns(
        UserWarning, match=r"rises for 100 updates .* ends after 1: it begins at 0, comes to 0 and never to 0\.002"
    ):
        warn_of_warmup(100, 1, 2e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_warmup(0, 1, 2e-3)
        warn_of_warmup(100, 101, 2e-3)
