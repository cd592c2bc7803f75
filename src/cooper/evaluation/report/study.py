"""A study as Markdown, as one self-contained page with charts, and as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cooper.evaluation.figures.statistics import without_nan
from cooper.evaluation.figures.study import Study
from cooper.evaluation.report import meanings
from cooper.evaluation.report.charts import BarGroup, bar_chart
from cooper.evaluation.report.report import (
    MEAN_NAMES,
    Chart,
    Table,
    drawn_chart,
    html_page,
    markdown_page,
    percent,
    points,
    usage_table,
)
from cooper.files.rows import write_whole

TITLE = "Models over the same questions"


def write_study(study: Study, folder: Path, published: Mapping[str, str] | None = None) -> None:
    """Write study.json, study.md and study.html into `folder`. `published`: figures of others to stand beside, by name."""
    told = {"questions": study.questions, **(published or {})}
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "study.json", json.dumps(study_json(study), indent=1, allow_nan=False) + "\n")
    write_whole(folder / "study.md", markdown_page(TITLE, told, tables(study)))
    write_whole(folder / "study.html", html_page(TITLE, told, charts(study), tables(study)))


def study_json(study: Study) -> dict[str, Any]:
    """The study as JSON values; a figure without rows is null."""
    return without_nan(asdict(study))


def tables(study: Study) -> list[Table]:
    """Accuracy, each seed by itself, every gap, and map usage."""
    drew = [model for model in study.models if model.usage["all"].maps]
    usage = [(f"{model.name}: {part}", each) for model in drew for part, each in model.usage.items()]
    return [_accuracy(study), _seeds(study), _gaps(study), usage_table("model: category", usage)]


def _accuracy(study: Study) -> Table:
    rows = [
        [MEAN_NAMES[name], *(percent(model.means[name]) for model in study.models)]
        for name in MEAN_NAMES
        if study.models[0].means[name].rows
    ]
    rows += [[name, *(percent(model.categories[name]) for model in study.models)] for name in study.models[0].categories]
    return Table(
        "Accuracy, % with 95 % interval",
        ["mean or category", *(model.name for model in study.models)],
        rows,
        meanings.POOLED,
        meanings.MEANS,
    )


def _seeds(study: Study) -> Table:
    rows = [
        [f"{model.name}, {MEAN_NAMES[name]}", ", ".join(f"{100 * seed[name]:.1f}" for seed in model.by_seed)]
        for model in study.models
        for name in MEAN_NAMES
        if model.means[name].rows
    ]
    return Table("Each seed by itself, %", ["model, mean", "accuracy"], rows, meanings.SEEDS)


def _gaps(study: Study) -> Table:
    rows = [
        [f"{gap.first} - {gap.second}", MEAN_NAMES[name], *points(gap.means[name]), f"{gap.p_values[name]:.2g}"]
        for gap in study.gaps
        for name in MEAN_NAMES
        if gap.means[name].rows
    ]
    head = ["models", "mean", "points", "95 % interval", "p"]
    return Table("Differences over the same questions", head, rows, meanings.COMPARISON)


def charts(study: Study) -> list[Chart]:
    """Means and categories of all models, and what each drew."""
    named = [(MEAN_NAMES[name], [model.means[name] for model in study.models]) for name in MEAN_NAMES]
    named += [(name, [model.categories[name] for model in study.models]) for name in study.models[0].categories]
    groups = [BarGroup(name, tuple(bars)) for name, bars in named if bars[0].rows]
    found = [Chart("Accuracy", meanings.BARS, bar_chart([model.name for model in study.models], groups))]
    for model in study.models:
        found += drawn_chart(model.name, model.usage["all"], model.usage)
    return found
