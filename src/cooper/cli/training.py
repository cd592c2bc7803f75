"""`cooper train`: one stage of training from one recipe, or all phases of one."""

import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cooper.cli.faults import is_full_disk, sentence_of
from cooper.errors import CooperError
from cooper.files.plain import read_plain


class Stage(StrEnum):
    """The autoencoder; the picture tower; stage 1, drawing maps; stage 2, reasoning with them; stage 3, reinforcement; all
    `phases` of a recipe, one after the other."""

    AUTOENCODER = "autoencoder"
    VISION = "vision"
    AMG = "amg"
    SFT = "sft"
    GRPO = "grpo"
    PHASES = "phases"


def train(
    stage: Annotated[Stage, typer.Argument(help="What to train; `phases`: all that the recipe has under `phases`, in order.")],
    config: Annotated[Path, typer.Option("--config", help="The recipe, a YAML file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes such as optimiser.steps=100 or phases.maps.seed=1.")
    ] = None,
    force_recipe: Annotated[
        bool, typer.Option("--force-recipe", help="Go on with the run in the folder `out` although its recipe was another.")
    ] = False,
) -> None:
    """Train one stage, or all phases of a recipe.

    The same command goes on from the last checkpoint of the run; Ctrl-C leaves one.

    A run that goes on keeps its recipe: what changed is refused by its key, but for where and how often it writes.
    """
    read_plain(config)  # says what is wrong with the file before anything heavy is imported
    from transformers.utils import logging

    from cooper.evaluation.runs.processes import Share
    from cooper.training.loop.stopping import Interrupted
    from cooper.training.run import train as run

    logging.disable_progress_bar()  # the run prints its own lines
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\..*")  # names that libraries will change
    try:
        model = run(stage.value, config, tuple(overrides or ()), force_recipe)
    except Interrupted as stopped:
        typer.echo(str(stopped), err=True)
        raise typer.Exit(130) from None
    except Exception as fault:
        if not is_full_disk(fault):
            raise
        raise CooperError(
            f"{sentence_of(fault)}: make room, and the same command goes on from the last whole checkpoint"
        ) from None
    if Share.here().first:
        typer.echo(f"Model: {model}")
