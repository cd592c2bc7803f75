"""Which source a row comes from: fixed shares, drawn without state."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cooper.data.batches import rng_of
from cooper.errors import CooperError


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
