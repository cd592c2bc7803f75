"""The rows of a run as a table, wrong ones first, each with its question and a link to its trace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cooper.evaluation.runs.answering import AnswerRow
from cooper.evaluation.runs.traces import trace_folder
from cooper.files.html import fragment
from cooper.trace.page import PAGE

VERDICTS = ("wrong", "not scored", "right")  # the order of the table
LONGEST = 160  # characters of a question or a reply; the trace holds the rest


@dataclass(frozen=True)
class _Line:
    """A row as the table shows it; `link` is "" where its trace was not kept."""

    row: AnswerRow
    verdict: str
    link: str
    question: str
    reply: str


def row_table(rows: Sequence[AnswerRow], out: Path, questions: Mapping[str, str] | None = None) -> str:
    """Every row of a run as HTML that a page may hold as it is, "" without rows. The page must lie in `out`; a row whose trace
    was not kept has no link. `questions`: their texts by id, where they are known."""
    if not rows:
        return ""
    ordered = sorted(rows, key=lambda row: VERDICTS.index(verdict_of(row)))
    lines = [_line(row, out, (questions or {}).get(row.id, "")) for row in ordered]
    counts = {verdict: sum(line.verdict == verdict for line in lines) for verdict in VERDICTS}
    return fragment("evaluation/templates/rows.html", lines=lines, counts=counts, asked=bool(questions))


def verdict_of(row: AnswerRow) -> str:
    """One of `VERDICTS`."""
    if row.unscored:
        return "not scored"
    return "right" if row.correct else "wrong"


def _line(row: AnswerRow, out: Path, question: str) -> _Line:
    page = trace_folder(out, row.mode, row.id) / PAGE
    link = quote(page.relative_to(out).as_posix()) if page.is_file() else ""
    return _Line(row, verdict_of(row), link, _short(question), _short(row.reply))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
