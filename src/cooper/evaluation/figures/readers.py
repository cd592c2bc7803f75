"""What drawn maps hold, what the model reads from them, and what it says in words, over the same questions."""

from collections.abc import Sequence
from dataclasses import dataclass

from cooper.evaluation.figures.pairing import by_category
from cooper.evaluation.figures.statistics import Estimate, grouped_mean
from cooper.evaluation.maps.readers import ReaderRow
from cooper.evaluation.runs.answering import AnswerRow

ALL = "mean of these"


@dataclass(frozen=True)
class ReaderFigures:
    """Accuracy in one category over the questions for which depth was drawn in `mode`: of a perfect `reader` of those maps, of
    the `model`, and of its answers in the mode text, `words`, as far as it has given any."""

    mode: str
    category: str
    reader: Estimate
    model: Estimate
    words: Estimate


@dataclass(frozen=True)
class _Triple:
    reader: bool
    model: AnswerRow
    words: AnswerRow | None


def reader_figures(readers: Sequence[ReaderRow], rows: Sequence[AnswerRow]) -> list[ReaderFigures]:
    """Figures of every category, and the mean over the categories of each mode."""
    answers = {(row.mode, row.id): row for row in rows if not row.unscored}
    found: list[ReaderFigures] = []
    for mode in dict.fromkeys(each.mode for each in readers):
        read = [each for each in readers if each.mode == mode and (mode, each.id) in answers]
        triples = [_Triple(each.correct, answers[mode, each.id], answers.get(("text", each.id))) for each in read]
        asked = [each.model for each in triples]
        found += [_figures(mode, name, part) for name, part in by_category(asked, triples, list).items()]
        if triples:
            found.append(_figures(mode, ALL, triples))
    return found


def _figures(mode: str, category: str, triples: Sequence[_Triple]) -> ReaderFigures:
    said = [each.words for each in triples if each.words is not None]
    groups = [each.model.category for each in triples]
    return ReaderFigures(
        mode,
        category,
        reader=grouped_mean([float(each.reader) for each in triples], groups),
        model=grouped_mean([float(each.model.correct) for each in triples], groups),
        words=grouped_mean([float(row.correct) for row in said], [row.category for row in said]),
    )
