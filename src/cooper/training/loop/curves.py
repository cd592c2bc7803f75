"""Curves of a run: every figure in a panel of its own, or some together, with a running mean where there are many points."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cooper.training.loop.watching import read_metrics

Points = tuple[np.ndarray, np.ndarray]  # steps and values
MANY = 20  # points, from which on a running mean over a tenth of them is drawn
SPAN = 10.0  # largest over smallest value, from which on the scale is logarithmic
NOT_SHOWN = ("step", "seconds_per_step")


def draw_curves(metrics: Path, picture: Path) -> None:
    """One small panel per figure over steps, those that stay the same, too; PNG or SVG by the ending of `picture`."""
    figures = _read(metrics)
    if not figures:
        return
    columns = min(3, len(figures))
    figure, axes = _panels(-(-len(figures) // columns), columns)
    for axis in axes[len(figures) :]:
        axis.axis("off")
    for axis, (name, points) in zip(axes[: len(figures)], figures.items(), strict=True):
        _draw(axis, points, "C0")
        axis.set_title(name, fontsize=8, parse_math=False)
        if points[1].min() > 0 and points[1].max() > SPAN * points[1].min() and name != "learning_rate":
            axis.set_yscale("log")
    _save(figure, picture)


def draw_together(metrics: Path, picture: Path, names: Sequence[str], title: str) -> None:
    """One panel with those of the figures `names` that the run has; nothing where it has none."""
    figures = _read(metrics)
    shown = [name for name in names if name in figures]
    if not shown:
        return
    figure, (axis,) = _panels(1, 1, scale=1.6)
    for place, name in enumerate(shown):
        _draw(axis, figures[name], f"C{place}", name)
    axis.set_title(title, fontsize=9, parse_math=False)
    for text in axis.legend(fontsize=7).get_texts():
        text.set_parse_math(False)  # a name is no formula, whatever it holds
    _save(figure, picture)


def _read(metrics: Path) -> dict[str, Points]:
    """Steps and values of every figure, without those that are no number."""
    lines = read_metrics(metrics)
    found: dict[str, Points] = {}
    for name in dict.fromkeys(key for line in lines for key in line if key not in NOT_SHOWN):
        points = [(line["step"], line[name]) for line in lines if name in line and np.isfinite(line[name])]
        if points:
            steps, values = np.array(points, dtype=np.float64).T
            found[name] = steps, values
    return found


def running_mean(values: np.ndarray) -> np.ndarray:
    """Means over a tenth of the values round each, and over what there is at the ends."""
    width = max(1, len(values) // 10)
    ones = np.ones(2 * (width // 2) + 1)
    return np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")


def _panels(rows: int, columns: int, scale: float = 1.0) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.fonttype"] = "none"  # letters as text
    from matplotlib import pyplot

    size = (3.2 * columns * scale, 2.1 * rows * scale)
    figure, axes = pyplot.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.flat:
        axis.tick_params(labelsize=6)
        axis.grid(alpha=0.3)
    return figure, list(axes.flat)


def _draw(axis: Any, points: Points, hue: str, label: str | None = None) -> None:
    steps, values = points
    many, marker = len(values) >= MANY, "o" if len(values) == 1 else None  # one point makes no line
    axis.plot(steps, values, linewidth=1, color=hue, marker=marker, alpha=0.3 if many else 1, label=None if many else label)
    if many:
        axis.plot(steps, running_mean(values), linewidth=1.6, color=hue, label=label)


def _save(figure: Any, picture: Path) -> None:
    from matplotlib import pyplot

    figure.tight_layout()
    figure.savefig(picture)
    pyplot.close(figure)
