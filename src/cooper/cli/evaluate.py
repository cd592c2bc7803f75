"""`cooper eval`: how well a model answers and draws, on rendered scenes and on published benchmarks; `cooper compare`."""

import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cooper.errors import CooperError

if TYPE_CHECKING:
    from cooper.evaluation.judge import JudgeSettings
    from cooper.evaluation.map_run import MapSettings
    from cooper.evaluation.summary import Report
    from cooper.reasoning.cooper import Cooper
    from cooper.reasoning.options import Inference

RUNS = Path("runs/eval")  # where results go that have no folder of their own
MAPS = ("depth", "segmentation")  # kinds of map that are compared with a data set
OutOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of rows and reports (one each for several), by default runs/eval/NAME-MODEL; a broken run goes on."
    ),
]
TracesOption = Annotated[int | None, typer.Option(help="Questions per mode whose traces are kept: by default all, 0 for none.")]
NamesArgument = Annotated[list[str], typer.Argument(help="scenes, depth, segmentation, or published sets: mmvp, sibench, ...")]
TrueMapsOption = Annotated[bool, typer.Option("--true-maps", help="Scenes: hand over the true map where one is asked for.")]
MOST_UNSCORED = 0.01  # of all rows, beyond which a run has failed


def evaluate(
    names: NamesArgument,
    out: OutOption = None,
    model: Annotated[str, typer.Option(help="nano, a directory, or a hub id.")] = "nano",
    mode: Annotated[
        str, typer.Option(help="Modes, separated by commas: interleaved, perception, text, direct.")
    ] = "interleaved,perception,text,direct",
    seed: Annotated[int, typer.Option(help="Seed of the model, and of fresh scenes.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Number of questions or pictures; scenes: 400 by default.")] = None,
    dataset: Annotated[
        str, typer.Option(help="With `depth`: nyu, kitti, hypersim, vkitti, scenes; with `segmentation`: ade20k, scenes.")
    ] = "",
    data: Annotated[list[str] | None, typer.Option(help="Folder, file or hub id of the data; NAME=PATH where several.")] = None,
    split: Annotated[str, typer.Option(help="Split of fresh scenes: test or compositional.")] = "test",
    batch: Annotated[int, typer.Option(help="Questions put to the model at once.")] = 16,
    maps: Annotated[int | None, typer.Option(help="Scenes to draw depth and segmentation of; all by default.")] = None,
    traces: TracesOption = None,
    blind: Annotated[bool, typer.Option("--blind", help="Show grey scenes instead: the score of not looking.")] = False,
    true_maps: TrueMapsOption = False,
    base: Annotated[Path | None, typer.Option(help="Directory with what bare published weights lack.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, ...; the CPU by default.")] = None,
    inference: Annotated[Path | None, typer.Option(help="YAML of sampling, drawing and max_turns.")] = None,
    judge: Annotated[str, typer.Option(help="OpenAI-compatible address of a judge for what rules cannot score.")] = "",
    judge_model: Annotated[str, typer.Option(help="The judge's name there.")] = "",
    judge_key: Annotated[str, typer.Option(help="Environment variable, or line of .env, with its key.")] = "OPENAI_API_KEY",
    as_json: Annotated[bool, typer.Option("--json", help="Print the reports as JSON.")] = False,
) -> None:
    """Answer questions, draw maps, and report accuracy with intervals, map usage and map quality. Under torchrun, shared."""
    from cooper.evaluation.benchmarks.scenes import ScenesSettings, evaluate_scenes
    from cooper.evaluation.published import PublishedSettings, evaluate_published, read_questions
    from cooper.reasoning.options import read_inference
    from cooper.reasoning.origin import Origin

    modes = tuple(part.strip() for part in mode.split(",") if part.strip())
    places, asked = _places(names, data or []), _judge(judge, judge_model, judge_key, out or RUNS)
    _check_maps(names, dataset, places)
    _check_judge(names, asked)
    changed = None if inference is None else read_inference(inference)
    origin, folders = Origin.of(model, base, changed), _folders(names, out, model, dataset)
    runs: dict[str, Callable[[Cooper], Report]] = {}  # all are made ready before the model is loaded: mistakes show at once
    for name, folder in folders.items():
        place = places.get(name, "")
        if name == "scenes":
            where, count = Path(place) if place else None, 400 if limit is None else limit
            options = (seed, count, where, split, batch, maps, traces, blind, true_maps, origin, as_json)
            runs[name] = partial(evaluate_scenes, settings=ScenesSettings(model, modes, folder, *options))
        elif name in MAPS:
            kind, evaluate_maps = _map_evaluation(name)
            settings = kind(model, dataset, Path(place), folder, limit, batch, seed, origin, as_json)
            runs[name] = partial(evaluate_maps, settings=settings)
        else:
            settings = PublishedSettings(model, name, modes, folder, place, limit, batch, seed, traces, origin, asked, as_json)
            read_questions(settings)
            runs[name] = partial(evaluate_published, settings=settings)
    loaded, reports = _loaded(model, base, device, changed), {}
    for name, evaluated in runs.items():
        reports[name] = evaluated(loaded)
        if not as_json:
            _show(reports[name], folders[name])
    _conclude(reports, as_json)


def _map_evaluation(name: str) -> "tuple[type[MapSettings], Callable[..., Report]]":
    """What evaluates one kind of map: its settings and its function."""
    from cooper.evaluation.measured import DepthSettings, evaluate_depth
    from cooper.evaluation.segmented import SegmentationSettings, evaluate_segmentation

    return {"depth": (DepthSettings, evaluate_depth), "segmentation": (SegmentationSettings, evaluate_segmentation)}[name]


def _check_maps(names: list[str], dataset: str, places: dict[str, str]) -> None:
    """Before a model is loaded. CooperError: the data set of maps is not named, unknown, or not there."""
    for name in names:
        if name in MAPS:
            settings = _map_evaluation(name)[0]("", dataset, Path(places.get(name, "")), Path())
            if not places.get(name):
                raise CooperError(f"{name} on {dataset} needs the folder of the data set (--data)")
            settings.check_folder()


def _check_judge(names: Sequence[str], judge: "JudgeSettings | None") -> None:
    """CooperError: a judge that nothing would ask."""
    if judge is not None and all(name == "scenes" or name in MAPS for name in names):
        raise CooperError(f"a judge scores published benchmarks, and {', '.join(names)} needs none: leave --judge away")


def _conclude(reports: Mapping[str, "Report"], as_json: bool) -> None:
    """Print the JSON that is asked for. CooperError: too much could not be scored. Of several processes only the first does."""
    from cooper.evaluation.judging import FAULTS
    from cooper.evaluation.processes import Share
    from cooper.evaluation.report import report_json

    if not Share.here().first:
        return
    if as_json:
        found = {name: report_json(report) for name, report in reports.items()}
        typer.echo(json.dumps(found if len(found) > 1 else next(iter(found.values()))))
    failed = [name for name, report in reports.items() if report.unscored_share > MOST_UNSCORED]
    if failed:
        why = reports[failed[0]].settings.get(FAULTS, "the judge did not reply")
        raise CooperError(f"more than 1 % of the rows of {', '.join(failed)} could not be scored: {why}")


def _folders(names: list[str], out: Path | None, model: str, dataset: str) -> dict[str, Path]:
    """Where each benchmark's run is; a place that the user did not name is told."""
    from cooper.evaluation.processes import Share

    if out is not None:
        return {name: out / name if len(names) > 1 else out for name in names}
    whole = {name: f"{name}-{dataset}" if name in MAPS else name for name in names}
    folders = {name: RUNS / f"{whole[name]}-{folder_name(model)}" for name in names}
    if Share.here().first:
        typer.echo(f"Results go to {', '.join(map(str, folders.values()))}", err=True)
    return folders


def folder_name(model: str) -> str:
    """A model's name as one folder: `folder_name("runs/a/model/")` is `"runs_a_model"`."""
    return re.sub(r"[^\w.-]+", "_", model.strip("/"))


def _loaded(model: str, base: Path | None, device: str | None, inference: "Inference | None") -> "Cooper":
    """The model with the given settings in place of its own, on the device of this process."""
    from cooper.evaluation.processes import Share
    from cooper.reasoning.cooper import Cooper

    share = Share.here()
    if not share.first:
        _silence()
    loaded = Cooper.from_pretrained(model, base=base, device_map=share.device(device))
    return loaded if inference is None else loaded.with_inference(inference)


def _silence() -> None:
    """No warnings and bars of loading: the first process shows them already."""
    from transformers.utils import logging

    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _places(names: list[str], data: list[str]) -> dict[str, str]:
    """Where each benchmark's data are. CooperError: a place for a benchmark that is not asked for."""
    if len(names) == 1 and len(data) == 1 and not data[0].startswith(f"{names[0]}="):
        return {names[0]: data[0]}
    pairs = {text.partition("=")[0]: text.partition("=")[2] for text in data}
    for name in pairs:
        if name not in names:
            raise CooperError(f"--data {name!r} belongs to no benchmark that is asked for; with several write NAME=PATH")
    return pairs


def _judge(url: str, model: str, key: str, out: Path) -> "JudgeSettings | None":
    if not url and not model:
        return None
    if not url or not model:
        raise CooperError("a judge needs both --judge URL and --judge-model NAME")
    from cooper.evaluation.judge import JudgeSettings

    return JudgeSettings(url, model, key, cache=out / "judge")


def _show(report: "Report", folder: Path) -> None:
    from cooper.evaluation.processes import Share
    from cooper.evaluation.report import markdown

    if Share.here().first:
        typer.echo(markdown(report))
        typer.echo(f"Report: {folder / 'report.html'}")


def compare(
    first: Annotated[str, typer.Argument(help="A run's folder, or FOLDER:MODE.")],
    second: Annotated[str, typer.Argument(help="The run it is compared with, likewise.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Compare two runs over the rows that both have: paired 95 % intervals and McNemar's test, over all and per category."""
    from cooper.evaluation.comparison import compare_runs, comparison_json
    from cooper.evaluation.report import comparison_table

    found = compare_runs(first, second)
    if as_json:
        typer.echo(json.dumps([comparison_json(each) for each in found]))
    else:
        typer.echo("\n".join(comparison_table(each).markdown() for each in found))
