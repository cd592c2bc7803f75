"""What `cooper eval` is asked for, as suites: one for each name, or for each folder of a run that is read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from cooper.errors import CooperError
from cooper.evaluation.benchmarks.catalogue import BENCHMARKS
from cooper.evaluation.figures.summary import Report
from cooper.evaluation.judge.endpoint import JudgeSettings
from cooper.evaluation.runs.folder import FILE, with_given_maps
from cooper.evaluation.runs.settings import RunSettings
from cooper.evaluation.suites.depth import DepthSuite
from cooper.evaluation.suites.published import PublishedSuite
from cooper.evaluation.suites.scenes import ScenesSuite
from cooper.evaluation.suites.segmentation import SegmentationSuite
from cooper.evaluation.suites.suite import QuestionSuite, Suite
from cooper.files.rows import read_object
from cooper.files.values import build

KINDS: Mapping[str, type[Suite]] = {"scenes": ScenesSuite, "depth": DepthSuite, "segmentation": SegmentationSuite}


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest(RunSettings):
    """What a command says of its suites, whatever their kind. A suite takes the settings that it has; None: by default."""

    dataset: str = ""
    split: str = "test"
    maps: int | None = None
    blind: bool = False
    form: int | None = None
    categories: tuple[str, ...] | None = None
    wording: str | None = None
    judge: JudgeSettings | None = None
    judged: bool = False

    def suite(self, name: str) -> Suite:
        """The suite of a name: scenes, depth, segmentation, or a benchmark of the catalogue. CooperError: settings that cannot
        be."""
        kind = KINDS.get(name, PublishedSuite)
        shared = {each.name for each in fields(kind)} & {each.name for each in fields(self)}
        said = {each: getattr(self, each) for each in shared}
        return kind(name=name, **{each: value for each, value in said.items() if value is not None})


def suite_in(folder: Path, *, judge: JudgeSettings | None = None, skip_bad: bool = False, quiet: bool = False) -> QuestionSuite:
    """The suite of the run in a folder, by its `run.json`. CooperError: there is no run of questions."""
    path = folder / FILE
    if not path.is_file():
        raise CooperError(f"{folder} holds no run: {FILE} is missing")
    known = dict(with_given_maps(read_object(path)))
    name = known.get("benchmark")
    if name != "scenes" and name not in BENCHMARKS:
        raise CooperError(f"{path}: benchmark is {name!r}, which has no replies to read again")
    kind = ScenesSuite if name == "scenes" else PublishedSuite
    taken = {each.name for each in fields(kind)} - {"origin", "out"}
    known["form"] = known.get("format")
    said = {key: value for key, value in known.items() if key in taken and value is not None}
    origin = {key: known[key] for key in ("base", "weights", "inference", "quantization") if key in known}
    said |= {"name": name, "out": str(folder), "origin": origin, "skip_bad": skip_bad, "quiet": quiet}
    return build(kind, said if kind is ScenesSuite else {**said, "judged": True, "judge": judge}, str(path))


def are_runs(names: Sequence[str]) -> bool:
    """Whether the names given to `--rescore` are folders of runs, and not benchmarks. CooperError: one is neither, or some of
    them are the one and some the other."""
    others = [name for name in names if not (Path(name) / FILE).is_file()]
    if not others:
        return True
    strange = [name for name in names if name not in (*BENCHMARKS, *KINDS)]
    for name in strange:
        if name in others:
            what = f"holds no run ({FILE} is missing)" if Path(name).is_dir() else "is no folder"
            raise CooperError(f"--rescore: {name} {what}, and no benchmark has that name")
    if strange:
        raise CooperError(
            f"--rescore takes folders of runs or names of benchmarks: {strange[0]} is a folder, {others[0]} is none"
        )
    return False


def left_out(reports: Mapping[str, Report]) -> Sequence[str]:
    """A line for each report that leaves something out, for the terminal."""
    return [
        f"{name}: {note}" for name, report in reports.items() for note in report.settings.values() if "left out" in str(note)
    ]
