"""Gates: figures that must be reached before the next stage of a study is worth its hours.

S: scenes. B: redrawn sets of scenes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from cooper.errors import CooperError
from cooper.evaluation.figures.statistics import Estimate, resampled

RESAMPLES = 1000
NEAR = 0.10  # relative error up to which a distance counts as right, as for questions about the distance from the camera


@dataclass(frozen=True)
class Tally:
    """How many of the things asked about one scene came out right. `near`: of places, those right or beside the right one."""

    id: str
    right: int
    total: int
    near: int = 0


@dataclass(frozen=True)
class Gate:
    """`figure` must be at most or at least `threshold`; both are shares, or points between two shares."""

    name: Literal["A", "B", "C", "D"]
    what: str
    figure: Estimate
    rule: Literal["at most", "at least"]
    threshold: float

    @property
    def is_open(self) -> bool:
        """Whether the figure itself, whatever its interval, is on the right side."""
        return self.figure.mean <= self.threshold if self.rule == "at most" else self.figure.mean >= self.threshold

    @property
    def sure(self) -> bool:
        """Whether the whole interval is on that side, too, or on the other."""
        return self.figure.sure and not self.figure.low < self.threshold < self.figure.high

    @property
    def said(self) -> str:
        return ("open" if self.is_open else "shut") + ("" if self.sure else ", not sure")


@dataclass(frozen=True)
class _Sums:
    """Of every redrawn set of scenes, the first the whole set as it is."""

    right_B: Float64[np.ndarray, " B"]
    near_B: Float64[np.ndarray, " B"]
    total_B: Float64[np.ndarray, " B"]

    @property
    def share_B(self) -> Float64[np.ndarray, " B"]:
        return _part(self.right_B, self.total_B)


def share(tallies: Sequence[Tally], seed: int, near: bool = False) -> Estimate:
    """Right of all, with the 95 % interval of redrawn scenes: what is asked of one scene is right or wrong together."""
    (sums,) = _redrawn([tallies], seed)
    return resampled(_part(sums.near_B if near else sums.right_B, sums.total_B), len(tallies))


def points_between(first: Sequence[Tally], second: Sequence[Tally], seed: int) -> Estimate:
    """The share of the first less that of the second, over the scenes that both have."""
    return _between(first, second, seed, lambda one, other: (1 + one.share_B - other.share_B) / 2, lambda x: 2 * x - 1)


def part_of(first: Sequence[Tally], second: Sequence[Tally], seed: int) -> Estimate:
    """What the first has right as a part of what the second has, at most 1, over the scenes that both have."""
    return _between(first, second, seed, lambda one, other: _part(one.right_B, other.right_B).clip(max=1), lambda x: x)


def _between(
    first: Sequence[Tally],
    second: Sequence[Tally],
    seed: int,
    figure: Callable[[_Sums, _Sums], Float64[np.ndarray, " B"]],
    back: Callable[[float], float],
) -> Estimate:
    """A figure of two sums over the same scenes, which lies in 0..1, and is then brought `back`."""
    by_id: Mapping[str, Tally] = {tally.id: tally for tally in second}
    kept = [tally for tally in first if tally.id in by_id]
    if not kept:
        raise CooperError("the two figures of a gate are of no scene in common")
    one, other = _redrawn([kept, [by_id[tally.id] for tally in kept]], seed)
    found = resampled(figure(one, other), len(kept))
    return Estimate(back(found.mean), low=back(found.low), high=back(found.high), rows=found.rows)


def _redrawn(parts: Sequence[Sequence[Tally]], seed: int) -> list[_Sums]:
    """Sums over the same scenes of all parts, redrawn with replacement."""
    scenes = len(parts[0])
    if not scenes:
        raise CooperError("a gate has nothing to count: no scene of the set asks what it needs")
    drawn = np.random.default_rng(seed).multinomial(scenes, np.full(scenes, 1 / scenes), size=RESAMPLES)
    weights_BS = np.concatenate([np.ones((1, scenes)), drawn])
    columns = [np.array([[tally.right, tally.near, tally.total] for tally in part], dtype=np.float64) for part in parts]
    return [_Sums(*(weights_BS @ column).T) for column in columns]


def _part(top_B: Float64[np.ndarray, " B"], bottom_B: Float64[np.ndarray, " B"]) -> Float64[np.ndarray, " B"]:
    return np.divide(top_B, bottom_B, out=np.zeros_like(top_B), where=bottom_B > 0)
