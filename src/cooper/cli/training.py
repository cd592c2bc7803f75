"""`cooper train`: one stage of training from one recipe, or all phases of one."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from cooper.cli.faults import is_full_disk, quiet_libraries, sentence_of
from cooper.errors import CooperError
from cooper.files.plain import read_plain


def train(
    stage: Annotated[
        str,
        typer.Argument(
            help="Stage to train: autoencoder, vision (the tower, on dense labels or captions), amg (drawing maps), sft "
            "(reasoning), grpo (reinforcement), one of an installed package; or phases, for a recipe of several stages."
        ),
    ],
    config: Annotated[Path, typer.Option("--config", help="Recipe: a YAML file with all settings of the run.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to the recipe, such as optimiser.steps=100 or phases.maps.seed=1.")
    ] = None,
    force_recipe: Annotated[
        bool, typer.Option("--force-recipe", help="Continue the run in the folder `out` although the recipe has changed.")
    ] = False,
) -> None:
    """Train one stage, or all phases of a recipe. Ctrl-C saves a checkpoint, and the same command continues from the last one.

    A run that continues must have the same recipe, except for settings of saving and logging.
    """
    read_plain(config)  # says what is wrong with the file before anything heavy is imported
    from cooper.evaluation.runs.processes import Share
    from cooper.training.loop.stopping import Interrupted
    from cooper.training.run import train as run

    if find_spec("accelerate") is None:
        raise CooperError("training needs the extra train: pip install 'cooper[train]'")
    quiet_libraries()
    try:
        model = run(stage, config, tuple(overrides or ()), force_recipe)
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
