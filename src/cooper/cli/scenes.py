"""`cooper scenes render`: rooms with exact depth, labels and questions."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cooper.cli.interruptions import told_when_interrupted

app = typer.Typer(help="Rendered rooms with exact truth.", no_args_is_help=True)


class Split(StrEnum):
    """Ranges of seeds that never meet; `compositional` combines shapes and colours as never seen in training."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    COMPOSITIONAL = "compositional"


@app.callback()
def scenes() -> None:
    """Rendered rooms with exact truth."""


@app.command()
def render(
    count: Annotated[int, typer.Option(help="Number of scenes.")],
    out: Annotated[Path, typer.Option(help="Folder of the set; a broken run there goes on.")],
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    split: Annotated[Split, typer.Option(help="Range of seeds.")] = Split.TRAIN,
    size: Annotated[int, typer.Option(help="Side of the square pictures in pixels.")] = 128,
    spp: Annotated[int, typer.Option(help="Light samples per pixel.")] = 16,
    workers: Annotated[int, typer.Option(help="Processes that render.")] = 1,
) -> None:
    """Render scenes: picture, depth in metres, class and instance labels, and the geometry behind them."""
    from rich.console import Console
    from rich.progress import Progress

    from cooper.scenes.production import RenderSettings, render_scenes, scenes_kept

    settings = RenderSettings(count, seed, split.value, out, size, spp, workers)

    def told() -> str:
        return f"{scenes_kept(settings)} of {count} scenes are kept in {out}; the same command goes on from there"

    with told_when_interrupted(told), Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("scenes", total=count)
        rendered = render_scenes(settings, lambda done, wanted: bar.update(task, completed=done, total=wanted))
    typer.echo(f"{rendered} scenes rendered now, {count} in {out}")
