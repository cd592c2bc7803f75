"""What rules could not score, scored by a judge: open questions are graded, unreadable replies are read again.

What the judge said is kept in `judged.jsonl` beside the rows of the run, which stay as the rules scored them. Whoever reads a
run lays the one over the other, so that a comparison counts what the report counted.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.evaluation.judge.endpoint import Verdict
from cooper.evaluation.judge.judge import Judge
from cooper.evaluation.judge.prompts import (
    PROMPT_VERSION,
    extract_choice_prompt,
    extract_number_prompt,
    extract_yes_no_prompt,
    grade_prompt,
)
from cooper.evaluation.replies.verdicts import (
    read_extracted_choice,
    read_extracted_number,
    read_extracted_yes_no,
    read_grade,
)
from cooper.evaluation.runs.answering import AnswerRow, score_reply
from cooper.files.rows import read_lines, write_whole

RIGHT = 0.5  # the grade from which an open answer counts as right
FILE = "judged.jsonl"
FAULTS = "judge faults"  # under which a report's settings say why rows stay unscored


@dataclass(frozen=True)
class Judged:
    """What a judge made of one row. `verdict`: its words, None without a reply; `error`: why the row stays unscored, ""
    where it does not. `judge` and `prompt_version` say who was asked, and how."""

    id: str
    mode: str
    correct: bool
    value: float
    extracted: str
    unscored: bool
    verdict: str | None
    error: str
    judge: str
    prompt_version: str

    def over(self, row: AnswerRow) -> AnswerRow:
        """The row as the judge scored it."""
        return replace(row, correct=self.correct, value=self.value, extracted=self.extracted, unscored=self.unscored)


@dataclass(frozen=True)
class Case:
    """A row that needs the judge, with its question."""

    row: AnswerRow
    item: Item

    @property
    def prompt(self) -> str:
        question, reply = self.item.question.text, self.row.reply
        match self.item.type:
            case "Text":
                return grade_prompt(question, self.item.truth, reply)
            case "MCQ":
                return extract_choice_prompt(question, self.item.choices, reply)
            case "YN":
                return extract_yes_no_prompt(question, reply)
        return extract_number_prompt(question, reply)

    def read(self, said: str) -> str | None:
        """The grade, or the answer that the judge found in the reply; "" where it found none, None where it says nothing of
        use."""
        match self.item.type:
            case "Text":
                grade = read_grade(said)
                return None if grade is None else repr(grade)
            case "MCQ":
                return read_extracted_choice(said, self.item.choices)
            case "YN":
                return read_extracted_yes_no(said)
        number = read_extracted_number(said)
        if number is not None:
            return f"{number:.12g}"
        return "" if "none" in said.lower() else None

    def judged(self, verdict: Verdict, judge: str) -> Judged:
        """What the judge of that name makes of the row; unscored where it said nothing that can be used."""
        row, said = self.row, verdict.reply
        read = None if said is None else self.read(said)
        error = ""
        if read is None:
            error = verdict.error if said is None else f"the judge's reply could not be read: {said[:100]!r}"
            row = replace(row, unscored=True)
        elif self.item.type == "Text":
            row = replace(row, correct=float(read) >= RIGHT, value=float(read), extracted=f"{float(read):g}", unscored=False)
        else:
            scored = score_reply(self.item, f"<answer>{read}</answer>")
            row = replace(row, correct=scored.correct, value=scored.value, extracted=scored.extracted)
        kept = {name: getattr(row, name) for name in ("id", "mode", "correct", "value", "extracted", "unscored")}
        return Judged(**kept, verdict=said, error=error, judge=judge, prompt_version=PROMPT_VERSION)


@dataclass(frozen=True)
class Judgement:
    """All that was judged of a run, and what its report tells of it."""

    judged: tuple[Judged, ...] = ()
    told: Mapping[str, str] = field(default_factory=dict)


def judge_rows(rows: Sequence[AnswerRow], items: Sequence[Item], judge: Judge | None) -> Judgement:
    """Score what rules could not, as far as can be; nothing without a judge. CooperError: open questions without one."""
    by_id = {item.id: item for item in items}
    cases = [
        Case(row, by_id[row.id])
        for row in rows
        if row.unscored or (row.extracted == "" and by_id[row.id].type != "Unanswerable")  # that is no answer, in any words
    ]
    if judge is None:
        if any(case.item.type == "Text" for case in cases):
            raise CooperError("these questions have open answers, which a judge must grade: name one (--judge, --judge-model)")
        return Judgement()
    prompts = [case.prompt for case in cases]
    verdicts = judge.ask_all(prompts, [case.read for case in cases])
    name = judge.settings.model
    judged = tuple(case.judged(verdict, name) for case, verdict in zip(cases, verdicts, strict=True))
    counts, spent = judge.counts, dict(zip(prompts, verdicts, strict=True)).values()
    told = {
        "judge": f"{name}, prompts of version {PROMPT_VERSION}: {counts.asked} asked, {counts.cached} kept from before, "
        f"{counts.unreached} not reached, {counts.tokens_in} tokens in, {counts.tokens_out} out; with the kept ones "
        f"{sum(verdict.tokens_in for verdict in spent)} in, {sum(verdict.tokens_out for verdict in spent)} out"
    }
    return Judgement(judged, told | _faults(judged))


def _faults(judged: Sequence[Judged]) -> dict[str, str]:
    failed = [each for each in judged if each.unscored]
    if not failed:
        return {}
    silent = sum(each.verdict is None for each in failed)
    counted = f"{silent} rows without a reply, {len(failed) - silent} with one that could not be read"
    return {FAULTS: f"{counted}; the first: {failed[0].error}"}


def laid_over(rows: Iterable[AnswerRow], judged: Iterable[Judged]) -> list[AnswerRow]:
    """The rows, those that a judge scored as it did."""
    found = {(each.mode, each.id): each for each in judged}
    return [found[row.mode, row.id].over(row) if (row.mode, row.id) in found else row for row in rows]


def store_judged(folder: Path, judged: Sequence[Judged], modes: Collection[str]) -> None:
    """Keep them in the run's folder, in place of all that was judged in these modes before: the file holds what the last
    report of each mode counted."""
    path = folder / FILE
    whole = [*(each for each in read_judged(folder) if each.mode not in modes), *judged]
    if whole or path.is_file():
        write_whole(path, "".join(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in whole))


def read_judged(folder: Path) -> list[Judged]:
    """What was judged of the run in a folder; [] if nothing was. CooperError: a row that is none of these."""
    found = []
    for line in read_lines(folder / FILE):
        try:
            judged = line.as_a(Judged)
        except CooperError as error:
            raise CooperError(f"{folder / FILE} does not hold what a judge said: {error}") from None
        if not 0 <= judged.value <= 1:
            raise CooperError(f"{line.place}: value is {judged.value}; a grade lies in 0..1")
        found.append(judged)
    return found
