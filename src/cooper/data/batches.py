"""Batches without state: what row r of a run holds depends on (seed, r) alone, so any run can be resumed anywhere.

A global batch is `batch` rows; ranks and accumulation parts take contiguous slices of it, so that splitting it
otherwise changes nothing but rounding.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

import numpy as np

from cooper.errors import CooperError

BatchT = TypeVar("BatchT")


def rng_of(*key: int) -> np.random.Generator:
    """A generator that depends on the key alone."""
    return np.random.default_rng(np.random.SeedSequence(key))


@lru_cache(maxsize=8)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return rng_of(seed, epoch, count).permutation(count)


def shuffled(seed: int, row: int, count: int) -> int:
    """Which of `count` items row `row` takes: every item once per epoch, a new order each epoch."""
    return int(_order(seed, row // count, count)[row % count])


@dataclass(frozen=True)
class BatchPart:
    """Which part of every global batch one process takes."""

    batch: int
    accumulation: int = 1
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if self.batch % (self.accumulation * self.world):
            raise CooperError(
                f"a batch of {self.batch} rows cannot be cut into {self.accumulation} parts on each of {self.world} processes"
            )

    def rows(self, step: int, part: int) -> range:
        """Row numbers of one accumulation part of one step.

        >>> BatchPart(batch=8, accumulation=2, rank=1, world=2).rows(step=1, part=0)
        range(12, 14)
        """
        each = self.batch // (self.accumulation * self.world)
        first = step * self.batch + (self.rank * self.accumulation + part) * each
        return range(first, first + each)


class Batches(Generic[BatchT]):
    """The batches of one process, from the step that `start` names to `steps`."""

    def __init__(self, make: Callable[[range], BatchT], share: BatchPart, steps: int, start: Callable[[], int]) -> None:
        self._make, self._share, self._steps, self._start = make, share, steps, start

    def __iter__(self) -> Iterator[BatchT]:
        for step in range(self._start(), self._steps):
            for part in range(self._share.accumulation):
                yield self._make(self._share.rows(step, part))
