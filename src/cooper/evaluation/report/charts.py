"""Charts as SVG, inside a page or as a file of its own, without any library.

Bars take the width that the page gives, in percent of it; texts keep their size. Labels stand above their bars and values in a
column beside them, so that a chart can be read on a phone and no text meets another, however long an interval is. Colours of
texts and lines are those of the page.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cooper.evaluation.figures.statistics import Estimate
from cooper.files.html import fragment

HUES = ("#3f80c4", "#d97a2b", "#4a9a5b", "#b05a9d", "#8a8a8a")
WIDTH = 400  # px, of a chart in a file of its own
PLOT = 88  # % of the width; the rest is the column of values
LINE, BAR, THICK, GAP = 18, 15, 9, 9  # heights: a line of text, a bar with its value, the bar itself, what parts groups
LONGEST = 48  # characters of a label


@dataclass(frozen=True)
class BarGroup:
    """Bars that stand together under one label; `bars` one per series, without a bar where a mean is NaN."""

    label: str
    bars: tuple[Estimate, ...]


@dataclass(frozen=True)
class _Bar:
    """A bar: `y` in px, `width` in percent; `low` and `high` are the ends of its interval, equal where it has none."""

    y: float
    width: float
    low: float
    high: float
    hue: str
    value: str


@dataclass(frozen=True)
class _Label:
    x: float  # in percent
    y: float
    text: str
    hue: str = ""


def bar_chart(series: Sequence[str], groups: Sequence[BarGroup]) -> str:
    """Horizontal bars of shares in 0..1 with 95 % whiskers, one colour per series. The SVG may stand in a page as it is."""
    keys = [_Label(0, LINE * (place + 0.8), _short(name), HUES[place % len(HUES)]) for place, name in enumerate(series)]
    labels: list[_Label] = []
    bars: list[_Bar] = []
    top = y = LINE * len(keys) + GAP
    for group in groups:
        labels.append(_Label(0, y + LINE * 0.7, _short(group.label)))
        y += LINE
        bars += [
            _bar(bar, y + place * BAR, HUES[place % len(HUES)])
            for place, bar in enumerate(group.bars)
            if not math.isnan(bar.mean)
        ]
        y += BAR * len(series) + GAP
    ticks = [_Label(PLOT * step / 4, y + LINE * 0.8, f"{25 * step} %") for step in range(5)]
    return fragment(
        "evaluation/templates/chart.svg",
        width=WIDTH,
        height=f"{y + LINE:.0f}",
        top=top,
        bottom=y,
        thick=THICK,
        keys=keys,
        labels=labels,
        bars=bars,
        ticks=ticks,
    )


def share_chart(groups: Sequence[tuple[str, Sequence[float]]], series: Sequence[str]) -> str:
    """One row per group with a bar per series: shares in 0..1 without whiskers."""
    bars = [
        BarGroup(label, tuple(Estimate(share, low=share, high=share, rows=0) for share in shares)) for label, shares in groups
    ]
    return bar_chart(series, bars)


def _bar(bar: Estimate, y: float, hue: str) -> _Bar:
    ends = (bar.low, bar.high) if bar.sure else (bar.mean, bar.mean)
    width, low, high = (PLOT * min(max(share, 0.0), 1.0) for share in (bar.mean, *ends))
    return _Bar(y, width, low, high, hue, f"{100 * bar.mean:.1f}")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
