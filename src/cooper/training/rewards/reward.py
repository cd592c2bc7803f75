"""What a reward is, and which there are.

A reward reads frozen values and returns new ones, so the order in which rewards run cannot matter.
"""

from collections.abc import Sequence
from typing import Protocol

from cooper.evaluation.runner import Item
from cooper.trace.trace import Trace


class Reward(Protocol):
    """One term of the reward. `name` is what it is called in logs."""

    @property
    def name(self) -> str: ...

    def __call__(self, item: Item, traces: Sequence[Trace]) -> list[float | None]:
        """One value per trace of the group; None where it could not be judged, which counts as no reward at all."""
        ...
