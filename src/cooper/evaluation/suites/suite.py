"""What every suite of an evaluation does alike, step by step: read data, take the folder, run, report, read again."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cooper.data.examples import Conventions, Example
from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.evaluation.figures.readers import ReaderFigures
from cooper.evaluation.figures.statistics import Estimate
from cooper.evaluation.figures.summary import Report, summarise
from cooper.evaluation.report.report import write_report
from cooper.evaluation.runs.answering import AnswerRow, Reasoner, Witness
from cooper.evaluation.runs.folder import open_run
from cooper.evaluation.runs.settings import RunSettings, label
from cooper.evaluation.suites.rescoring import not_answered, read_again
from cooper.files.locks import held

MapFigures = Mapping[str, Mapping[str, Estimate]]  # by kind of map


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a run asks of a model: questions, and pictures to draw maps of, which are judged by `conventions`. `told` and
    `notes`: what a reader of its report must know. `digests`: of each question and picture by its id, "" for one that is left
    out. `witness`: what more is kept of a trace, as `answer_all` has it."""

    items: tuple[Item, ...] = ()
    truths: tuple[Example, ...] = ()
    conventions: Conventions = Conventions()
    told: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    digests: Mapping[str, str]
    witness: Witness | None = None


@dataclass(frozen=True, kw_only=True)
class Suite(RunSettings, ABC):
    """One run of a benchmark, by its settings. `cooper eval` calls `read`, then `open`, loads the model, and calls `evaluate`,
    so that whatever can go wrong without the model shows before it is loaded. A kind of suite says how it loads and runs."""

    name: str

    @property
    def benchmark(self) -> str:
        """What the report and the record call it."""
        return self.name

    @property
    def label(self) -> str:
        """Its name among other suites of one command."""
        return label(self.name, self.given_maps)

    @property
    def record(self) -> dict[str, Any]:
        return {"benchmark": self.benchmark, **super().record}

    @abstractmethod
    def load(self) -> Asked:
        """Read the data and check them. CooperError: they cannot be read or asked."""

    @abstractmethod
    def run(self, model: Reasoner, asked: Asked) -> Report:
        """Ask what the open folder lacks, and write the report. Of several processes only the first writes it."""

    def read(self) -> Asked | None:
        """What can be loaded before the folder is taken; None where data must be made in the folder first."""
        return self.load()

    def open(self, asked: Asked | None = None, rescore: bool = False) -> Asked:
        """Make the folder the place of this run, or go on with the run there. CooperError: it holds another one."""
        asked = asked or self.load()
        notes = open_run(self.out, self.record, share=self.share, questions=asked.digests, rescore=rescore)
        return replace(asked, notes=tuple(dict.fromkeys((*asked.notes, *notes))))

    def evaluate(self, model: Reasoner, asked: Asked | None = None) -> Report:
        """Run what is missing, and write report.json, report.md and report.html into `out`. Rows are kept there, so an
        interrupted run goes on where it stopped. `asked`: what `read` or `open` gave.

        CooperError: the data cannot be read, `out` holds another run, or another command holds it.
        """
        with held(self.out, f"cooper eval {self.name}"):
            return self.run(model, self.open(asked))

    def rescore(self) -> Report:
        """Read kept replies again. CooperError: there are none."""
        raise CooperError(f"{self.name} has no replies, so there is nothing to read again (--rescore)")

    def reported(
        self,
        asked: Asked,
        rows: Sequence[AnswerRow] = (),
        maps: MapFigures | None = None,
        readers: tuple[ReaderFigures, ...] = (),
    ) -> Report:
        """The report over these rows and maps, written into the folder."""
        modes = {"modes": ", ".join(dict.fromkeys(row.mode for row in rows))} if rows else {}
        notes = {f"note {number}": note for number, note in enumerate(asked.notes, 1)}
        found = summarise(rows, {**self.record, **modes, **asked.told, **notes})
        report = replace(found, readers=readers, **(maps or {}))
        questions = {item.id: item.question.text for item in asked.items}
        write_report(report, self.out, share=self.share, rows=rows, questions=questions)
        return report


@dataclass(frozen=True, kw_only=True)
class QuestionSuite(Suite):
    """A suite of questions, whose replies are kept and can be read again."""

    @abstractmethod
    def rescored(self, rows: Sequence[AnswerRow], asked: Asked) -> Report:
        """The report over replies that were read again."""

    def rescore(self) -> Report:
        """Read every kept reply again, keep what is read in rows.jsonl, and write the report over the rows that are there; no
        model. CooperError: the folder holds another run or no replies, its questions have changed, or another command holds
        it."""
        with held(self.out, "cooper eval --rescore"):
            asked = self.open(rescore=True)
            rows = read_again(self.out, asked.items)
            notes = (*asked.notes, *not_answered(rows, asked.items), "the replies were read again (--rescore)")
            return self.rescored(rows, replace(asked, notes=notes))
