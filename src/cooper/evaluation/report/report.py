"""A report as Markdown, as one self-contained HTML page with charts, and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cooper.evaluation.figures.pairing import Comparison
from cooper.evaluation.figures.readers import ReaderFigures
from cooper.evaluation.figures.statistics import Difference, Estimate, without_nan
from cooper.evaluation.figures.summary import CategoryFigures, MapEffect, ModeFigures, Report, Usage
from cooper.evaluation.report import meanings
from cooper.evaluation.report.charts import BarGroup, bar_chart, share_chart
from cooper.evaluation.report.rows import row_table
from cooper.evaluation.runs.answering import AnswerRow
from cooper.evaluation.runs.processes import Share
from cooper.files.arguments import markdown_text
from cooper.files.html import render
from cooper.files.rows import write_whole

MEAN_NAMES = {"spatial": "spatial mean", "distance_size": "distance and size mean", "general": "general mean"}

DIFFERENCE_HEAD = ("points", "95 % interval", "rows", "only first right", "only second right", "p")


@dataclass(frozen=True)
class Table:
    """Rows of cells under a head. For the page, `about` says what the figures are, `meanings` what rows are by their names.
    `note` stands below the rows, "" for none."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    about: str = ""
    meanings: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def markdown(self) -> str:
        lines = [self.head, ["---"] + ["---:"] * (len(self.head) - 1), *self.rows]
        body = "\n".join("| " + " | ".join(map(markdown_text, line)) + " |" for line in lines)
        return f"## {markdown_text(self.title)}\n\n{body}\n" + (f"\n{markdown_text(self.note)}\n" if self.note else "")


@dataclass(frozen=True)
class Chart:
    """A chart under its title, with a line that says what its bars are. `svg` is escaped already."""

    title: str
    about: str
    svg: str


def write_report(
    report: Report,
    folder: Path,
    share: Share | None = None,
    rows: Sequence[AnswerRow] = (),
    questions: Mapping[str, str] | None = None,
) -> None:
    """Write report.json, report.md and report.html into `folder`. Of several processes only the first does.

    `share`: by default what the launcher says. `rows`: stand in report.html, each with its question, whose text is in
    `questions` by id, and a link to its trace in `folder`.
    """
    if not (share or Share.here()).first:
        return
    write_whole(folder / "report.json", json.dumps(report_json(report), indent=1, allow_nan=False) + "\n")
    write_whole(folder / "report.md", markdown(report))
    write_whole(folder / "report.html", html(report, row_table(rows, folder, questions)))


def report_json(report: Report | Comparison) -> dict[str, Any]:
    """A report, or a comparison, as JSON values; a figure without rows is null."""
    return without_nan(asdict(report))


def markdown(report: Report) -> str:
    """Settings and tables."""
    return markdown_page(_title(report), _told(report), tables(report))


def markdown_page(title: str, told: Mapping[str, Any], found: Sequence[Table]) -> str:
    """What is told, then the tables."""
    lines = "\n".join(f"- {markdown_text(str(name))}: {markdown_text(str(value))}" for name, value in told.items())
    return f"# {markdown_text(title)}\n\n{lines}\n\n" + "\n".join(table.markdown() for table in found)


def html(report: Report, rows: str = "") -> str:
    """Settings, charts, the tables of the Markdown report, then the rows, as `row_table` makes them."""
    return html_page(_title(report), _told(report), charts(report), tables(report), rows)


def html_page(title: str, told: Mapping[str, Any], pictures: Sequence[Chart], found: Sequence[Table], rows: str = "") -> str:
    """One self-contained page: what is told, charts, tables, and rows, as `row_table` makes them."""
    return render("evaluation/templates/report.html", title=title, told=told, charts=pictures, tables=found, rows=rows)


def _told(report: Report) -> dict[str, str]:
    """The settings of a run as a reader of its report wants them."""
    return {name: _said(name, value) for name, value in report.settings.items()}


def _said(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return meanings.UNSET.get((name, value), "none") if value in (None, "") else str(value)


def _title(report: Report) -> str:
    return f"{report.settings.get('model', 'model')} on {report.settings.get('benchmark', 'benchmark')}"


def tables(report: Report) -> list[Table]:
    """All tables that have rows."""
    found = []
    if report.modes:
        found += [_accuracy(report.modes), _numbers(report.modes), _earned(report.modes)]
        found += [_usage(report.modes), _effects(report.effects), _health(report.modes)]
    found += [comparison_table(comparison) for comparison in report.comparisons]
    found.append(_readers(report.readers))
    found += [_figures("Depth", report.depth), _figures("Segmentation", report.segmentation)]
    return [table for table in found if table.rows]


def _accuracy(modes: Sequence[ModeFigures]) -> Table:
    rows = [["rows", *(str(mode.rows) for mode in modes)], _line("all rows", [mode.accuracy for mode in modes])]
    filled = [group for group in MEAN_NAMES if any(mode.means[group].rows for mode in modes)]
    rows += [[MEAN_NAMES[group], *(percent(mode.means[group]) for mode in modes)] for group in filled]
    if any(_earns_in_parts(mode) for mode in modes):
        rows.append(["mean of what rows earn", *(percent(mode.value) for mode in modes)])
    if any(mode.bundles.rows for mode in modes):
        rows.append(_line("whole bundles", [mode.bundles for mode in modes]))
    rows += [_line(parts[0].category, [part.accuracy for part in parts]) for parts in _categories(modes)]
    head = ["category (rows)", *(mode.mode for mode in modes)]
    return Table("Accuracy, % with 95 % interval", head, rows, meanings.ACCURACY, meanings.MEANS)


def _line(name: str, figures: Sequence[Estimate]) -> list[str]:
    """A figure in every mode, with its number of rows; modes differ in that where a judge could not score some."""
    counts = [str(figure.rows) for figure in figures]
    return [f"{name} ({', '.join(counts if len(set(counts)) > 1 else counts[:1])})", *map(percent, figures)]


def _categories(modes: Sequence[ModeFigures]) -> list[tuple[CategoryFigures, ...]]:
    """Each category in every mode."""
    return list(zip(*(mode.categories for mode in modes), strict=True))


def _earns_in_parts(figures: ModeFigures | CategoryFigures) -> bool:
    """Whether rows earn other than all or nothing, so that the mean of it says something of its own."""
    return abs(figures.value.mean - figures.accuracy.mean) > 1e-9


def _numbers(modes: Sequence[ModeFigures]) -> Table:
    found = [(parts[0].category, [part.relative_accuracy for part in parts]) for parts in _categories(modes)]
    rows = [_line(name, figures) for name, figures in found if any(figure.rows for figure in figures)]
    head = ["category (rows)", *(mode.mode for mode in modes)]
    return Table("Mean relative accuracy of numbers, % with 95 % interval", head, rows, meanings.NUMBERS)


def _earned(modes: Sequence[ModeFigures]) -> Table:
    """Categories whose rows earn in parts, but those of numbers alone, which have a table of their own."""
    rows = [
        _line(parts[0].category, [part.value for part in parts])
        for parts in _categories(modes)
        if any(_earns_in_parts(part) and part.value != part.relative_accuracy for part in parts)
    ]
    head = ["category (rows)", *(mode.mode for mode in modes)]
    return Table("Mean of what rows earn, % with 95 % interval", head, rows, meanings.EARNED)


def _usage(modes: Sequence[ModeFigures]) -> Table:
    parts: list[tuple[str, Usage]] = []
    for mode in modes:
        parts += [
            (f"{mode.mode}: all", mode.usage),
            *((f"{mode.mode}: {each.category}", each.usage) for each in mode.categories),
        ]
    return usage_table("mode: category", parts)


def usage_table(first: str, parts: Sequence[tuple[str, Usage]]) -> Table:
    """Which maps were drawn in each part, by its name; `first`: the head of the names."""
    names = sorted({name for _, usage in parts for name in usage.drew})
    rows = []
    for label, usage in parts:
        shares = [f"{100 * usage.drew.get(name, 0.0):.0f}" for name in names]
        right = [f"{percent(each)} of {each.rows}" if each.rows else "-" for each in (usage.right_with, usage.right_without)]
        rows.append([label, *shares, f"{100 * usage.none:.0f}", f"{usage.maps:.2f}", *right])
    head = [first, *names, "no map", "maps per row", "right with a map", "right without"]
    return Table("Map usage, % of rows", head, rows, meanings.USAGE)


def _effects(effects: Sequence[MapEffect]) -> Table:
    rows = [
        [f"{effect.mode}, {effect.map}: {effect.category}", *_difference(effect.accuracy), *points(effect.value)]
        for effect in effects
        if effect.value.rows
    ]
    head = ["mode, map drawn: category", *DIFFERENCE_HEAD, "points earned", "95 % interval"]
    title = "Effect of maps: rows with the map minus the same questions in the mode text"
    return Table(title, head, rows, meanings.EFFECTS)


def _readers(readers: Sequence[ReaderFigures]) -> Table:
    rows = [
        [f"{each.mode}: {each.category}", str(each.reader.rows), percent(each.reader), percent(each.model), percent(each.words)]
        for each in readers
    ]
    head = ["mode: category", "rows", "perfect reader of its maps", "the model", "the model in words"]
    return Table("What the drawn depth maps hold, % right with 95 % interval", head, rows, meanings.READERS)


def _health(modes: Sequence[ModeFigures]) -> Table:
    counts = ("rows", "unanswered", "unreadable", "refused", "truncated", "unscored")
    rows = [[mode.mode, *(str(getattr(mode, name)) for name in counts), f"{mode.seconds:.2f}"] for mode in modes]
    counted = ["without answer element", "unreadable", "refused in vain", "truncated", "not scored"]
    return Table("How the runs went", ["mode", "rows", *counted, "seconds per row"], rows, meanings.HEALTH)


def comparison_table(comparison: Comparison) -> Table:
    """Points, interval and test of all rows, of each mean and category; then what rows earned, where that is another thing."""
    named = {"all rows": comparison.all_rows, **{MEAN_NAMES[group]: comparison.means[group] for group in MEAN_NAMES}}
    rows = [[name, *_difference(each)] for name, each in (*named.items(), *comparison.categories.items()) if each.estimate.rows]
    pairs = [("all rows", comparison.all_rows, comparison.value)]
    pairs += [(name, right, comparison.values[name]) for name, right in comparison.categories.items()]
    for name, right, earned in pairs:
        if abs(earned.mean - right.estimate.mean) > 1e-9:
            rows.append([f"{name}, earned", *points(earned), str(earned.rows), "-", "-", "-"])
    title, note = f"{comparison.first} minus {comparison.second}, paired", comparison.note
    return Table(title, ["category", *DIFFERENCE_HEAD], rows, meanings.COMPARISON, note=note)


def _difference(difference: Difference) -> list[str]:
    counts = [str(difference.estimate.rows), str(difference.only_first), str(difference.only_second)]
    return [*points(difference.estimate), *counts, f"{difference.p_value:.3g}"]


def points(estimate: Estimate) -> list[str]:
    """A difference in points, and its interval."""
    return [f"{100 * estimate.mean:+.1f}", f"{100 * estimate.low:+.1f} .. {100 * estimate.high:+.1f}" if estimate.sure else "-"]


def _figures(title: str, figures: Mapping[str, Estimate]) -> Table:
    rows = [
        [
            meanings.FIGURES[name][0],
            f"{figure.mean:.4f}",
            f"{figure.low:.4f} .. {figure.high:.4f}" if figure.sure else "-",
            str(figure.rows),
        ]
        for name, figure in figures.items()
    ]
    told = dict(meanings.FIGURES[name] for name in figures)
    return Table(title, ["figure", "value", "95 % interval", "pictures"], rows, meanings.MAPS, told)


def percent(estimate: Estimate) -> str:
    """In percent, with its interval where there is one."""
    if not estimate.rows:
        return "-"
    if not estimate.sure:
        return f"{100 * estimate.mean:.1f}"
    return f"{100 * estimate.mean:.1f} ({100 * estimate.low:.1f} .. {100 * estimate.high:.1f})"


def charts(report: Report) -> list[Chart]:
    """Accuracy per category and mode, and map usage per category of every mode that drew."""
    if not report.modes:
        return []
    means = [BarGroup("all rows", tuple(mode.accuracy for mode in report.modes))]
    means += [
        BarGroup(MEAN_NAMES[group], tuple(mode.means[group] for mode in report.modes))
        for group in MEAN_NAMES
        if report.modes[0].means[group].rows
    ]
    parts = [BarGroup(same[0].category, tuple(part.accuracy for part in same)) for same in _categories(report.modes)]
    found = [Chart("Accuracy", meanings.BARS, bar_chart([mode.mode for mode in report.modes], [*means, *parts]))]
    for mode in report.modes:
        found += drawn_chart(mode.mode, mode.usage, {part.category: part.usage for part in mode.categories})
    return found


def drawn_chart(name: str, whole: Usage, parts: Mapping[str, Usage]) -> list[Chart]:
    """Which maps were drawn in each part of the rows, by its name; nothing where none were."""
    names = sorted(whole.drew)
    shares = [(label, [usage.drew.get(each, 0.0) for each in names]) for label, usage in parts.items()]
    return [Chart(f"Maps drawn, {name}", meanings.DRAWN, share_chart(shares, names))] if names else []
