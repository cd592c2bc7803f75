"""One run of a published benchmark: answered, scored by rules and, where wanted, by a judge, and reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cooper.data.digests import item_digest
from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.evaluation.benchmarks.benchmark_set import BadPicturesError, BenchmarkSet
from cooper.evaluation.benchmarks.catalogue import read_benchmark
from cooper.evaluation.figures.summary import Report, summarise
from cooper.evaluation.judge.endpoint import JudgeSettings
from cooper.evaluation.judge.judge import Judge
from cooper.evaluation.judge.verdicts import Judgement, judge_rows, laid_over, store_judged
from cooper.evaluation.report.report import write_report
from cooper.evaluation.runs.answering import AnswerRow, Reasoner, RunPlan, answer_all, check_items, check_modes
from cooper.evaluation.runs.folder import left_out_notes, open_run
from cooper.evaluation.runs.origin import Origin
from cooper.evaluation.runs.processes import Share
from cooper.files.arguments import seed_of
from cooper.files.locks import held


@dataclass(frozen=True)
class PublishedSettings:
    """One run. `name`: a benchmark of the catalogue; `data`: its folder, file or hub id, "" for the hub's. `limit`: questions,
    bundles kept whole, None for all. `traces`: questions per mode whose traces are kept, None for all. `origin`: what
    answers, for the record. `skip_bad`: questions whose pictures cannot be read are left out and counted. `judged`: grades of
    an earlier run stand in the folder, so open questions need no judge."""

    model: str
    name: str
    modes: tuple[str, ...]
    out: Path
    data: str = ""
    limit: int | None = None
    batch: int = 16
    seed: int = 0
    traces: int | None = None
    origin: Origin = Origin()
    judge: JudgeSettings | None = None
    quiet: bool = False
    skip_bad: bool = False
    judged: bool = False
    share: Share = field(default_factory=Share.here)

    def __post_init__(self) -> None:
        check_modes(self.modes)
        for name in ("limit", "batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise CooperError(f"{name} must be at least 1, got {value}")
        if self.traces is not None and self.traces < 0:
            raise CooperError(f"traces must not be negative, got {self.traces}")
        seed_of(self.seed, "seed")

    @property
    def record(self) -> dict[str, Any]:
        """What makes two runs the same run. Modes, judge, batch size and kept traces may change."""
        return {
            "benchmark": self.name,
            "model": self.model,
            "seed": self.seed,
            "limit": self.limit,
            "data": self.data,
            **self.origin.record,
        }


@dataclass(frozen=True)
class AskedBenchmark:
    """What a run asks: its questions, of how many, what a reader must know, and the digest of each question by its id."""

    items: tuple[Item, ...]
    total: int
    notes: tuple[str, ...]
    digests: Mapping[str, str]


def read_published(settings: PublishedSettings) -> AskedBenchmark:
    """Read the questions and check them. CooperError: no such benchmark, data that cannot be read, or open questions without a
    judge."""
    found, faults = _read(settings)
    items, digests = limited(found.items, settings.limit), {}
    if settings.skip_bad:
        faults = {**{item.id: faults[item.id] for item in items if item.id in faults}, **_undecodable(items, faults)}
    for item in items:
        digests[item.id] = "" if item.id in faults else item_digest(item)
    kept = [item for item in items if item.id not in faults]
    if not kept:
        raise CooperError(
            f"none of the {len(items)} questions of {settings.name} can be asked; the first: {next(iter(faults.values()))}"
        )
    torn = {item.bundle for item in items if item.id in faults}
    kept = [replace(item, bundle="") if item.bundle in torn else item for item in kept]  # a pair of one is no pair
    check_items(kept)
    return AskedBenchmark(tuple(kept), len(found.items), (*found.notes, *left_out_notes(faults)), digests)


def open_published(settings: PublishedSettings, asked: AskedBenchmark, rescore: bool = False) -> AskedBenchmark:
    """Make the folder the place of this run, or go on with the run there. CooperError: it holds another one."""
    notes = open_run(settings.out, settings.record, settings.share, asked.digests, rescore)
    return replace(asked, notes=tuple(dict.fromkeys((*asked.notes, *notes))))


def _read(settings: PublishedSettings) -> tuple[BenchmarkSet, Mapping[str, str]]:
    try:
        found, faults = read_benchmark(settings.name, settings.data), {}
    except BadPicturesError as bad:
        if not settings.skip_bad:
            raise CooperError(f"{bad} (--skip-bad leaves out questions whose pictures cannot be read)") from None
        found, faults = bad.found, bad.faults
    if settings.judge is None and not settings.judged and any(item.scoring == "judge" for item in found.items):
        raise CooperError(f"{settings.name} has open answers, which a judge must grade: name one (--judge, --judge-model)")
    return found, faults


def _undecodable(items: Sequence[Item], known: Mapping[str, str]) -> dict[str, str]:
    """Questions with a picture that cannot be decoded, by id with the reason."""
    found = {}
    for item in items:
        if item.id not in known:
            try:
                item.question.opened()
            except CooperError as error:
                found[item.id] = str(error)
    return found


def evaluate_published(model: Reasoner, settings: PublishedSettings, asked: AskedBenchmark | None = None) -> Report:
    """Answer what is missing, score everything, and write report.json, report.md and report.html into `settings.out`.

    `asked`: what `read_published` gave. Of several processes only the first asks the judge and writes; the report that the
    others give back is unjudged. CooperError: the data cannot be read, `out` holds another run, or another command holds it.
    """
    asked = asked or read_published(settings)
    with held(settings.out, f"cooper eval {settings.name}"):
        asked = open_published(settings, asked)
        plan = plan_of(settings)
        judge = Judge(settings.judge) if settings.judge is not None and settings.share.first else None
        rows = answer_all(model, asked.items, plan)
        found = Judgement()
        if settings.share.first:
            found = judge_rows(rows, asked.items, judge)
            store_judged(settings.out, found.judged, plan.modes)
        return reported(rows, found, settings, asked, plan.modes)


def plan_of(settings: PublishedSettings) -> RunPlan:
    """How the run goes."""
    modes, share = check_modes(settings.modes), settings.share
    return RunPlan(modes, settings.seed, settings.batch, settings.out, settings.traces, settings.quiet, share)


def reported(
    rows: Sequence[AnswerRow], found: Judgement, settings: PublishedSettings, asked: AskedBenchmark, modes: Sequence[str]
) -> Report:
    """The report over these rows, written into the folder."""
    told = {**settings.record, "modes": ", ".join(modes), "questions": f"{len(asked.items)} of {asked.total}"}
    told |= {f"note {number}": note for number, note in enumerate(asked.notes, 1)}
    judged = laid_over(rows, found.judged)
    report = summarise(judged, {**told, **found.told})
    write_report(report, settings.out, settings.share, judged, {item.id: item.question.text for item in asked.items})
    return report


def limited(items: Sequence[Item], limit: int | None) -> list[Item]:
    """The first `limit` items, and the rest of the bundles that they begin."""
    if limit is None:
        return list(items)
    begun = {item.bundle for item in items[:limit]} - {""}
    return [item for place, item in enumerate(items) if place < limit or item.bundle in begun]
