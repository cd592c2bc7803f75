"""`cooper eval scenes`: how well a model answers and draws, on rendered scenes."""

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Evaluate a model.", no_args_is_help=True)


@app.callback()
def evaluate() -> None:
    """Evaluate a model."""


@app.command()
def scenes(
    out: Annotated[Path, typer.Option(help="Folder of rows and reports; an interrupted run there goes on.")],
    model: Annotated[str, typer.Option(help="nano, a directory, or a hub id.")] = "nano",
    mode: Annotated[
        str, typer.Option(help="Modes, separated by commas: interleaved, perception, text, direct.")
    ] = "interleaved,perception,text,direct",
    seed: Annotated[int, typer.Option(help="Seed of fresh scenes and of the model.")] = 0,
    limit: Annotated[int, typer.Option(help="Number of questions.")] = 400,
    data: Annotated[Path | None, typer.Option(help="A rendered scene set to use instead of fresh scenes.")] = None,
    split: Annotated[str, typer.Option(help="Split of fresh scenes: test or compositional.")] = "test",
    batch: Annotated[int, typer.Option(help="Questions put to the model at once.")] = 16,
    maps: Annotated[int | None, typer.Option(help="Pictures to draw depth and segmentation of; all by default.")] = None,
    traces: Annotated[int, typer.Option(help="Questions per mode whose traces are saved.")] = 0,
    blind: Annotated[bool, typer.Option("--blind", help="Show a grey picture instead: the score of not looking.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Answer questions about rendered rooms, draw their maps, and report accuracy, map usage and map quality."""
    from cooper.evaluation.benchmarks.scenes import ScenesSettings, evaluate_scenes
    from cooper.evaluation.report import markdown, report_json
    from cooper.reasoning.cooper import Cooper

    modes = tuple(part.strip() for part in mode.split(",") if part.strip())
    settings = ScenesSettings(model, modes, out, seed, limit, data, split, batch, maps, traces, blind, quiet=as_json)
    report = evaluate_scenes(Cooper.from_pretrained(model), settings)
    typer.echo(json.dumps(report_json(report)) if as_json else markdown(report))
    if not as_json:
        typer.echo(f"Report: {out / 'report.html'}")
