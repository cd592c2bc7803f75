"""Several models over the same questions, each trained from one seed or more: every figure, and the gap between any two.

What a model earned at a question is the mean over its seeds, and intervals redraw questions, so that two seeds of one question
do not count as two questions. Q: questions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float64

from cooper.data.item import GROUPS
from cooper.errors import CooperError
from cooper.evaluation.figures.comparison import check_truths, rows_by_mode
from cooper.evaluation.figures.statistics import Estimate, bounded_mean, grouped_mean, sign_flips
from cooper.evaluation.figures.summary import MEANS, Usage, usage_of
from cooper.evaluation.runs.answering import AnswerRow

Earned = Float64[np.ndarray, " Q"]


@dataclass(frozen=True)
class Model:
    """One model of a study: for each seed the rows of its run in one mode."""

    name: str
    seeds: tuple[tuple[AnswerRow, ...], ...]


@dataclass(frozen=True)
class ModelFigures:
    """`means` by name in `MEANS`, over all seeds, and `by_seed` of each; `usage`: by category, and of "all"."""

    name: str
    means: Mapping[str, Estimate]
    by_seed: tuple[Mapping[str, float], ...]
    categories: Mapping[str, Estimate]
    usage: Mapping[str, Usage]


@dataclass(frozen=True)
class Gap:
    """First minus second: each mean with the two-sided p-value of random sign flips."""

    first: str
    second: str
    means: Mapping[str, Estimate]
    p_values: Mapping[str, float]


@dataclass(frozen=True)
class Study:
    """All figures, over the `questions` questions that every run has."""

    questions: int
    models: tuple[ModelFigures, ...]
    gaps: tuple[Gap, ...]


def read_model(said: str) -> Model:
    """`NAME=RUN:MODE[,RUN:MODE...]`, one run per seed. CooperError: another form, or no such run."""
    name, _, places = said.partition("=")
    runs = [place for place in places.split(",") if place]
    if not name or not runs:
        raise CooperError(f"{said!r} names no model of a study; write NAME=RUN:MODE, with a comma between seeds")
    if len(set(runs)) < len(runs):
        raise CooperError(f"{said!r} names one run twice, which would count its answers twice")
    seeds = []
    for place in runs:
        parts = rows_by_mode(place)
        if len(parts) != 1:
            raise CooperError(f"{place} has answers in the modes {', '.join(parts)}; name one of them as {place}:MODE")
        seeds += [tuple(rows) for rows in parts.values()]
    return Model(name, tuple(seeds))


def study(models: Sequence[Model], seed: int = 0) -> Study:
    """Figures of every model and the gap between any two. CooperError: two of one name, no question in common, or one id for
    two questions."""
    if len({model.name for model in models}) < len(models):
        raise CooperError("two models of the study have one name")
    runs = [rows for model in models for rows in model.seeds]
    for model in models:
        for rows in model.seeds:
            check_truths(models[0].name, runs[0], model.name, rows)
    common = set.intersection(*({row.id for row in rows if not row.unscored} for rows in runs))
    if not common:
        raise CooperError("the runs of the study have no question in common that is scored")
    kept = [Model(model.name, tuple(_only(rows, common) for rows in model.seeds)) for model in models]
    asked = _Asked.of(kept[0].seeds[0])
    earned = {model.name: np.mean([_right(rows) for rows in model.seeds], axis=0) for model in kept}
    figures = [_figures(model, earned[model.name], asked) for model in kept]
    gaps = [_gap(first, second, earned, asked, seed) for first, second in combinations(earned, 2)]
    return Study(len(common), tuple(figures), tuple(gaps))


@dataclass(frozen=True)
class _Asked:
    """Category and group of each question, in the order of `Earned`."""

    categories: tuple[str, ...]
    groups: tuple[str, ...]

    @classmethod
    def of(cls, rows: Sequence[AnswerRow]) -> "_Asked":
        return cls(tuple(row.category for row in rows), tuple(row.group for row in rows))

    def mean(self, values: Earned, groups: Iterable[str], low: float) -> Estimate:
        """The mean over the categories of these groups, of values from `low` to 1."""
        pairs = [
            (value, name) for value, name, group in zip(values, self.categories, self.groups, strict=True) if group in groups
        ]
        return grouped_mean([float(value) for value, _ in pairs], [name for _, name in pairs], low)

    def means(self, values: Earned, low: float = 0.0) -> dict[str, Estimate]:
        return {name: self.mean(values, groups, low) for name, groups in MEANS.items()}

    @property
    def names(self) -> list[str]:
        """Categories by group, then by name."""
        order = {name: GROUPS.index(group) for name, group in zip(self.categories, self.groups, strict=True)}
        return sorted(order, key=lambda name: (order[name], name))


def _only(rows: Sequence[AnswerRow], ids: set[str]) -> tuple[AnswerRow, ...]:
    return tuple(sorted((row for row in rows if row.id in ids), key=lambda row: row.id))


def _right(rows: Sequence[AnswerRow]) -> Earned:
    return np.array([row.correct for row in rows], dtype=np.float64)


def _figures(model: Model, earned: Earned, asked: _Asked) -> ModelFigures:
    every = [row for rows in model.seeds for row in rows]
    parts = {name: np.array([category == name for category in asked.categories]) for name in asked.names}
    return ModelFigures(
        model.name,
        asked.means(earned),
        tuple({name: each.mean for name, each in asked.means(_right(rows)).items()} for rows in model.seeds),
        {name: bounded_mean(earned[part].tolist()) for name, part in parts.items()},
        {"all": usage_of(every), **{name: usage_of([row for row in every if row.category == name]) for name in parts}},
    )


def _gap(first: str, second: str, earned: Mapping[str, Earned], asked: _Asked, seed: int) -> Gap:
    steps = earned[first] - earned[second]
    chosen = {name: np.array([group in groups for group in asked.groups]) for name, groups in MEANS.items()}
    names = np.array(asked.categories)
    p_values = {name: sign_flips(steps[part].tolist(), names[part].tolist(), seed) for name, part in chosen.items()}
    return Gap(first, second, asked.means(steps, low=-1.0), p_values)
