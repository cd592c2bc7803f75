"""`cooper data`: flags, which questions maps help with; draw, maps of a scene set for stage 2 to read; curate, reasoning that a
teacher writes; check, what is wrong with some data; import, other layouts as rows that stage 2 reads."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cooper.cli.console.commands import (
    BaseOption,
    DeviceOption,
    OnceCommand,
    QuantizationOption,
    goes_on,
    told_when_interrupted,
)
from cooper.curation.counts import By, Shown
from cooper.errors import CooperError
from cooper.files.arguments import visible, whole
from cooper.files.folders import run_folder
from cooper.trace.modes import AnswerMode

if TYPE_CHECKING:
    from cooper.evaluation.runs.origin import Origin

app = typer.Typer(help="Prepare training data.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """Prepare training data."""


@app.command(cls=OnceCommand)
def flags(
    source: Annotated[Path, typer.Option("--data", help="Folder of a rendered scene set, or a JSON Lines file of questions.")],
    out: Annotated[Path, typer.Option(help="Folder for flags.jsonl and its plot; a run that was stopped there continues.")],
    model: Annotated[str, typer.Option(help="Model: nano, a directory, or a hub id.")] = "nano",
    samples: Annotated[int, typer.Option(help="Number of sampled answers per question, with maps and without.")] = 8,
    margin: Annotated[
        float, typer.Option(help="Flag where the shares of right answers differ by at least this, 0 to 1.")
    ] = 0.25,
    by: Annotated[By, typer.Option(help="Flag each question, or each category of questions.")] = "question",
    limit: Annotated[int, typer.Option(help="Largest number of questions.")] = 1000,
    per_scene: Annotated[int, typer.Option(help="Number of questions about each scene; as in the training recipe.")] = 4,
    batch: Annotated[int, typer.Option(help="Number of questions in one batch.")] = 16,
    temperature: Annotated[float, typer.Option(help="Sampling temperature.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Random seed of questions and answers; as in the training recipe.")] = 0,
    base: BaseOption = None,
    device: DeviceOption = None,
    quantization: QuantizationOption = None,
) -> None:
    """Answer each question with and without maps, and flag it positive (maps help), negative (maps hurt) or boundary."""
    from cooper.curation.counts import DrawingCounts, read_flag_rows
    from cooper.curation.flags import FlagSettings, flag_questions, open_flags
    from cooper.curation.gains import category_flag, category_gains, luck_of, points
    from cooper.files.locks import held
    from cooper.reasoning.cooper import Cooper
    from cooper.training.rl.tasks import source_of

    if per_scene < 1:
        raise CooperError(f"per_scene must be at least 1, got {per_scene}")
    run_folder(out)
    settings = FlagSettings(
        model=model, data=source, out=out, samples=samples, margin=margin, by=by, limit=limit, batch=batch,
        temperature=temperature, seed=seed, origin=_origin(model, base, quantization),
    )  # fmt: skip
    questions = source_of(source, seed, per_scene)
    with held(out, "cooper data flags"):
        open_flags(settings, questions)
        door = Cooper.from_pretrained(model, base=base, device_map=device, quantization=quantization)
        flagged = flag_questions(door, questions, settings)
    if by == "category":
        gains = category_gains(read_flag_rows(flagged.path))
        told = [f"{name} {category_flag(gain)} {points(gain)}" for name, gain in gains.items()]
    else:
        counts = [DrawingCounts.of(row) for row in read_flag_rows(flagged.path)]
        told = [f"{flag} {luck}" for flag, luck in luck_of(counts, margin, samples).items()]
    typer.echo(f"{flagged.path}: " + ", ".join(told))
    if flagged.set_aside:
        reason = next(iter(flagged.set_aside.values()))
        typer.echo(f"{len(flagged.set_aside)} questions could not be read and have no flag; the first: {reason}", err=True)


def _origin(model: str, base: Path | None, quantization: str | None) -> "Origin":
    """How a model is loaded, for the record; told before a folder is made. CooperError: there is no such model or base."""
    from cooper.evaluation.runs.origin import Origin

    return replace(Origin.of(model, base, quantization=quantization), weights="")  # flags outlive a model that is trained on


@app.command(cls=OnceCommand)
def draw(
    source: Annotated[Path, typer.Option("--data", help="Folder of a rendered scene set.")],
    out: Annotated[Path, typer.Option(help="Folder for the maps, one PNG each; a run that was stopped there continues.")],
    model: Annotated[str, typer.Option(help="Model: nano, a directory, or a hub id.")] = "nano",
    maps: Annotated[str, typer.Option(help="Maps to draw, separated by commas.")] = "depth,segmentation",
    limit: Annotated[int, typer.Option(help="Largest number of scenes, counted from the first.")] = 100_000,
    batch: Annotated[int, typer.Option(help="Number of maps in one batch.")] = 32,
    seed: Annotated[int, typer.Option(help="Random seed of the maps.")] = 0,
    base: BaseOption = None,
    device: DeviceOption = None,
    quantization: QuantizationOption = None,
) -> None:
    """Draw the maps of a scene set with a model, so that stage 2 can train on them (`drawings` in its recipe)."""
    from cooper.curation.drawing import DrawSettings, draw_scenes, open_drawings
    from cooper.evaluation.runs.origin import Origin
    from cooper.files.locks import held
    from cooper.reasoning.cooper import Cooper
    from cooper.scenes.store import SceneSet

    modalities = tuple(part.strip() for part in maps.split(",") if part.strip())
    run_folder(out)
    settings = DrawSettings(
        model=model,
        data=source,
        out=out,
        modalities=modalities,
        limit=limit,
        batch=batch,
        seed=seed,
        origin=Origin.of(model, base, quantization=quantization),
    )
    SceneSet(source)  # what cannot be read shows before a folder is made
    with told_when_interrupted(lambda: goes_on(out)), held(out, "cooper data draw"):
        open_drawings(settings)
        draw_scenes(Cooper.from_pretrained(model, base=base, device_map=device, quantization=quantization), settings)
    typer.echo(str(out))


@app.command(cls=OnceCommand)
def curate(
    source: Annotated[Path, typer.Option("--data", help="Folder of a rendered scene set, or a JSON Lines file of questions.")],
    out: Annotated[Path, typer.Option(help="Folder for the examples and their card; a run that was stopped there continues.")],
    teacher: Annotated[str, typer.Option(help="Address of an OpenAI-compatible endpoint, or `scenes`: no network.")],
    teacher_model: Annotated[str, typer.Option(help="Name of the teacher's model, which sees pictures.")] = "",
    teacher_key: Annotated[str, typer.Option(help="Environment variable, or line of .env, with the key.")] = "OPENAI_API_KEY",
    model: Annotated[str, typer.Option(help="Model that draws the maps: nano, a directory, or a hub id.")] = "nano",
    mode: Annotated[AnswerMode, typer.Option(help="interleaved, or text: no maps.")] = "interleaved",
    maps: Annotated[str, typer.Option(help="Maps that the teacher may ask for, separated by commas.")] = "depth,segmentation",
    given_maps: Annotated[Shown, typer.Option(help="The model's own maps, or the true ones of scenes.")] = "own",
    check_maps: Annotated[bool, typer.Option(help="Leave out examples whose answer does not depend on the map.")] = True,
    limit: Annotated[int | None, typer.Option(help="Largest number of questions, each kind in turn.")] = None,
    per_kind: Annotated[int | None, typer.Option(help="Largest number of examples of each kind of question.")] = None,
    tries: Annotated[int, typer.Option(help="Number of tries at a question.")] = 1,
    max_turns: Annotated[int, typer.Option(help="Number of turns after which a try is given up.")] = 4,
    per_scene: Annotated[int, typer.Option(help="Number of questions about each scene.")] = 4,
    temperature: Annotated[float, typer.Option(help="Sampling temperature of the teacher.")] = 0.7,
    max_tokens: Annotated[int, typer.Option(help="Largest number of tokens in a turn of the teacher.")] = 512,
    price_in: Annotated[float, typer.Option(help="Price of a million tokens read, for the estimate and the card.")] = 0.0,
    price_out: Annotated[float, typer.Option(help="Price of a million tokens written.")] = 0.0,
    estimate: Annotated[bool, typer.Option("--estimate", help="Print what it will take, and stop.")] = False,
    batch: Annotated[int, typer.Option(help="Number of questions in one batch.")] = 16,
    seed: Annotated[int, typer.Option(help="Random seed of questions and maps.")] = 0,
    base: BaseOption = None,
    device: DeviceOption = None,
    quantization: QuantizationOption = None,
) -> None:
    """Let a teacher write reasoning about questions, with maps drawn in between, and keep what is right and uses its maps."""
    from cooper.curation.teaching.command import TeacherOptions, curate_questions
    from cooper.curation.teaching.curate import CurateSettings
    from cooper.reasoning.cooper import Cooper
    from cooper.training.rl.tasks import source_of

    asked = TeacherOptions(teacher, teacher_model, teacher_key, temperature, max_tokens, price_in, price_out, estimate)
    settings = CurateSettings(
        model=model, data=source, out=run_folder(out), teacher=teacher_model or teacher, mode=mode,
        maps=tuple(part.strip() for part in maps.split(",") if part.strip()), given_maps=given_maps, check_maps=check_maps,
        limit=limit, per_kind=per_kind, tries=tries, max_turns=max_turns, batch=batch, seed=seed,
        origin=_origin(model, base, quantization),
    )  # fmt: skip
    load = partial(Cooper.from_pretrained, model, base=base, device_map=device, quantization=quantization)
    with told_when_interrupted(lambda: goes_on(out)):
        typer.echo(curate_questions(source_of(source, seed, whole(per_scene, "per_scene", 1)), settings, asked, load))


@app.command(cls=OnceCommand)
def check(
    source: Annotated[
        Path,
        typer.Argument(help="Folder or file in any form that training or `cooper data import` reads, or a folder of several."),
    ],
    kind: Annotated[
        str | None,
        typer.Option(help="Kind of the data, as in a recipe or of an import, where names and rows do not tell it."),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the pictures that rows or lists name.")] = None,
    longest: Annotated[int, typer.Option(help="Number of tokens above which a row is left out.")] = 10_240,
    model: Annotated[
        str | None,
        typer.Option(
            help="Count tokens as this checkpoint does: nano, a directory, or a hub id. By default pictures count as in the "
            "published training, and words are estimated."
        ),
    ] = None,
    base: Annotated[
        Path | None, typer.Option(help="BAGEL directory with configuration and tokenizer, if MODEL holds only weights.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Number of rows or pictures of each set, from the first on.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for check.html with a contact sheet, check.json, faults.jsonl.")
    ] = None,
    show: Annotated[int, typer.Option(help="Number of faults of each kind and set that are printed.")] = 20,
    workers: Annotated[int | None, typer.Option(help="Number of threads that read; by default one for each processor.")] = None,
) -> None:
    """Read all of some training data, and print what is there and every fault with file and row.

    Exit code 0: no fault. Exit code 1: faults; an error cannot be trained on, a warning should be looked at.
    """
    from cooper.training.feed.checking.check import check_data
    from cooper.training.feed.checking.lengths import checkpoint_lengths, published_lengths
    from cooper.training.feed.checking.report import lines, write_report
    from cooper.training.feed.checking.units import CheckOptions

    for name, value, low in (("longest", longest, 1), ("limit", limit, 1), ("show", show, 0), ("workers", workers, 1)):
        if value is not None:
            whole(value, name, low)
    folder = None if out is None else run_folder(out)
    lengths = checkpoint_lengths(model, base) if model else published_lengths()
    options = CheckOptions(lengths=lengths, longest=longest, kind=kind, images=images, limit=limit, thumbs=out is not None)
    with told_when_interrupted(lambda: "the check is not whole, and nothing was written"):
        reports = check_data(source, options, workers or os.cpu_count() or 1)
    for line in lines(reports, longest, show):
        typer.echo(visible(line))
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_report(reports, longest, folder)
        typer.echo(f"Report: {folder / 'check.html'}")
    if any(report.faults for report in reports):
        raise typer.Exit(1)


@app.command("import", cls=OnceCommand)
def import_data(
    kind: Annotated[
        str,
        typer.Argument(
            help="Layout: bagel-t2i, bagel-editing, thinkmorph (parquet), bagel-vlm, messages or clear (JSON Lines)."
        ),
    ],
    source: Annotated[Path, typer.Argument(metavar="SRC", help="File of rows, or a folder of such files.")],
    out: Annotated[
        Path,
        typer.Argument(metavar="DST", help="Folder for traces.jsonl and its pictures; a run that was stopped there continues."),
    ],
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the pictures that rows name; by default the file's, or images beside it."),
    ] = None,
    clean: Annotated[
        Path | None, typer.Option(help="Of clear: folder of the clean pictures; by default clean beside the file.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Number of threads; by default one for each processor.")] = None,
) -> None:
    """Make rows that `cooper train sft` reads from another layout, with their pictures beside them.

    Rows that cannot be read are left out and listed in faults.jsonl; the exit code is then 1.
    """
    from cooper.data.sources.imports.importing import ImportSettings, import_rows, source_tables
    from cooper.evaluation.runs.progress import progress

    threads = os.cpu_count() or 1 if workers is None else whole(workers, "workers", 1)
    settings = ImportSettings(kind=kind, source=source, out=run_folder(out), images=images, clean=clean, workers=threads)
    tables, count = source_tables(settings)
    with told_when_interrupted(lambda: goes_on(out)), progress(count, "rows", False) as advance:
        made = import_rows(settings, tables, advance)
    typer.echo(f"{out / 'traces.jsonl'}: {made.traces:,} traces from {made.rows - made.faults:,} of {made.rows:,} rows")
    if made.faults:
        typer.echo(
            visible(
                f"{made.faults:,} rows could not be read and are listed in {out / 'faults.jsonl'}; the first: {made.first}"
            ),
            err=True,
        )
        raise typer.Exit(1)
