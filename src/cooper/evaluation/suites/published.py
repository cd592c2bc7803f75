"""One run of a published benchmark: answered, scored by rules and, where wanted, by a judge, and reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cooper.data.digests import item_digest
from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.evaluation.benchmarks.catalogue import benchmark_of, read_benchmark
from cooper.evaluation.benchmarks.items import BadPicturesError, BenchmarkSet
from cooper.evaluation.figures.summary import Report
from cooper.evaluation.judge.endpoint import JudgeSettings
from cooper.evaluation.judge.judge import Judge
from cooper.evaluation.judge.verdicts import Judgement, judge_rows, laid_over, read_judged, store_judged
from cooper.evaluation.runs.answering import AnswerRow, Reasoner, answer_all, check_items
from cooper.evaluation.runs.folder import left_out_notes
from cooper.evaluation.runs.swaps import check_swaps
from cooper.evaluation.suites.suite import Asked, QuestionSuite


@dataclass(frozen=True, kw_only=True)
class PublishedSuite(QuestionSuite):
    """`name`: a benchmark of the catalogue; `data`: "" for the hub's. `limit`: questions, bundles kept whole. `judged`: grades
    of an earlier run stand in the folder, so open questions need no judge."""

    judge: JudgeSettings | None = None
    judged: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        benchmark_of(self.name)
        if self.given_maps == "true":
            raise CooperError(f"the true maps of {self.name} are not known: --given-maps true needs scenes")

    def load(self) -> Asked:
        found, faults = self._found()
        items = limited(found.items, self.limit)
        if self.skip_bad:
            faults = {**{item.id: faults[item.id] for item in items if item.id in faults}, **_undecodable(items, faults)}
        digests = {item.id: "" if item.id in faults else item_digest(item) for item in items}
        kept = [item for item in items if item.id not in faults]
        if not kept:
            raise CooperError(
                f"none of the {len(items)} questions of {self.name} can be asked; the first: {next(iter(faults.values()))}"
            )
        torn = {item.bundle for item in items if item.id in faults}
        kept = [replace(item, bundle="") if item.bundle in torn else item for item in kept]  # a pair of one is no pair
        check_items(kept)
        check_swaps(kept, self)
        told = {"questions": f"{len(kept)} of {len(found.items)}"}
        return Asked(items=tuple(kept), told=told, notes=(*found.notes, *left_out_notes(faults)), digests=digests)

    def _found(self) -> tuple[BenchmarkSet, Mapping[str, str]]:
        try:
            found, faults = read_benchmark(self.name, self.data), {}
        except BadPicturesError as bad:
            if not self.skip_bad:
                raise CooperError(f"{bad} (--skip-bad leaves out questions whose pictures cannot be read)") from None
            found, faults = bad.found, bad.faults
        if self.judge is None and not self.judged and any(item.scoring == "judge" for item in found.items):
            raise CooperError(f"{self.name} has open answers, which a judge must grade: name one (--judge, --judge-model)")
        return found, faults

    def run(self, model: Reasoner, asked: Asked) -> Report:
        """As `Suite.run`. Only the first process asks the judge; the report that the others give back is unjudged."""
        judge = Judge(self.judge) if self.judge is not None and self.share.first else None
        rows = answer_all(model, asked.items, self)
        return (
            self._judged(rows, asked, judge_rows(rows, asked.items, judge)) if self.share.first else self.reported(asked, rows)
        )

    def rescored(self, rows: Sequence[AnswerRow], asked: Asked) -> Report:
        """Grades of a judge stay; what rules could not read is asked of a judge again only where the settings name one."""
        if self.judge is not None:
            return self._judged(rows, asked, judge_rows(rows, asked.items, Judge(self.judge)))
        open_rows = {(row.mode, row.id) for row in rows if row.unscored or row.extracted == ""}
        kept = tuple(each for each in read_judged(self.out) if (each.mode, each.id) in open_rows)
        return self._judged(rows, asked, Judgement(kept, {"judge": f"{kept[0].judge}, kept from before"} if kept else {}))

    def _judged(self, rows: Sequence[AnswerRow], asked: Asked, found: Judgement) -> Report:
        store_judged(self.out, found.judged, {row.mode for row in rows})
        return self.reported(replace(asked, told={**asked.told, **found.told}), laid_over(rows, found.judged))


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


def limited(items: Sequence[Item], limit: int | None) -> list[Item]:
    """The first `limit` items, and the rest of the bundles that they begin."""
    if limit is None:
        return list(items)
    begun = {item.bundle for item in items[:limit]} - {""}
    return [item for place, item in enumerate(items) if place < limit or item.bundle in begun]
