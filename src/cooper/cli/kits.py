"""`cooper vlmeval`: a benchmark run by VLMEvalKit, where that is installed."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cooper.cli.console.commands import QuantizationOption
from cooper.cli.evaluate import folder_name
from cooper.errors import CooperError
from cooper.files.folders import run_folder


def vlmeval(
    data: Annotated[str, typer.Option(help="TSV file (multiple choice, or SIBench), or name of a data set of the kit.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of results and traces, by default runs/vlmeval/NAME-MODEL-MODE; continues a stopped run."),
    ] = None,
    model: Annotated[str, typer.Option(help="Model: nano, a directory, or a hub id.")] = "nano",
    mode: Annotated[str, typer.Option(help="Mode: interleaved, perception, text or direct.")] = "interleaved",
    limit: Annotated[int | None, typer.Option(help="Largest number of questions.")] = None,
    base: Annotated[str, typer.Option(help="BAGEL directory or hub id, if MODEL holds only weights.")] = "",
    inference: Annotated[str, typer.Option(help="YAML file of sampling, drawing, max_turns, deterministic.")] = "",
    device: Annotated[str, typer.Option(help="Device, such as cuda. The accelerator by default, if there is one.")] = "",
    quantization: QuantizationOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, last.")] = False,
) -> None:
    """Evaluate a model with an installed VLMEvalKit. Fails if the kit failed on any row."""
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
    asked = KitModel(model, mode, base, device=device, inference=inference, quantization=quantization or "")
    result = run_vlmeval(asked, data, out, limit)
    if as_json:
        typer.echo(json.dumps(asdict(result), default=str))
        return
    for name, value in result.metrics.items():
        typer.echo(f"{name}: {value:.4g}")
    typer.echo(f"Predictions of {result.rows} rows: {result.predictions}")
    typer.echo(f"Traces: {result.traces}")
