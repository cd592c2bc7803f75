"""`cooper scenes render`: rooms with exact depth, labels and questions."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cooper.cli.console.commands import told_when_interrupted

app = typer.Typer(help="Render rooms with exact depth, labels and questions.", no_args_is_help=True)

FormatOption = Annotated[int | None, typer.Option("--format", help="Format of scenes that are rendered: 2, the default, or 3.")]
CategoriesOption = Annotated[
    str | None, typer.Option(help="Categories of questions about scenes, separated by commas; all by default.")
]
WordingOption = Annotated[
    str | None, typer.Option(help="Wording of questions about scenes of format 3: trained, the default, or held_out.")
]


def listed(names: str | None) -> tuple[str, ...] | None:
    """Names that are separated by commas; None where none are given."""
    return None if names is None else tuple(part.strip() for part in names.split(",") if part.strip())


class Split(StrEnum):
    """Splits that share no scene; `compositional` has pairs of shape and colour that the others never have. `light`, `dark` and
    `hidden` need format 3."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    COMPOSITIONAL = "compositional"
    LIGHT = "light"
    DARK = "dark"
    HIDDEN = "hidden"


@app.callback()
def scenes() -> None:
    """Render rooms with exact depth, labels and questions."""


@app.command()
def render(
    count: Annotated[int, typer.Option(help="Number of scenes to render.")],
    out: Annotated[Path, typer.Option(help="Folder for the scene set; continues a run that was stopped there.")],
    seed: Annotated[int, typer.Option(help="Random seed; the same seed gives the same files.")] = 0,
    split: Annotated[Split, typer.Option(help="Which split; no scene is in two splits.")] = Split.TRAIN,
    size: Annotated[int, typer.Option(help="Width and height of the pictures in pixels.")] = 128,
    spp: Annotated[int, typer.Option(help="Number of light samples per pixel.")] = 16,
    workers: Annotated[int, typer.Option(help="Number of rendering processes.")] = 1,
    form: Annotated[
        int, typer.Option("--format", help="2, or 3: cameras, rooms and sizes vary more, so that distances must be seen.")
    ] = 2,
) -> None:
    """Render scenes, each with picture, depth in metres, class and instance labels, and geometry."""
    from rich.console import Console
    from rich.progress import Progress

    from cooper.scenes.production import RenderSettings, render_scenes, scenes_kept

    settings = RenderSettings(count, seed, split.value, out, size, spp, workers, form)

    def told() -> str:
        return f"{scenes_kept(settings)} of {count} scenes are kept in {out}; the same command goes on from there"

    with told_when_interrupted(told), Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("scenes", total=count)
        rendered = render_scenes(settings, lambda done, wanted: bar.update(task, completed=done, total=wanted))
    typer.echo(f"{rendered} scenes rendered now, {count} in {out}")
