"""One door for every stage: a recipe in, a run folder with checkpoints, figures and a finished model out."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cooper.errors import CooperError
from cooper.files.locks import held
from cooper.files.plugins import load_plugins, register
from cooper.files.values import read_recipe
from cooper.training.loop.folder import MODEL_FOLDER, enter, finish, is_finished, plain
from cooper.training.rl.recipe import GrpoRecipe
from cooper.training.stages.autoencoder import (
    AutoencoderRecipe,
    train_autoencoder,
)
from cooper.training.stages.maps import AmgRecipe, train_maps
from cooper.training.stages.reasoning import SftRecipe, train_reasoning
from cooper.training.stages.vision import VisionRecipe, train_vision

Stages = dict[str, tuple[type[Any], Callable[[Any], object]]]
_STAGES: Stages = {}  # those that other packages registered


def register_stage(name: str, recipe: type[Any], run: Callable[[Any], object]) -> None:
    """Make `train(name, ...)` run a stage from outside the package. ValueError: the name is taken.

    `recipe`: a frozen dataclass with at least `out`, a folder, and `steps` or `optimiser.steps`. `run` trains as the recipe
    says and writes the finished model into `recipe.out / "model"`.
    """
    register(_STAGES, "stage", name, (recipe, run))


def stages() -> Stages:
    """Every stage by name, with its recipe and what runs it."""
    load_plugins()
    return _STAGES | {
        "autoencoder": (AutoencoderRecipe, train_autoencoder),
        "vision": (VisionRecipe, train_vision),
        "amg": (AmgRecipe, train_maps),
        "sft": (SftRecipe, train_reasoning),
        "grpo": (GrpoRecipe, _grpo),
    }


def train(stage: str, config: str | Path, overrides: Sequence[str] = (), force: bool = False) -> Path:
    """Run a stage as its recipe says, from its last checkpoint if there is one; returns the folder of the finished model.

    `force`: a run in the same folder goes on although its recipe was another. CooperError: an unknown stage, key or value, a
    recipe that changed, data that are not there, or a loss that is not a number. Interrupted: a signal ended the run; a
    checkpoint was left.
    """
    known = stages()
    if stage not in known:
        raise CooperError(f"unknown stage {stage!r}; choose {', '.join(known)}")
    kind, run = known[stage]
    recipe = read_recipe(kind, config, overrides)
    if is_finished(recipe):
        return recipe.out / MODEL_FOLDER
    with held(recipe.out, f"cooper train {stage}"):
        enter(recipe, force)
        run(recipe)
        return finish(recipe)


def _grpo(recipe: GrpoRecipe) -> Path:
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # rollout_func is experimental there; its signature is tested here
    from cooper.training.rl.run import reinforce

    return reinforce(recipe, plain(recipe))
