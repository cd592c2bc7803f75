"""`cooper vlmeval`: a benchmark run by VLMEvalKit, where that is installed."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cooper.cli.evaluate import folder_name
from cooper.errors import CooperError
from cooper.files.folders import run_folder


def vlmeval(
    data: Annotated[str, typer.Option(help="A TSV file (choices, or SIBench), or a data set that the kit knows by name.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of results and traces, by default runs/vlmeval/NAME-MODEL-MODE; a broken run goes on."),
    ] = None,
    model: Annotated[str, typer.Option(help="nano, a directory, or a hub id.")] = "nano",
    mode: Annotated[str, typer.Option(help="interleaved, perception, text or direct.")] = "interleaved",
    limit: Annotated[int | None, typer.Option(help="Number of questions.")] = None,
    base: Annotated[str, typer.Option(help="Directory or hub id with what bare published weights lack.")] = "",
    inference: Annotated[str, typer.Option(help="YAML of sampling, drawing and max_turns.")] = "",
    device: Annotated[str, typer.Option(help="Where the model runs, such as cuda; the CPU by default.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON, in the last line.")] = False,
) -> None:
    """Run VLMEvalKit on one data set with our model, and fail if any row failed inside the kit."""
    if out is not None:
        run_folder(out)
    try:
        from cooper.evaluation.kits.answering import KitModel
        from cooper.evaluation.kits.vlmevalkit import run_vlmeval
    except ImportError as error:
        raise CooperError(f"VLMEvalKit cannot be imported ({error}); scripts/test_kits.sh shows how it is installed") from error
    if out is None:
        out = Path("runs/vlmeval") / f"{Path(data).stem}-{folder_name(model)}-{mode}"
        typer.echo(f"Results go to {out}", err=True)
    result = run_vlmeval(KitModel(model, mode, base, device=device, inference=inference), data, out, limit)
    if as_json:
        typer.echo(json.dumps(asdict(result), default=str))
        return
    for name, value in result.metrics.items():
        typer.echo(f"{name}: {value:.4g}")
    typer.echo(f"Predictions of {result.rows} rows: {result.predictions}")
    typer.echo(f"Traces: {result.traces}")
