"""Models over the questions that all of them answered: which rows count, and by how much one model is better than another.

A model may be trained from several seeds. What it earned at a question is the mean over its seeds, and intervals redraw
questions, so that two seeds of one question do not count as two questions. Q: questions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from cooper.data.item import GROUPS
from cooper.errors import CooperError
from cooper.evaluation.figures.statistics import Difference, Estimate, bounded_mean, paired_difference
from cooper.evaluation.runs.answering import AnswerRow

MEANS = {"spatial": ("spatial", "distance_size"), "distance_size": ("distance_size",), "general": ("general",)}
"""Which groups of categories each mean covers: distances and sizes are spatial too, and have a mean of their own."""

_Value = TypeVar("_Value")
_Figure = TypeVar("_Figure")


@dataclass(frozen=True)
class Model:
    """One model: for each seed the rows of its run in one mode."""

    name: str
    seeds: tuple[Sequence[AnswerRow], ...]

    @property
    def questions(self) -> int:
        """How many it was asked."""
        return len({row.id for rows in self.seeds for row in rows})

    def earned(self, what: Literal["correct", "value"]) -> list[float]:
        """What it earned at each question, of rows that are in order: the mean over its seeds."""
        return np.mean([[float(getattr(row, what)) for row in rows] for rows in self.seeds], axis=0).tolist()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Accuracy of `first` minus `second` over the same rows: all of them, means over categories as in `MEANS`, and each
    category. `value` and `values`: the same of what rows earned, over all and by category. `first_alone` and `second_alone`:
    rows that are not compared, because the other has no such row or one of the two is not scored."""

    first: str
    second: str
    first_alone: int
    second_alone: int
    all_rows: Difference
    means: Mapping[str, Difference]
    categories: Mapping[str, Difference]
    value: Estimate
    values: Mapping[str, Estimate]

    @property
    def note(self) -> str:
        """How many rows are not compared, "" if all are."""
        if not self.first_alone and not self.second_alone:
            return ""
        return (
            f"Not compared: {self.first_alone} rows of {self.first} and {self.second_alone} of {self.second}, which have no "
            "scored row of the same question in the other."
        )


def over_common(models: Sequence[Model]) -> list[Model]:
    """The models over the questions that every run of all has scored, in one order. CooperError: one id for two questions."""
    runs = [(model.name, rows) for model in models for rows in model.seeds]
    (first, asked), *others = runs
    truths = {row.id: row.truth for row in asked}
    for name, rows in others:
        for row in rows:
            if truths.get(row.id, row.truth) != row.truth:
                raise CooperError(
                    f"{first} and {name} did not answer the same questions: the right answer to {row.id} is "
                    f"{truths[row.id]!r} in the one and {row.truth!r} in the other"
                )
    common = set.intersection(*({row.id for row in rows if not row.unscored} for _, rows in runs))
    return [Model(model.name, tuple(_only(rows, common) for rows in model.seeds)) for model in models]


def _only(rows: Sequence[AnswerRow], ids: set[str]) -> list[AnswerRow]:
    return sorted((row for row in rows if row.id in ids), key=lambda row: row.id)


def compare(first: Model, second: Model) -> Comparison:
    """Two models over the rows that both have. CooperError: one id for two questions."""
    one, other = over_common([first, second])
    rows = one.seeds[0]
    right = [a - b for a, b in zip(one.earned("correct"), other.earned("correct"), strict=True)]
    value = [a - b for a, b in zip(one.earned("value"), other.earned("value"), strict=True)]
    return Comparison(
        first=first.name,
        second=second.name,
        first_alone=first.questions - len(rows),
        second_alone=second.questions - len(rows),
        all_rows=paired_difference(right),
        means=by_mean(rows, right, paired_difference),
        categories=by_category(rows, right, paired_difference),
        value=bounded_mean(value, low=-1.0),
        values=by_category(rows, value, lambda part: bounded_mean(part, low=-1.0)),
    )


def by_mean(
    rows: Sequence[AnswerRow], values: Sequence[_Value], figure: Callable[[list[_Value], list[str]], _Figure]
) -> dict[str, _Figure]:
    """A figure for each of `MEANS`, of the values of its rows and their categories."""
    found = {}
    for name, groups in MEANS.items():
        kept = [(value, row.category) for row, value in zip(rows, values, strict=True) if row.group in groups]
        found[name] = figure([value for value, _ in kept], [category for _, category in kept])
    return found


def by_category(
    rows: Sequence[AnswerRow], values: Sequence[_Value], figure: Callable[[list[_Value]], _Figure]
) -> dict[str, _Figure]:
    """A figure for each category, of the values of its rows; categories by group, then by name."""
    parts: dict[tuple[int, str], list[_Value]] = {}
    for row, value in zip(rows, values, strict=True):
        parts.setdefault((GROUPS.index(row.group), row.category), []).append(value)
    return {key[1]: figure(parts[key]) for key in sorted(parts)}
