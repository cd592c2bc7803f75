"""Several models over the same questions, each trained from one seed or more: every figure, and the gap between any two."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from cooper.errors import CooperError
from cooper.evaluation.figures.comparison import place_of, rows_by_mode
from cooper.evaluation.figures.pairing import Model, by_category, by_mean, compare, over_common
from cooper.evaluation.figures.statistics import Estimate, bounded_mean, grouped_mean
from cooper.evaluation.figures.summary import Usage, usage_of
from cooper.evaluation.runs.answering import AnswerRow


@dataclass(frozen=True, kw_only=True)
class ModelFigures:
    """`means` by name in `MEANS`, over all seeds, and `by_seed` of each; `usage`: by category, and of "all"."""

    name: str
    means: Mapping[str, Estimate]
    by_seed: tuple[Mapping[str, float], ...]
    categories: Mapping[str, Estimate]
    usage: Mapping[str, Usage]

    @classmethod
    def of(cls, model: Model) -> "ModelFigures":
        asked, right = model.seeds[0], model.earned("correct")
        every = [row for rows in model.seeds for row in rows]
        seeds = [by_mean(rows, [float(row.correct) for row in rows], grouped_mean) for rows in model.seeds]
        return cls(
            name=model.name,
            means=by_mean(asked, right, grouped_mean),
            by_seed=tuple({name: each.mean for name, each in seed.items()} for seed in seeds),
            categories=by_category(asked, right, bounded_mean),
            usage={"all": usage_of(every), **by_category(every, every, usage_of)},
        )


@dataclass(frozen=True, kw_only=True)
class Gap:
    """First minus second: each mean with its two-sided p-value."""

    first: str
    second: str
    means: Mapping[str, Estimate]
    p_values: Mapping[str, float]

    @classmethod
    def of(cls, first: Model, second: Model) -> "Gap":
        means = compare(first, second).means
        return cls(
            first=first.name,
            second=second.name,
            means={name: each.estimate for name, each in means.items()},
            p_values={name: each.p_value for name, each in means.items()},
        )


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
    if len({(folder.resolve(), mode) for folder, mode in map(place_of, runs)}) < len(runs):
        raise CooperError(f"{said!r} names one run twice, which would count its answers twice")
    seeds: list[list[AnswerRow]] = []
    for place in runs:
        parts = rows_by_mode(place)
        if len(parts) != 1:
            raise CooperError(f"{place} has answers in the modes {', '.join(parts)}; name one of them as {place}:MODE")
        seeds += parts.values()
    return Model(name, tuple(seeds))


def study(models: Sequence[Model]) -> Study:
    """Figures of every model and the gap between any two. CooperError: two of one name, no question in common, or one id for
    two questions."""
    if len({model.name for model in models}) < len(models):
        raise CooperError("two models of the study have one name")
    kept = over_common(models)
    if not kept[0].questions:
        raise CooperError("the runs of the study have no question in common that is scored")
    gaps = tuple(Gap.of(first, second) for first, second in combinations(kept, 2))
    return Study(kept[0].questions, tuple(map(ModelFigures.of, kept)), gaps)
