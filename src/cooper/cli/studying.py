"""`cooper study`: several models, each trained from one seed or more, over the same questions."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cooper.errors import CooperError


def study(
    models: Annotated[
        list[str], typer.Argument(help="NAME=RUN:MODE of each model, with commas between the runs of several seeds.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for study.md, study.html and study.json.")],
    beside: Annotated[list[str] | None, typer.Option(help="Add a published number, NAME=TEXT.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the study as JSON.")] = False,
) -> None:
    """Compare several models, each trained with one seed or more, on the questions that all of them answered."""
    from cooper.evaluation.figures.study import read_model
    from cooper.evaluation.figures.study import study as compared
    from cooper.evaluation.report.study import study_json, tables, write_study
    from cooper.files.locks import held
    from cooper.files.text import visible

    told = dict(_named(said) for said in beside or [])
    with held(out, "cooper study"):
        found = compared([read_model(said) for said in models])
        write_study(found, out, told)
    if as_json:
        typer.echo(json.dumps(study_json(found)))
    else:
        typer.echo(visible("\n".join(table.markdown() for table in tables(found))))
        typer.echo(f"Page: {out / 'study.html'}")


def _named(said: str) -> tuple[str, str]:
    name, equals, text = said.partition("=")
    if not equals or not name:
        raise CooperError(f"--beside {said!r} is no figure with a name; write NAME=TEXT")
    return name, text
