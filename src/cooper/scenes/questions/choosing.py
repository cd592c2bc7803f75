"""Random choices."""

from collections.abc import Sequence

import numpy as np


def choose(rng: np.random.Generator, items: Sequence):
    """One item, uniformly."""
    return items[int(rng.integers(len(items)))]


def some(rng: np.random.Generator, items: Sequence, count: int) -> list:
    """`count` different items in random order."""
    return [items[int(place)] for place in rng.permutation(len(items))[:count]]


def worded(rng: np.random.Generator, phrases: Sequence[str], **words: str) -> str:
    """One of the phrasings with its blanks filled."""
    return choose(rng, phrases).format(**words)
