"""Rows to figures: accuracy per category with intervals, means over categories, map usage, paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from cooper.evaluation.figures.pairing import Comparison, Model, by_category, by_mean, compare
from cooper.evaluation.figures.readers import ReaderFigures
from cooper.evaluation.figures.statistics import Difference, Estimate, bounded_mean, grouped_mean, wilson
from cooper.evaluation.replies.missing import CANNOT_SEE, missing_reading
from cooper.evaluation.runs.answering import AnswerRow


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Shares of rows: `drew` each modality at least once, by name; `none`: no map. `maps`: maps per row. `right_with` and
    `right_without`: accuracy of the rows with a map and of those without. Who draws chooses when, so their difference is no
    effect of drawing: that is the paired difference to the mode `text`."""

    drew: Mapping[str, float]
    none: float
    maps: float
    right_with: Estimate
    right_without: Estimate


@dataclass(frozen=True, kw_only=True)
class CategoryFigures:
    """One category in one mode. `value`: the mean of what each row earned; `relative_accuracy`: that of its Number rows."""

    category: str
    group: str
    accuracy: Estimate
    value: Estimate
    relative_accuracy: Estimate
    usage: Usage


@dataclass(frozen=True, kw_only=True)
class ModeFigures:
    """One mode. `accuracy`: over all rows, whatever their category. `means`: by name in `MEANS`, the mean over its categories.
    `value`: the mean of what each row earned, which is a number's mean relative accuracy and a judge's grade. `bundles`: the
    share of pairs or rotations that are right as a whole. Counts of rows: no answer element, nothing readable, a turn cut by
    the token limit, not scored by a judge that had to (these count in no figure). `refused`: of the rows whose answer is not
    that something is missing, how many say that it cannot be seen, although it is there.
    """

    mode: str
    categories: tuple[CategoryFigures, ...]
    means: Mapping[str, Estimate]
    usage: Usage
    rows: int
    unanswered: int
    unreadable: int
    truncated: int
    unscored: int
    refused: int
    seconds: float
    accuracy: Estimate
    value: Estimate
    bundles: Estimate


@dataclass(frozen=True, kw_only=True)
class MapEffect:
    """Accuracy, and what rows earned, where `map` was drawn in `mode`, minus the same questions in the mode `text`; over one
    category, or over "all".

    Where the model chooses when to draw, it is the effect on the questions that it chose. A row with two maps counts for both.
    """

    mode: str
    map: str
    category: str
    accuracy: Difference
    value: Estimate


@dataclass(frozen=True)
class Report:
    """All figures of a run; `settings` says how it was made."""

    settings: Mapping[str, Any]
    _: KW_ONLY
    modes: tuple[ModeFigures, ...]
    comparisons: tuple[Comparison, ...]
    effects: tuple[MapEffect, ...] = ()
    depth: Mapping[str, Estimate] = field(default_factory=dict)
    segmentation: Mapping[str, Estimate] = field(default_factory=dict)
    readers: tuple[ReaderFigures, ...] = ()

    @property
    def unscored_share(self) -> float:
        """Rows that a judge had to score and did not, of all."""
        return sum(mode.unscored for mode in self.modes) / max(1, sum(mode.rows for mode in self.modes))


def usage_of(rows: Sequence[AnswerRow]) -> Usage:
    """How often which map was drawn, and how often the answer was right then."""
    names = sorted({name for row in rows for name in row.maps})
    drew = {name: float(np.mean([name in row.maps for row in rows])) for name in names}
    maps = float(np.mean([len(row.maps) for row in rows])) if rows else 0.0
    parts = [[row.correct for row in rows if not row.unscored and bool(row.maps) == drawn] for drawn in (True, False)]
    right_with, right_without = (wilson(sum(part), len(part)) for part in parts)
    none = float(np.mean([not row.maps for row in rows])) if rows else 0.0
    return Usage(drew=drew, none=none, maps=maps, right_with=right_with, right_without=right_without)


def category_figures(rows: Sequence[AnswerRow]) -> CategoryFigures:
    """Figures of the rows of one category and one mode."""
    scored = [row for row in rows if not row.unscored]
    return CategoryFigures(
        category=rows[0].category,
        group=rows[0].group,
        accuracy=_accuracy(scored),
        value=_earned(scored),
        relative_accuracy=_earned([row for row in scored if row.type == "Number"]),
        usage=usage_of(rows),
    )


def _refuses(row: AnswerRow) -> bool:
    """Whether a row says in vain that something cannot be seen. Answers of no, which may be right in such words, are none."""
    denies = row.type in ("Unanswerable", "Text") or (row.type == "YN" and row.extracted == "no")
    return not denies and not row.correct and missing_reading(row.reply).value == CANNOT_SEE


def mode_figures(rows: Sequence[AnswerRow]) -> ModeFigures:
    """Figures of the rows of one mode; categories by group, then by name."""
    scored = [row for row in rows if not row.unscored]
    return ModeFigures(
        mode=rows[0].mode,
        categories=tuple(by_category(rows, rows, category_figures).values()),
        means=by_mean(scored, [float(row.correct) for row in scored], grouped_mean),
        usage=usage_of(rows),
        rows=len(rows),
        unanswered=sum(not row.answered for row in rows),
        unreadable=sum(row.extracted == "" for row in rows),
        truncated=sum(row.truncated for row in rows),
        unscored=len(rows) - len(scored),
        refused=sum(_refuses(row) for row in rows),
        seconds=float(np.mean([row.seconds for row in rows])),
        accuracy=_accuracy(scored),
        value=_earned(scored),
        bundles=bundle_figure(rows),
    )


def bundle_figure(rows: Sequence[AnswerRow]) -> Estimate:
    """The share of bundles of which every row is right; no rows where nothing is bundled. A bundle with a row that could not
    be scored counts neither way, as the row does."""
    unknown = {row.bundle for row in rows if row.unscored}
    whole: dict[str, bool] = {}
    for row in rows:
        if row.bundle and row.bundle not in unknown:
            whole[row.bundle] = whole.get(row.bundle, True) and row.correct
    return wilson(sum(whole.values()), len(whole))


def _accuracy(rows: Sequence[AnswerRow]) -> Estimate:
    return wilson(sum(row.correct for row in rows), len(rows))


def _earned(rows: Sequence[AnswerRow]) -> Estimate:
    return bounded_mean([row.value for row in rows])


def map_effects(rows: Sequence[AnswerRow], plain: Sequence[AnswerRow]) -> list[MapEffect]:
    """What each kind of map did in one mode, whose rows they are; `plain`: the rows of the mode `text`."""
    found = []
    for name in sorted({name for row in rows for name in row.maps}):
        drawn = compare(Model(name, ([row for row in rows if name in row.maps],)), Model("text", (plain,)))
        parts = {"all": (drawn.all_rows, drawn.value)}
        parts |= {part: (right, drawn.values[part]) for part, right in drawn.categories.items()}
        for part, (right, value) in parts.items():
            found.append(MapEffect(mode=rows[0].mode, map=name, category=part, accuracy=right, value=value))
    return found


def summarise(rows: Sequence[AnswerRow], settings: Mapping[str, Any]) -> Report:
    """Figures of every mode in the order of the rows, and of every pair of modes."""
    parts = {mode: [row for row in rows if row.mode == mode] for mode in dict.fromkeys(row.mode for row in rows)}
    modes = tuple(mode_figures(part) for part in parts.values())
    models = [Model(mode, (part,)) for mode, part in parts.items()]
    comparisons = tuple(compare(first, second) for first, second in combinations(models, 2))
    plain = parts.get("text", [])
    effects = [effect for part in parts.values() if plain for effect in map_effects(part, plain)]
    return Report(settings, modes=modes, comparisons=comparisons, effects=tuple(effects))
