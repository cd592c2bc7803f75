"""`cooper train`: one stage of training from one recipe, or all phases of one; `cooper plan`: what a recipe needs."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from cooper.cli.console.faults import is_full_disk, quiet_libraries, sentence_of
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
        raise CooperError("training needs the extra train: pip install '.[train]' in this project's folder")
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


def plan(
    recipe: Annotated[Path, typer.Argument(help="Recipe: a YAML file of stage amg, sft or grpo.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes to the recipe, such as checkpointing=true.")] = None,
    stage: Annotated[str, typer.Option(help="Stage: amg, sft or grpo; else the first word of the file name.")] = "",
    gpus: Annotated[int, typer.Option(min=1, help="Number of GPUs in one machine.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Number of machines.")] = 1,
    memory: Annotated[float, typer.Option(min=0.1, help="Memory of one GPU in GiB.")] = 80.0,
    teraflops: Annotated[
        float,
        typer.Option(min=0.001, help="Peak of one GPU in TFLOP/s; 989 is an H100 in bfloat16."),
    ] = 989.0,
    mfu: Annotated[
        float,
        typer.Option(min=0.001, max=1, help="Share of the peak that the run reaches; the published log shows 0.2."),
    ] = 0.2,
    price: Annotated[float | None, typer.Option(min=0, help="Price of one GPU for an hour.")] = None,
    picture: Annotated[str, typer.Option(help="Width and height of pictures in pixels, such as 1024x768.")] = "1024x768",
    text: Annotated[int, typer.Option(min=1, help="Tokens of text in a row: question, reasoning and answer.")] = 800,
    learnt: Annotated[int, typer.Option(min=1, help="How many of them carry a loss.")] = 600,
    maps: Annotated[
        int, typer.Option(min=0, max=64, help="Maps of a picture in stage amg; maps drawn in the reasoning of one row.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Tell what a recipe needs: memory of a GPU by part, tokens, hours, and the smallest change that fits. Reads no weights."""
    read_plain(recipe)
    from cooper.training.planning.asking import PlanRequest, told

    quiet_libraries()
    request = PlanRequest(
        recipe=recipe, overrides=tuple(overrides or ()), stage=stage, gpus=gpus, nodes=nodes, memory=memory,
        teraflops=teraflops, mfu=mfu, price=price, picture=picture, text=text, learnt=learnt, maps=maps,
    )  # fmt: skip
    typer.echo(told(request, as_json))
