"""What one `cooper eval` does, a job for each name: settings are checked first, then data, then folders, the model last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cooper.errors import CooperError
from cooper.evaluation.benchmarks.catalogue import BENCHMARKS, benchmark_of
from cooper.evaluation.figures.summary import Report
from cooper.evaluation.judge.endpoint import JudgeSettings
from cooper.evaluation.runs.answering import Reasoner
from cooper.evaluation.runs.folder import FILE
from cooper.evaluation.runs.origin import Origin
from cooper.evaluation.suites import depth as measured
from cooper.evaluation.suites import published, scenes
from cooper.evaluation.suites import segmentation as segmented
from cooper.evaluation.suites.rescoring import rescore, settings_of

SCENES = "scenes"
MAPS: Mapping[str, tuple[type[Any], Callable[..., Report]]] = {
    "depth": (measured.DepthSettings, measured.evaluate_depth),
    "segmentation": (segmented.SegmentationSettings, segmented.evaluate_segmentation),
}
SCENE_QUESTIONS = 400  # by default


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest:
    """What all jobs of a command share; the fields are those of the settings of each kind of job."""

    model: str
    modes: tuple[str, ...]
    seed: int
    limit: int | None
    dataset: str
    split: str
    batch: int
    maps: int | None
    traces: int | None
    blind: bool
    true_maps: bool
    judge: JudgeSettings | None
    quiet: bool
    skip_bad: bool
    origin: Origin = Origin()


@dataclass(frozen=True)
class Job:
    """One run that is ready: `read` gives what it asks, `open` takes the folder, `evaluate` needs the model, `rescore` does
    not."""

    name: str
    folder: Path
    settings: Any
    read: Callable[[], Any]
    open: Callable[[Any], Any]
    evaluate: Callable[[Reasoner, Any], Report]

    def rescore(self, judge: JudgeSettings | None) -> Report:
        """Read the kept replies again. CooperError: the job is about maps."""
        if not isinstance(self.settings, published.PublishedSettings):
            return rescored(self.name, self.settings)
        return rescore(replace(self.settings, judge=judge, judged=True))


def rescored(name: str, settings: Any) -> Report:
    """As `Job.rescore`, for scenes."""
    if not isinstance(settings, scenes.ScenesSettings):
        raise CooperError(f"{name} has no replies, so there is nothing to read again (--rescore)")
    return rescore(settings)


def job_of(name: str, folder: Path, place: str, wanted: EvaluationRequest, rescoring: bool = False) -> Job:
    """The job of a name: scenes, depth, segmentation, or a benchmark of the catalogue. CooperError: settings that cannot be."""
    shared: dict[str, Any] = {"model": wanted.model, "out": folder, "seed": wanted.seed, "batch": wanted.batch}
    shared |= {"origin": wanted.origin, "quiet": wanted.quiet, "skip_bad": wanted.skip_bad}
    if name in MAPS:
        kind, evaluate = MAPS[name]
        found = kind(dataset=wanted.dataset, data=Path(place), limit=wanted.limit, **shared)
        if not place:
            raise CooperError(_without_data(name, wanted.dataset))
        return Job(name, folder, found, found.read, found.open, lambda model, asked: evaluate(model, found, asked))
    shared |= {"modes": wanted.modes, "traces": wanted.traces}
    if name == SCENES:
        limit, data = SCENE_QUESTIONS if wanted.limit is None else wanted.limit, Path(place) if place else None
        more: dict[str, Any] = {
            "split": wanted.split,
            "maps": wanted.maps,
            "blind": wanted.blind,
            "true_maps": wanted.true_maps,
        }
        asked = scenes.ScenesSettings(limit=limit, data=data, **more, **shared)
        read = partial(_scenes, asked)
        return Job(name, folder, asked, read, partial(_open_scenes, asked), partial(_evaluate_scenes, asked))
    settings = published.PublishedSettings(
        name=benchmark_of(name).name, data=place, limit=wanted.limit, judge=wanted.judge, judged=rescoring, **shared
    )
    read, opened = partial(published.read_published, settings), partial(published.open_published, settings)
    return Job(name, folder, settings, read, opened, lambda model, asked: published.evaluate_published(model, settings, asked))


def _without_data(name: str, dataset: str) -> str:
    """What to do where the data of a kind of map are not named."""
    if dataset != SCENES:
        return f"{name} on {dataset} needs the folder of the data set: --data {name}=FOLDER"
    made = "cooper scenes render --count 100 --split val --out data/scenes/val"
    return f"{name} on scenes needs a rendered set: `{made}` makes one, then --data {name}=data/scenes/val"


def _scenes(settings: scenes.ScenesSettings) -> scenes.AskedScenes | None:
    """A set that is there is read; one that must be rendered first waits until the folder is taken."""
    return None if settings.data is None else scenes.read_scenes(settings)


def _open_scenes(settings: scenes.ScenesSettings, asked: scenes.AskedScenes | None) -> scenes.AskedScenes:
    return scenes.open_scenes(settings, asked or scenes.read_scenes(settings))


def _evaluate_scenes(settings: scenes.ScenesSettings, model: Reasoner, asked: scenes.AskedScenes) -> Report:
    return scenes.evaluate_scenes(model, settings, asked)


def are_runs(names: Sequence[str]) -> bool:
    """Whether the names given to `--rescore` are folders of runs, and not benchmarks. CooperError: one is neither, or some of
    them are the one and some the other."""
    others = [name for name in names if not (Path(name) / FILE).is_file()]
    if not others:
        return True
    strange = [name for name in names if name not in (*BENCHMARKS, *MAPS, SCENES)]
    for name in strange:
        if name in others:
            what = f"holds no run ({FILE} is missing)" if Path(name).is_dir() else "is no folder"
            raise CooperError(f"--rescore: {name} {what}, and no benchmark has that name")
    if strange:
        raise CooperError(
            f"--rescore takes folders of runs or names of benchmarks: {strange[0]} is a folder, {others[0]} is none"
        )
    return False


def rescore_folder(folder: Path, judge: JudgeSettings | None, skip_bad: bool, quiet: bool) -> Report:
    """Read the replies of the run in a folder again, with its own settings."""
    found = replace(settings_of(folder), skip_bad=skip_bad, quiet=quiet)
    return rescore(replace(found, judge=judge) if isinstance(found, published.PublishedSettings) else found)


def left_out(reports: Mapping[str, Report]) -> Sequence[str]:
    """A line for each report that leaves something out, for the terminal."""
    return [
        f"{name}: {note}" for name, report in reports.items() for note in report.settings.values() if "left out" in str(note)
    ]
