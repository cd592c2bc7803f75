"""`cooper inspect`, `export` and `merge`: what a checkpoint holds, and writing it in the published layout or as a plain one."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cooper.cli.console.faults import quiet_libraries
from cooper.files.arguments import visible
from cooper.files.folders import output_folder
from cooper.files.hub import resolve

if TYPE_CHECKING:
    from cooper.model.checkpoints.inspection import Inspection

SHOWN = 10  # tensors named per kind of difference

BaseOption = Annotated[
    Path | None,
    typer.Option("--base", help="BAGEL directory with configuration, tokenizer and autoencoder, if MODEL holds only weights."),
]


def inspect(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model: nano, a directory, or a hub id.")],
    base: BaseOption = None,
    headers_only: Annotated[
        bool,
        typer.Option("--headers-only", help="Read only the headers of the weight files; does not search for NaN and infinity."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Say what layout a checkpoint has, what is wrong with it, and what to do. Exits with 1 if it cannot be loaded."""
    directory = resolve(model)  # a folder that is missing is told before anything heavy is imported
    from cooper.model.checkpoints.inspection import inspect as look

    report = look(directory, base, values=not headers_only)
    typer.echo(json.dumps(report_json(report)) if as_json else visible(report_text(report)))
    if not report.is_loadable:
        raise typer.Exit(1)


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model: nano, a directory, or a hub id.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New or empty directory to write to.")],
    base: BaseOption = None,
) -> None:
    """Write a model in the published layout, numbers unchanged, and name the settings that this layout cannot hold."""
    directory, target = resolve(model), output_folder(out)
    from cooper.model.checkpoints.export import export as write
    from cooper.model.checkpoints.limits import unplaced_settings
    from cooper.model.checkpoints.opening import open_checkpoint

    checkpoint = open_checkpoint(directory, base)
    for path in write(checkpoint, target):
        typer.echo(str(path))
    notes = unplaced_settings(checkpoint)
    for note in notes:
        typer.echo(visible(f"note: {note}"), err=True)
    if notes:
        typer.echo("note: the published code holds these as constants and does not read them from the files.", err=True)


def merge(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Adapter in the form of peft, or checkpoint-N in the folder of a training.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New or empty directory to write to.")],
    base: BaseOption = None,
) -> None:
    """Write a plain model: an adapter merged into its network, or a checkpoint of stage amg or sft, with its averaged weights.

    The checkpoint may lie in shards; an adapter that it trained is merged.
    """
    target = output_folder(out)
    from cooper.training.merging import merge as write

    quiet_libraries()
    typer.echo(f"Model: {write(source, target, base)}")


def report_text(report: "Inspection") -> str:
    """The report as lines: family, amounts, then each finding with what to do about it."""
    lines = [f"{report.directory}: {report.status}"]
    lines += [f"  {a.tensors} tensors of {a.dtype}: {a.numbers:,} numbers, {a.nbytes / 1e6:.1f} MB" for a in report.amounts]
    for finding in report.findings:
        lines += [f"{'fault' if finding.is_fault else 'note'}: {finding.what}", f"  {finding.advice}"]
    for kind, names in _differences(report).items():
        lines += [f"{kind}: {name}" for name in names[:SHOWN]]
        lines += [f"{kind}: and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    lines.append("It can be loaded." if report.is_loadable else "It cannot be loaded.")
    return "\n".join(lines)


def report_json(report: "Inspection") -> dict[str, object]:
    """The report for programs; every tensor at fault is named."""
    return {
        "directory": str(report.directory),
        "base": None if report.base is None else str(report.base),
        "family": report.family.value,
        "status": report.status,
        "is_loadable": report.is_loadable,
        "amounts": [{"dtype": a.dtype, "tensors": a.tensors, "numbers": a.numbers, "bytes": a.nbytes} for a in report.amounts],
        "findings": [{"what": f.what, "advice": f.advice, "is_fault": f.is_fault} for f in report.findings],
        **_differences(report),
    }


def _differences(report: "Inspection") -> dict[str, list[str]]:
    found = report.differences
    return {
        "missing": [str(item) for item in found.missing],
        "unexpected": [str(item) for item in found.unexpected],
        "misshapen": [str(item) for item in found.misshapen],
    }
