"""Runs in which maps were given, each against the run that read its own, as Markdown, as a page and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cooper.evaluation.figures.comparison import rows_by_mode
from cooper.evaluation.figures.pairing import Comparison, Model, compare
from cooper.evaluation.figures.statistics import Difference, without_nan
from cooper.evaluation.report import meanings
from cooper.evaluation.report.report import MEAN_NAMES, Table, html_page, markdown_page, points
from cooper.files.rows import write_whole

TITLE = "Given maps against maps of the model's own"


@dataclass(frozen=True)
class ControlFigures:
    """One control in one mode, minus the answers of the same mode with maps of the model's own."""

    control: str
    mode: str
    comparison: Comparison

    @property
    def named(self) -> dict[str, Difference]:
        """All rows, each mean and each category that has rows."""
        found = {"all rows": self.comparison.all_rows}
        found |= {MEAN_NAMES[name]: each for name, each in self.comparison.means.items()}
        return {name: each for name, each in {**found, **self.comparison.categories}.items() if each.estimate.rows}


def controls_of(own: Path, others: Mapping[str, Path]) -> list[ControlFigures]:
    """Every control in every mode that it has. CooperError: a run is missing, or its questions are others."""
    drawn = rows_by_mode(str(own))
    return [
        ControlFigures(name, mode, compare(Model(name, (rows,)), Model("own", (drawn[mode],))))
        for name, folder in others.items()
        for mode, rows in rows_by_mode(str(folder)).items()
        if mode in drawn
    ]


def write_controls(found: Sequence[ControlFigures], folder: Path) -> None:
    """Write controls.json, controls.md and controls.html into `folder`."""
    write_whole(folder / "controls.json", json.dumps(without_nan([asdict(each) for each in found]), indent=1) + "\n")
    write_whole(folder / "controls.md", markdown_page(TITLE, {}, tables(found)))
    write_whole(folder / "controls.html", html_page(TITLE, {}, [], tables(found)))


def tables(found: Sequence[ControlFigures]) -> list[Table]:
    """A table for each mode."""
    return [_table(mode, [each for each in found if each.mode == mode]) for mode in dict.fromkeys(each.mode for each in found)]


def _table(mode: str, found: Sequence[ControlFigures]) -> Table:
    rows = [
        [f"{each.control}: {name}", *points(difference.estimate), str(difference.estimate.rows), f"{difference.p_value:.3g}"]
        for each in found
        for name, difference in each.named.items()
    ]
    head = ["control: category", "points", "95 % interval", "rows", "p"]
    return Table(f"{TITLE}, {mode}", head, rows, meanings.COMPARISON)
