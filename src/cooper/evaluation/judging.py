"""What rules could not score, scored by a judge: open questions are graded, unreadable replies are read again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cooper.errors import CooperError
from cooper.evaluation.judge import Judge, Verdict
from cooper.evaluation.judge_prompts import (
    extract_choice_prompt,
    extract_number_prompt,
    extract_yes_no_prompt,
    grade_prompt,
    read_extracted_choice,
    read_extracted_number,
    read_extracted_yes_no,
    read_grade,
)
from cooper.evaluation.runner import AnswerRow, Item, score_reply

RIGHT = 0.5  # the grade from which an open answer counts as right


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

    def judged(self, verdict: Verdict) -> AnswerRow:
        """The row with what the judge said; unscored where it said nothing that can be used."""
        if self.item.type == "Text":
            grade = read_grade(verdict.reply)
            if grade is None:
                return replace(self.row, unscored=True)
            return replace(self.row, correct=grade >= RIGHT, value=grade, extracted=f"{grade:g}", unscored=False)
        read = self._read(verdict.reply)
        if read is None:
            return replace(self.row, unscored=True)
        scored = score_reply(self.item, f"<answer>{read}</answer>")
        return replace(self.row, correct=scored.correct, value=scored.value, extracted=scored.extracted)

    def _read(self, reply: str | None) -> str | None:
        """What the judge read in the reply; "" where it says there is no answer in it, None where it says nothing of use."""
        if self.item.type == "MCQ":
            return read_extracted_choice(reply, self.item.choices)
        if self.item.type == "YN":
            return read_extracted_yes_no(reply)
        number = read_extracted_number(reply)
        if number is not None:
            return f"{number:.12g}"
        return "" if reply is not None and "none" in reply.lower() else None


def judge_rows(rows: Sequence[AnswerRow], items: Sequence[Item], judge: Judge | None) -> list[AnswerRow]:
    """The rows, scored as far as can be. Without a judge they come back as they are.

    CooperError: open questions without a judge.
    """
    by_id = {item.id: item for item in items}
    cases = [Case(row, by_id[row.id]) for row in rows if row.unscored or row.extracted == ""]
    if judge is None:
        if any(case.item.type == "Text" for case in cases):
            raise CooperError("these questions have open answers, which a judge must grade: name one (--judge, --judge-model)")
        return list(rows)
    verdicts = judge.ask_all([case.prompt for case in cases])
    judged = {(case.row.mode, case.row.id): case.judged(verdict) for case, verdict in zip(cases, verdicts, strict=True)}
    return [judged.get((row.mode, row.id), row) for row in rows]
