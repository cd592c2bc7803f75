"""`cooper eval`: how well a model answers and draws, on rendered scenes and on published benchmarks."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cooper.cli.console.commands import BaseOption, DeviceOption, QuantizationOption, goes_on, told_when_interrupted
from cooper.cli.console.faults import quiet_libraries
from cooper.cli.scenes import CategoriesOption, FormatOption, WordingOption, listed
from cooper.errors import CooperError
from cooper.files.folders import run_folder
from cooper.files.plain import read_plain
from cooper.trace.modes import GIVEN_MAPS, MODES, AnswerMode, given_maps

if TYPE_CHECKING:
    from cooper.evaluation.figures.summary import Report
    from cooper.evaluation.judge.endpoint import JudgeSettings
    from cooper.evaluation.suites.suite import Suite
    from cooper.reasoning.cooper import Cooper
    from cooper.reasoning.options import Inference
    from cooper.trace.modes import GivenMaps

RUNS = Path("runs/eval")  # where results go that have no folder of their own
MAPS = ("depth", "segmentation")  # kinds of map that are compared with a data set
OutOption = Annotated[
    Path | None,
    typer.Option(help="Folder of rows and report, by default runs/eval/NAME-MODEL; continues a run that was stopped there."),
]
TracesOption = Annotated[int | None, typer.Option(help="Number of questions per mode to keep traces of; all by default.")]
NamesArgument = Annotated[
    list[str],
    typer.Argument(help="What to evaluate: scenes, depth, segmentation, questions (your own), or benchmarks such as mmvp."),
]
ModeOption = Annotated[
    str | None, typer.Option(help=f"Modes to answer questions in, separated by commas; {', '.join(MODES)} by default.")
]
_KNOWN = "`depth`: pictures, nyu, kitti, hypersim, vkitti, scenes; of `segmentation`: pictures, ade20k, scenes"
DatasetOption = Annotated[str, typer.Option(help=f"Data set of {_KNOWN}.")]
GivenMapsOption = Annotated[
    str,
    typer.Option(
        "--given-maps",
        help="Maps that the model reads where it asks for some: own, none, true (scenes only), blank, noise, swap (of another "
        "picture), or repeat (its first one again); with commas a run for each, compared with own.",
    ),
]
TrueMapsOption = Annotated[bool, typer.Option("--true-maps", hidden=True, help="The same as --given-maps true.")]
SkipOption = Annotated[
    bool, typer.Option("--skip-bad", help="Skip questions whose pictures cannot be read; the report counts them.")
]
RescoreOption = Annotated[
    bool, typer.Option("--rescore", help="Score saved replies again, without the model; NAMES may be folders of runs.")
]
MOST_UNSCORED = 0.01  # of all rows, beyond which a run has failed


def evaluate(
    names: NamesArgument,
    out: OutOption = None,
    model: Annotated[str, typer.Option(help="Model: nano, a directory, or a hub id.")] = "nano",
    mode: ModeOption = None,
    seed: Annotated[int, typer.Option(help="Random seed of the model, and of scenes that are rendered.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Largest number of questions or pictures; scenes: 400 by default.")] = None,
    dataset: DatasetOption = "",
    data: Annotated[list[str] | None, typer.Option(help="Folder, file or hub id of the data; NAME=PATH if several.")] = None,
    split: Annotated[str, typer.Option(help="Split of scenes that are rendered: test, compositional, ...")] = "test",
    form: FormatOption = None,
    categories: CategoriesOption = None,
    wording: WordingOption = None,
    batch: Annotated[int, typer.Option(help="Number of questions in one batch.")] = 16,
    maps: Annotated[int | None, typer.Option(help="Number of scenes to draw maps of; all by default.")] = None,
    traces: TracesOption = None,
    blind: Annotated[bool, typer.Option("--blind", help="Replace every picture by grey, to measure guessing.")] = False,
    given: GivenMapsOption = "own",
    true_maps: TrueMapsOption = False,
    skip_bad: SkipOption = False,
    rescore: RescoreOption = False,
    base: BaseOption = None,
    device: DeviceOption = None,
    quantization: QuantizationOption = None,
    inference: Annotated[Path | None, typer.Option(help="YAML file of sampling, drawing, max_turns, deterministic.")] = None,
    judge: Annotated[str, typer.Option(help="Address of an OpenAI-compatible judge that scores what rules cannot.")] = "",
    judge_model: Annotated[str, typer.Option(help="Name of the judge model.")] = "",
    judge_key: Annotated[str, typer.Option(help="Environment variable, or line of .env, with the key.")] = "OPENAI_API_KEY",
    as_json: Annotated[bool, typer.Option("--json", help="Print the reports as JSON.")] = False,
) -> None:
    """Evaluate a model: answer questions, draw maps, and report accuracy with intervals, map usage and map quality.

    Start with torchrun to split the questions over several processes.
    """
    from cooper.evaluation.runs.origin import Origin
    from cooper.evaluation.suites.jobs import EvaluationRequest, are_runs, suite_in

    asked = _judge(judge, judge_model, judge_key, out or RUNS)
    if rescore and are_runs(names):
        read = partial(suite_in, judge=asked, skip_bad=skip_bad, quiet=as_json)
        _rescored({name: lambda name=name: read(Path(name)).rescore() for name in names}, as_json)
        return None
    wanted = EvaluationRequest(
        model=model, out=out or RUNS, modes=_modes(names, mode), seed=seed, form=form, wording=wording,
        limit=limit, dataset=dataset, split=split, batch=batch, maps=maps, traces=traces, blind=blind,
        categories=listed(categories), judge=asked, judged=rescore, quiet=as_json, skip_bad=skip_bad,
    )  # fmt: skip
    places = _places(names, data or [])
    _check_judge(names, asked)
    jobs: list[tuple[str, GivenMaps]] = [(name, control) for name in names for control in _given(given, true_maps)]
    requests = [replace(wanted, data=places.get(name, ""), given_maps=control) for name, control in jobs]
    for request, (name, _) in zip(requests, jobs, strict=True):  # mistakes in any of them show before files are read
        request.suite(name)
    changed = None if inference is None else _inference(inference)
    origin = Origin.of(model, base, changed, quantization)
    placed = zip(requests, _folders(jobs, out, model, dataset), jobs, strict=True)
    suites = [replace(request, origin=origin, out=folder).suite(name) for request, folder, (name, _) in placed]
    if rescore:
        return _rescored({str(suite.out): suite.rescore for suite in suites}, as_json)
    return _run(suites, lambda: _loaded(model, base, device, quantization, changed), as_json)


def _run(suites: "Sequence[Suite]", load: "Callable[[], Cooper]", as_json: bool) -> None:
    """Read all data, take all folders, and only then load the model and run: what can go wrong shows at once."""
    from cooper.files.locks import held

    for suite in suites:
        run_folder(suite.out)
    read = [suite.read() for suite in suites]
    reports = {}
    with told_when_interrupted(lambda: goes_on(*(suite.out for suite in suites))), ExitStack() as stack:
        for suite in suites:
            stack.enter_context(held(suite.out, f"cooper eval {suite.name}"))
        opened = [suite.open(asked) for suite, asked in zip(suites, read, strict=True)]
        loaded = load()
        for suite, asked in zip(suites, opened, strict=True):
            reports[suite.label] = suite.evaluate(loaded, asked)
            if not as_json:
                _show(reports[suite.label], suite.out)
    _paired(suites, as_json)
    _conclude(reports, as_json)


def _paired(suites: "Sequence[Suite]", as_json: bool) -> None:
    """Compare the runs of each benchmark with given maps with the one that read its own, where that is among them."""
    from cooper.evaluation.report.controls import controls_of, tables, write_controls
    from cooper.evaluation.runs.processes import Share
    from cooper.files.arguments import visible

    for own in suites:
        others = {suite.given_maps: suite.out for suite in suites if suite.name == own.name and suite is not own}
        if own.given_maps == "own" and others and Share.here().first:
            found = controls_of(own.out, others)
            write_controls(found, own.out)
            if not as_json:
                typer.echo(visible("\n".join(table.markdown() for table in tables(found))))
                typer.echo(f"Controls: {own.out / 'controls.html'}")


def _rescored(folders: "Mapping[str, Callable[[], Report]]", as_json: bool) -> None:
    """Rescore runs by their folders, and show their reports."""
    from cooper.evaluation.runs.processes import Share

    if not Share.here().first:
        return
    reports = {}
    for folder, again in folders.items():
        reports[folder] = again()
        if not as_json:
            _show(reports[folder], Path(folder))
    _conclude(reports, as_json)


def _modes(names: Sequence[str], asked: str | None) -> tuple[AnswerMode, ...]:
    """The modes to answer in. CooperError: one that is not known, or some for maps alone."""
    from cooper.evaluation.runs.settings import check_modes

    if asked is not None and all(name in MAPS for name in names):
        raise CooperError(f"a mode says how questions are answered, and {', '.join(names)} asks none: leave --mode away")
    return check_modes(MODES if asked is None else [part.strip() for part in asked.split(",") if part.strip()])


def _check_judge(names: Sequence[str], judge: "JudgeSettings | None") -> None:
    """CooperError: a judge that nothing would ask."""
    if judge is not None and all(name == "scenes" or name in MAPS for name in names):
        raise CooperError(f"a judge scores published benchmarks, and {', '.join(names)} needs none: leave --judge away")


def _conclude(reports: Mapping[str, "Report"], as_json: bool) -> None:
    """Print the JSON that is asked for. CooperError: too much could not be scored. Of several processes only the first does."""
    from cooper.evaluation.judge.verdicts import FAULTS
    from cooper.evaluation.report.report import report_json
    from cooper.evaluation.runs.processes import Share
    from cooper.evaluation.suites.jobs import left_out
    from cooper.files.arguments import visible

    if not Share.here().first:
        return
    if as_json:
        found = {name: report_json(report) for name, report in reports.items()}
        typer.echo(json.dumps(found if len(found) > 1 else next(iter(found.values()))))
    for line in left_out(reports):
        typer.echo(visible(line), err=True)
    failed = [name for name, report in reports.items() if report.unscored_share > MOST_UNSCORED]
    if failed:
        why = reports[failed[0]].settings.get(FAULTS, "the judge did not reply")
        raise CooperError(f"more than 1 % of the rows of {', '.join(failed)} could not be scored: {why}")


def _folders(jobs: "Sequence[tuple[str, GivenMaps]]", out: Path | None, model: str, dataset: str) -> list[Path]:
    """Where the run of each benchmark and control is; a place that the user did not name is told."""
    from cooper.evaluation.runs.processes import Share
    from cooper.evaluation.runs.settings import label

    if out is not None:
        return [out / label(*job) if len(jobs) > 1 else out for job in jobs]
    whole = {name: f"{name}-{dataset}" if name in MAPS else name for name, _ in jobs}
    folders = [RUNS / label(f"{whole[name]}-{folder_name(model)}", given) for name, given in jobs]
    if Share.here().first:
        typer.echo(f"Results go to {', '.join(map(str, folders))}", err=True)
    return folders


def _given(said: str, true_maps: bool) -> "tuple[GivenMaps, ...]":
    """The controls that are asked for, each once. CooperError: one is unknown, or `--true-maps` stands beside others."""
    names = [part.strip() for part in said.split(",") if part.strip()]
    if true_maps and names not in (["own"], ["true"]):
        raise CooperError(f"--true-maps is --given-maps true, and --given-maps {said} stands there, too: leave one away")
    if not names:
        raise CooperError(f"--given-maps names nothing; known: {', '.join(GIVEN_MAPS)}")
    if true_maps:
        return ("true",)
    return tuple(dict.fromkeys(given_maps(name) for name in names))


def _inference(path: Path) -> "Inference":
    """The settings in a file. What is wrong with the file itself is told before anything heavy is imported."""
    read_plain(path)
    from cooper.reasoning.options import read_inference

    return read_inference(path)


def folder_name(model: str) -> str:
    """A model's name as one folder: `folder_name("runs/a/model/")` is `"runs_a_model"`."""
    return re.sub(r"[^\w.-]+", "_", model.strip("/"))


def _loaded(
    model: str, base: Path | None, device: str | None, quantization: str | None, inference: "Inference | None"
) -> "Cooper":
    """The model with the given settings in place of its own, on the device of this process."""
    from cooper.evaluation.runs.processes import Share
    from cooper.reasoning.cooper import Cooper

    share = Share.here()
    if not share.first:
        quiet_libraries()  # the first process shows them already
    loaded = Cooper.from_pretrained(model, base=base, device_map=share.device(device), quantization=quantization)
    return loaded if inference is None else loaded.with_inference(inference)


def _places(names: list[str], data: list[str]) -> dict[str, str]:
    """Where each benchmark's data are. CooperError: a place for a benchmark that is not asked for."""
    if len(names) == 1 and len(data) == 1 and not data[0].startswith(f"{names[0]}="):
        return {names[0]: data[0]}
    pairs = {text.partition("=")[0]: text.partition("=")[2] for text in data}
    for name in pairs:
        if name not in names and name in data:  # without a name before it
            raise CooperError(f"--data {name} names no benchmark, and several are asked for: write NAME={name}")
        if name not in names:
            raise CooperError(f"--data {name!r} belongs to no benchmark that is asked for; with several write NAME=PATH")
    return pairs


def _judge(url: str, model: str, key: str, out: Path) -> "JudgeSettings | None":
    if not url and not model:
        return None
    if not url or not model:
        raise CooperError("a judge needs both --judge URL and --judge-model NAME")
    from cooper.evaluation.judge.endpoint import JudgeSettings

    return JudgeSettings(url, model, key, cache=out / "judge")


def _show(report: "Report", folder: Path) -> None:
    from cooper.evaluation.report.report import markdown
    from cooper.evaluation.runs.processes import Share
    from cooper.files.arguments import visible

    if Share.here().first:
        typer.echo(visible(markdown(report)))
        typer.echo(f"Report: {folder / 'report.html'}")
