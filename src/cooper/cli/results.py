"""`cooper compare` and `cooper study`: runs over the same questions; `cooper read`: how one reply is read."""

import json
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cooper.cli.console.commands import DeviceOption, QuantizationOption, goes_on, told_when_interrupted
from cooper.errors import CooperError

if TYPE_CHECKING:
    from cooper.evaluation.gates.run import GateSettings
    from cooper.evaluation.gates.words import Features
    from cooper.evaluation.replies.reading import ReplyReading
    from cooper.reasoning.cooper import Cooper

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


GATE_SHUT = 3  # exit code where a gate that was asked is shut


def gates(
    data: Annotated[Path, typer.Option(help="Held-out scenes, a rendered set.")],
    model: Annotated[str, typer.Option(help="Model of the gates B, C and D: nano, a directory, or a hub id.")] = "",
    tower: Annotated[str, typer.Option(help="Checkpoint whose picture tower gate A probes: nano or a directory.")] = "",
    train: Annotated[Path | None, typer.Option(help="Scenes with the labels of gate A, a rendered set.")] = None,
    labels: Annotated[int, typer.Option(help="Number of labelled objects of gate A.")] = 1000,
    steps: Annotated[int, typer.Option(help="Training steps of the probe of gate A.")] = 500,
    words: Annotated[str, typer.Option(help="Run, or RUN:MODE, that gate C compares with in place of the probe.")] = "",
    gate: Annotated[str, typer.Option(help="Gates, separated by commas; by default all that the options allow.")] = "",
    limit: Annotated[int, typer.Option(help="Largest number of held-out scenes.")] = 200,
    seed: Annotated[int, typer.Option(help="Random seed of the model, the probe and the intervals.")] = 0,
    batch: Annotated[int, typer.Option(help="Number of scenes in one batch.")] = 16,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the results, by default runs/gates/MODEL; continues a run that was stopped there."),
    ] = None,
    device: DeviceOption = None,
    quantization: QuantizationOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the gates as JSON.")] = False,
) -> None:
    """Measure whether the next stage of a study is worth its hours: gates A to D, each with a 95 % interval.

    A: what words learn from few labels (at most 45 %), and names (at least 70 %). B: right places (at least 85 %). C: a perfect
    reader of drawn maps, less words (at least 15 points). D: reading, as a part of a perfect reader's (at least 80 %). Exits
    with 0 if all that were asked are open, and with 3 if one is shut.
    """
    from cooper.cli.evaluate import folder_name
    from cooper.evaluation.gates.run import Asking, GateSettings
    from cooper.evaluation.report.gates import gates_json, gates_table
    from cooper.evaluation.runs.origin import Origin
    from cooper.files.arguments import visible
    from cooper.files.locks import held

    asked = model or tower
    settings = GateSettings(
        model=model, tower=tower, train=train or "", labels=labels, steps=steps, words=words, seed=seed, limit=limit,
        gates=tuple(part.strip() for part in gate.split(",") if part.strip()), batch=batch, quiet=as_json, data=data,
        out=out or Path("runs/gates") / folder_name(asked),
        origin=Origin.of(asked, quantization=quantization) if asked else Origin(),
    )  # fmt: skip
    with told_when_interrupted(lambda: goes_on(settings.out)), held(settings.out, "cooper gates"):
        found = Asking(settings, *_asked_of(settings, device, quantization)).answers()
    if not settings.share.first:
        return
    typer.echo(json.dumps(gates_json(found)) if as_json else visible(gates_table(found).markdown()))
    if not all(each.is_open for each in found):
        raise typer.Exit(GATE_SHUT)


def _asked_of(
    settings: "GateSettings", device: str | None, quantization: str | None
) -> "tuple[Callable[[], Cooper], Callable[[], Features]]":
    """What loads the model and the tower, each once and only when it is asked for."""
    from cooper.model.tower import Tower
    from cooper.reasoning.cooper import Cooper
    from cooper.training.bundles import load_vision

    @cache
    def model() -> Cooper:
        where = settings.share.device(device)
        return Cooper.from_pretrained(settings.model, device_map=where, quantization=quantization)

    def tower() -> "Features":
        found = load_vision(Path(settings.tower))
        return Tower(found.vit, found.geometry, found.transforms).features

    return model, tower


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
