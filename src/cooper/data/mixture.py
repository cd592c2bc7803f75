"""Which source a row comes from: fixed shares, drawn without state."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cooper.data.batches import rng_of
from cooper.errors import CooperError

BLOCK = 1 << 16  # rows whose sources are drawn together


@dataclass(frozen=True)
class Turn:
    """One row of a mixture: its source, and how many earlier rows came from there."""

    source: str
    order: int


@dataclass(frozen=True)
class Mixture:
    """Named weights, not necessarily summing to one; a weight of 0 leaves a source out."""

    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        if any(weight < 0 for weight in self.weights.values()) or not sum(self.weights.values()) > 0:
            raise CooperError(f"mixture weights must be at least 0 and not all 0, got {dict(self.weights)}")

    def pick(self, seed: int, row: int) -> str:
        """The source of one row; the same for the same seed and row."""
        names = [name for name, weight in self.weights.items() if weight > 0]
        shares = np.array([self.weights[name] for name in names])
        return names[int(rng_of(seed, row).choice(len(names), p=shares / shares.sum()))]

    def turn(self, seed: int, row: int) -> Turn:
        """As `pick` of other random numbers, with the place of the row among those of its source, so that a source can give
        each of its items once before any comes again."""
        weights = tuple(self.weights.values())
        block, place = divmod(row, BLOCK)
        drawn = _drawn(weights, seed, block)
        source = int(drawn[place])
        before = _before(weights, seed, block)[source] + np.count_nonzero(drawn[:place] == source)
        return Turn(tuple(self.weights)[source], int(before))


@lru_cache(maxsize=8)
def _drawn(weights: tuple[float, ...], seed: int, block: int) -> np.ndarray:
    """The sources of the rows of a block, by number."""
    ends = np.cumsum(weights) / sum(weights)
    found = np.searchsorted(ends, rng_of(seed, block, 43).random(BLOCK), side="right")
    return np.minimum(found, np.flatnonzero(weights)[-1])


@lru_cache(maxsize=8)
def _before(weights: tuple[float, ...], seed: int, block: int) -> np.ndarray:
    """How many rows of all earlier blocks came from each source."""
    counts = np.zeros(len(weights), dtype=np.int64)
    for number in range(block):
        counts += np.bincount(_drawn(weights, seed, number), minlength=len(weights))
    return counts
