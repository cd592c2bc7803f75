"""Flags by category: whether maps help with a kind of question, from the answers to all questions of that kind.

A few answers of one question tell little (`chance.py`); the hundreds of a category tell what drawing is worth there.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from cooper.curation.gains import DrawingCounts, Flag
from cooper.evaluation.figures.statistics import Estimate, bounded_mean


def category_gains(rows: Iterable[Mapping[str, Any]]) -> dict[str, Estimate]:
    """Mean over the questions of a category of what maps gain, with its 95 % interval; rows as in flags.jsonl.

    Questions without an answer of one kind do not count, and a category needs two that do.
    """
    gains: dict[str, list[float]] = {}
    for row in rows:
        gain = DrawingCounts.of(row).gain
        if gain is not None:
            gains.setdefault(row["category"], []).append(gain)
    return {name: bounded_mean(found, low=-1.0) for name, found in sorted(gains.items()) if len(found) > 1}


def category_flag(gain: Estimate | None) -> Flag:
    """Positive where the whole interval lies above 0, negative where it lies below."""
    if gain is None or gain.low <= 0 <= gain.high:
        return "boundary"
    return "positive" if gain.low > 0 else "negative"


def points(gain: Estimate) -> str:
    """A gain in points with its interval, in brackets."""
    return f"[{100 * gain.mean:+.0f}: {100 * gain.low:+.0f} .. {100 * gain.high:+.0f}]"
