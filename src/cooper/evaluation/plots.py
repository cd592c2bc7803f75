"""Charts as inline SVG, so that a report is one file without any library."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from cooper.evaluation.statistics import Estimate

HUES = ("#2f6fb0", "#d97a2b", "#4a9a5b", "#a24d8f", "#8a8a8a")
LABEL_WIDTH, PLOT_WIDTH, BAR, GAP = 170, 430, 11, 10


@dataclass(frozen=True)
class BarGroup:
    """Bars that stand together under one label; `bars` one per series, without a bar where a mean is NaN."""

    label: str
    bars: tuple[Estimate, ...]


def bar_chart(series: Sequence[str], groups: Sequence[BarGroup]) -> str:
    """Horizontal bars of shares in 0..1 with 95 % whiskers, one colour per series."""
    parts: list[str] = []
    y = 24.0
    for group in groups:
        middle = y + BAR * len(series) / 2 + 4
        parts.append(_text(LABEL_WIDTH - 8, middle, group.label, "end"))
        for place, bar in enumerate(group.bars):
            if not math.isnan(bar.mean):
                parts.append(_bar(bar, y + place * BAR, HUES[place % len(HUES)]))
        y += BAR * len(series) + GAP
    legend = [_key(LABEL_WIDTH + place * 120, name, HUES[place % len(HUES)]) for place, name in enumerate(series)]
    return _svg(y + 18, [*_grid(y), *parts, *legend])


def share_chart(groups: Sequence[tuple[str, Sequence[float]]], series: Sequence[str]) -> str:
    """One row per group with a bar per series: shares in 0..1 without whiskers."""
    bars = [BarGroup(label, tuple(Estimate(share, share, share, 0) for share in shares)) for label, shares in groups]
    return bar_chart(series, bars)


def _bar(bar: Estimate, y: float, hue: str) -> str:
    width = PLOT_WIDTH * min(max(bar.mean, 0.0), 1.0)
    ends = (bar.low, bar.high) if bar.sure else (bar.mean, bar.mean)
    low, high = (LABEL_WIDTH + PLOT_WIDTH * min(max(end, 0.0), 1.0) for end in ends)
    centre = y + (BAR - 2) / 2
    shape = f'<rect x="{LABEL_WIDTH}" y="{y:.1f}" width="{width:.1f}" height="{BAR - 2}" fill="{hue}" opacity="0.75"/>'
    if high > low:
        shape += f'<path d="M{low:.1f} {centre:.1f}H{high:.1f}" stroke="#222" stroke-width="1.2"/>'
    return shape + _text(max(LABEL_WIDTH + width, high) + 5, y + BAR - 3, f"{100 * bar.mean:.1f}", "start")


def _grid(bottom: float) -> list[str]:
    lines = []
    for step in range(5):
        x = LABEL_WIDTH + PLOT_WIDTH * step / 4
        lines.append(f'<path d="M{x} 18V{bottom:.0f}" stroke="#ddd"/>')
        lines.append(_text(x, bottom + 14, f"{25 * step} %", "middle"))
    return lines


def _key(x: float, name: str, hue: str) -> str:
    return f'<rect x="{x}" y="3" width="9" height="9" fill="{hue}" opacity="0.75"/>' + _text(x + 13, 12, name, "start")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: float, parts: Sequence[str]) -> str:
    width = LABEL_WIDTH + PLOT_WIDTH + 60
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" width="{width}" role="img" '
    return head + 'font-family="sans-serif" font-size="10" fill="#222">' + "".join(parts) + "</svg>"
