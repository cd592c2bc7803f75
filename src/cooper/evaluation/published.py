"""One run of a published benchmark: answered, scored by rules and, where wanted, by a judge, and reported."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cooper.errors import CooperError
from cooper.evaluation.benchmarks.benchmark_set import BenchmarkSet
from cooper.evaluation.benchmarks.catalogue import read_benchmark
from cooper.evaluation.judge import Judge, JudgeSettings
from cooper.evaluation.judging import Judgement, judge_rows, laid_over, store_judged
from cooper.evaluation.processes import Share
from cooper.evaluation.report import write_report
from cooper.evaluation.rows import open_run
from cooper.evaluation.runner import Item, Plan, Reasoner, answer_all, check_modes
from cooper.evaluation.summary import Report, summarise
from cooper.reasoning.origin import Origin


@dataclass(frozen=True)
class PublishedSettings:
    """One run. `name`: a benchmark of the catalogue; `data`: its folder, file or hub id, "" for the hub's. `limit`: questions,
    bundles kept whole, None for all. `traces`: questions per mode whose traces are kept, None for all. `origin`: what
    answers, for the record."""

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
    share: Share = field(default_factory=Share.here)

    def __post_init__(self) -> None:
        check_modes(self.modes)
        for name in ("limit", "batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise CooperError(f"{name} must be at least 1, got {value}")
        if self.traces is not None and self.traces < 0:
            raise CooperError(f"traces must not be negative, got {self.traces}")

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


def evaluate_published(model: Reasoner, settings: PublishedSettings) -> Report:
    """Answer what is missing, score everything, and write report.json, report.md and report.html into `settings.out`.

    Of several processes only the first asks the judge and writes; the report that the others give back is unjudged.
    CooperError: `out` holds another run, data that cannot be read, or open questions without a judge.
    """
    asked = read_questions(settings)
    items = limited(asked.items, settings.limit)
    share, modes = settings.share, check_modes(settings.modes)
    open_run(settings.out, settings.record, share)
    judge = Judge(settings.judge) if settings.judge is not None and share.first else None
    plan = Plan(modes, settings.seed, settings.batch, settings.out, settings.traces, settings.quiet, share)
    rows = answer_all(model, items, plan)
    found = Judgement()
    if share.first:
        found = judge_rows(rows, items, judge)
        store_judged(settings.out, found.judged, plan.modes)
    told = {**settings.record, "modes": ", ".join(plan.modes), "questions": f"{len(items)} of {len(asked.items)}"}
    told |= {f"note {number}": note for number, note in enumerate(asked.notes, 1)}
    judged = laid_over(rows, found.judged)
    report = summarise(judged, {**told, **found.told}, settings.seed)
    write_report(report, settings.out, share, judged, {item.id: item.question.text for item in items})
    return report


def read_questions(settings: PublishedSettings) -> BenchmarkSet:
    """The questions of a run. CooperError: no such benchmark, data that cannot be read, or open questions without a judge."""
    asked = read_benchmark(settings.name, settings.data)
    if settings.judge is None and any(item.scoring == "judge" for item in asked.items):
        raise CooperError(f"{settings.name} has open answers, which a judge must grade: name one (--judge, --judge-model)")
    return asked


def limited(items: Sequence[Item], limit: int | None) -> list[Item]:
    """The first `limit` items, and the rest of the bundles that they begin."""
    if limit is None:
        return list(items)
    begun = {item.bundle for item in items[:limit]} - {""}
    return [item for place, item in enumerate(items) if place < limit or item.bundle in begun]
