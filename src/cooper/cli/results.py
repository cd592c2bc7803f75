"""`cooper compare` and `cooper study`: runs over the same questions; `cooper read`: how one reply is read."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cooper.errors import CooperError

if TYPE_CHECKING:
    from cooper.evaluation.replies.reading import ReplyReading

TYPES = ("mcq", "yn", "number", "count", "q-spatial")


def compare(
    first: Annotated[str, typer.Argument(help="Folder of the first run, or FOLDER:MODE.")],
    second: Annotated[str, typer.Argument(help="Folder of the second run, or FOLDER:MODE.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Compare two runs on the questions that both answered, with paired 95 % intervals and p-values."""
    from cooper.evaluation.figures.comparison import compare_runs
    from cooper.evaluation.report.report import comparison_table, report_json
    from cooper.files.arguments import visible

    found = compare_runs(first, second)
    if as_json:
        typer.echo(json.dumps([report_json(each) for each in found]))
    else:
        typer.echo(visible("\n".join(comparison_table(each).markdown() for each in found)))


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
    from cooper.files.arguments import visible
    from cooper.files.locks import held

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


def read(
    reply: Annotated[
        str, typer.Argument(help="The reply; - reads standard input. Write -- before one that begins with a dash.")
    ],
    kind: Annotated[
        str, typer.Option("--type", help="Type: mcq, yn, number (in the question's unit), count, or q-spatial (metres).")
    ] = "mcq",
    choices: Annotated[list[str] | None, typer.Option(help="Option of an mcq question; repeat for each, in order.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer and the reasons as JSON.")] = False,
) -> None:
    """Show which answer the scoring rules read from a reply, and why. Exits with 0 also if they read none."""
    from cooper.evaluation.replies import RULES_VERSION
    from cooper.evaluation.replies.reading import shown

    options = tuple(choices or ())
    reading = _reader(kind, options)(sys.stdin.buffer.read().decode("utf-8", "replace") if reply == "-" else reply)
    answer = reading.value
    meant = _option(answer, options) if isinstance(answer, str) else ""
    if as_json:
        reasons = [{"stage": each.stage, "reason": each.said} for each in reading.reasons]
        found = {"answer": answer or None if isinstance(answer, str) else answer, "option": meant or None}
        typer.echo(json.dumps({"type": kind, **found, "reasons": reasons, "rules": RULES_VERSION}, allow_nan=False))
        return
    unit = " m" if kind == "q-spatial" else ""
    number = "" if answer is None else answer if isinstance(answer, str) else f"{answer:.6g}{unit}"
    typer.echo(f"answer: {number} {_printable(shown(meant)) if meant else ''}".rstrip() if number else "no answer")
    for each in reading.reasons:
        typer.echo(f"  {each.stage}: {_printable(each.said)}")


def _reader(kind: str, choices: Sequence[str]) -> "Callable[[str], ReplyReading[str] | ReplyReading[float | None]]":
    """What reads replies of that type. CooperError: a type that is unknown, or options where none belong or one is missing."""
    from cooper.evaluation.replies.choices.choices import choice_reading
    from cooper.evaluation.replies.numbers.numbers import number_reading
    from cooper.evaluation.replies.yes_no import yes_no_reading

    if kind not in TYPES:
        raise CooperError(f"--type {kind!r} is unknown; it is one of {', '.join(TYPES)}")
    if kind == "mcq" and len(choices) < 2:
        raise CooperError(f"--type mcq needs at least two --choices, got {len(choices)}")
    if kind != "mcq" and choices:
        raise CooperError(f"--choices belongs to --type mcq, not to {kind}")
    if any(not choice.strip() for choice in choices):
        raise CooperError(
            f"option {next(n for n, choice in enumerate(choices, 1) if not choice.strip())} of --choices is empty"
        )
    if kind == "mcq":
        return lambda reply: choice_reading(reply, choices)
    if kind == "yn":
        return yes_no_reading
    return lambda reply: number_reading(reply, lengths=kind == "q-spatial")


def _printable(text: str) -> str:
    """The text with escapes for what the console cannot write."""
    coding = sys.stdout.encoding or "ascii"
    return text.encode(coding, "backslashreplace").decode(coding)


def _option(letter: str, choices: Sequence[str]) -> str:
    """The text of the option with that letter; "" where there are no options."""
    from cooper.evaluation.replies.choices.options import labels

    return dict(zip(labels(len(choices)), choices, strict=True)).get(letter, "")
