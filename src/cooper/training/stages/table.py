"""Which stages there are: the recipe of each, what runs it, and what it leaves behind."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cooper.curation.flags import FILE as FLAGS_FILE
from cooper.files.plugins import register
from cooper.training.loop.folder import MODEL_FOLDER
from cooper.training.rl.recipe import GrpoRecipe
from cooper.training.stages.autoencoder import AutoencoderRecipe, train_autoencoder
from cooper.training.stages.curated import FLAGS_FOLDER, MAPS_FOLDER, DrawingsRecipe, FlagsRecipe, draw_own_maps, make_flags
from cooper.training.stages.maps import AmgRecipe, train_maps
from cooper.training.stages.reasoning import SftRecipe, train_reasoning
from cooper.training.stages.vision import VisionRecipe, train_vision


@dataclass(frozen=True)
class TrainingStage:
    """`result`: in the folder of the run, what a later stage begins with."""

    recipe: type[Any]
    run: Callable[[Any], object]
    result: str = MODEL_FOLDER


def _grpo(recipe: GrpoRecipe) -> None:
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # rollout_func is experimental there; its signature is tested here
    from cooper.training.rl.run import reinforce

    reinforce(recipe)


STAGES: dict[str, TrainingStage] = {
    "autoencoder": TrainingStage(AutoencoderRecipe, train_autoencoder),
    "vision": TrainingStage(VisionRecipe, train_vision),
    "amg": TrainingStage(AmgRecipe, train_maps),
    "sft": TrainingStage(SftRecipe, train_reasoning),
    "grpo": TrainingStage(GrpoRecipe, _grpo),
    "drawings": TrainingStage(DrawingsRecipe, draw_own_maps, MAPS_FOLDER),
    "flags": TrainingStage(FlagsRecipe, make_flags, f"{FLAGS_FOLDER}/{FLAGS_FILE}"),
}


def register_stage(name: str, recipe: type[Any], run: Callable[[Any], object]) -> None:
    """Make `cooper train NAME` run a stage from outside the package. ValueError: the name is taken.

    `recipe`: a frozen dataclass with at least `out`, a folder, and `steps` or `optimiser.steps`. `run` trains as the recipe
    says and writes the finished model into `recipe.out / "model"`.
    """
    register(STAGES, "stage", name, TrainingStage(recipe, run))
