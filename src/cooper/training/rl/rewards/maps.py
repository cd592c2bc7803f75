"""Rewards about maps: for one that is right where the question reads it and is followed by a right answer, and a price.

A reward for form alone makes maps a decoration: drawn, and not read. These two are off by default.

H, W: height and width in pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.perception import Modality
from cooper.perception.depth import DepthModality
from cooper.perception.metrics import align
from cooper.perception.modality import Reading
from cooper.scenes.problems import NamedThings
from cooper.trace.steps import MapStep
from cooper.trace.trace import Trace
from cooper.training.rl.rewards.reward import Reward

TOLERANCE = 0.10  # relative error up to which the depth of a thing is right


@dataclass(frozen=True)
class PriceReward:
    """Minus the number of maps that were drawn."""

    name: str = "price"

    def __call__(self, item: Item, traces: Sequence[Trace]) -> list[float | None]:
        return [-float(len(trace.maps)) for trace in traces]


@dataclass(frozen=True)
class LinkReward:
    """1 where every map is right at the things that the question names and the answer earns more than half, else 0; 0 without
    a map, and where the question names nothing that is there.

    `truth`: what is true of the things of an item. `answer` judges the answer. Depth is right within 10 % of the median over
    the visible pixels of a thing (after alignment, where the model draws no metres); a segmentation where most pixels of the
    thing have its class.
    """

    truth: Callable[[Item], NamedThings]
    modalities: Mapping[str, Modality]
    answer: Reward
    name: str = "link"

    def __call__(self, item: Item, traces: Sequence[Trace]) -> list[float | None]:
        things = self.truth(item)
        answered = self.answer(item, traces)
        return [
            float(bool(trace.maps) and (right or 0.0) > 0.5 and all(self.is_right(step, things) for step in trace.maps))
            for trace, right in zip(traces, answered, strict=True)
        ]

    def is_right(self, step: MapStep, things: NamedThings) -> bool:
        """Whether a map says of all named things what is true of them."""
        modality = self.modalities.get(step.modality)
        if modality is None or not things.objects:
            return False
        height, width = step.drawn.shape[:2]
        truth, drawn = things.reading.resized(width, height), modality.decode(step.drawn)
        says = _depth_is_right if isinstance(modality, DepthModality) else _class_is_right
        aligned = isinstance(modality, DepthModality) and not modality.metric
        instances = truth.plane("instances", "whole")
        if aligned:
            drawn = _aligned(drawn, truth)
        return all((instances == number).any() and says(drawn, truth, instances == number) for number in things.objects)


def _aligned(drawn: Reading, truth: Reading) -> Reading:
    wanted, found = truth.plane("depth", "real"), drawn.plane("depth", "real")
    fit = align(found, wanted, wanted > 0)
    return Reading({"depth": (found * fit.scale + fit.shift).astype(np.float32)}, {"depth": "m"})


def _depth_is_right(drawn: Reading, truth: Reading, thing: np.ndarray) -> bool:
    far, wanted = (float(np.median(each.plane("depth", "real")[thing])) for each in (drawn, truth))
    return abs(far - wanted) <= TOLERANCE * wanted


def _class_is_right(drawn: Reading, truth: Reading, thing: np.ndarray) -> bool:
    labels = drawn.arrays.get("labels")
    if labels is None:
        raise CooperError("rewards.link: this model draws regions without classes, so it cannot be said whether they are right")
    return int(np.bincount(labels[thing].ravel().astype(np.int64)).argmax()) == int(truth.plane("labels", "whole")[thing][0])
