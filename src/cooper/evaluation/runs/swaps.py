"""Maps of other pictures: each picture of a run is given the maps that the model draws of another one, as a control."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from PIL import Image

from cooper.data.digests import picture_digest
from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.evaluation.runs.settings import RunSettings
from cooper.perception.modality import Modality, Reading
from cooper.trace.steps import MapStep, Question, Undecoded


class Draws(Protocol):
    """What draws the maps."""

    @property
    def modalities(self) -> Mapping[str, Modality]: ...

    def draw(self, images: Sequence[Image.Image], modality: str, seed: int = 0) -> Sequence[MapStep]: ...


@dataclass(frozen=True)
class Swaps:
    """`others`: by the id of each question, the one whose picture lends its maps; it follows from the questions of the whole
    run and the seed alone, so it is the same in every process and after a stop."""

    others: Mapping[str, Question]
    seed: int

    @classmethod
    def over(cls, items: Sequence[Item], seed: int) -> "Swaps":
        """A round through all different pictures in random order: each lends its maps to the one before it, and none to
        itself. CooperError: there are fewer than two."""
        keys = {item.question.id: _key(item.question) for item in items if _pictures(item.question)}
        first = {key: item.question for item in reversed(items) if (key := keys.get(item.question.id)) is not None}
        if len(first) < 2:
            raise CooperError("--given-maps swap needs questions about two different pictures at least")
        order = [sorted(first)[place] for place in np.random.default_rng([seed, 37]).permutation(len(first))]
        after = {key: first[order[(place + 1) % len(order)]] for place, key in enumerate(order)}
        return cls({name: after[key] for name, key in keys.items()}, seed)

    def given(self, model: Draws, questions: Sequence[Question]) -> list[Question]:
        """The questions, which are opened, each with the maps that the model draws of its other picture, brought to the shape
        of its own."""
        others = {other.id: other for question in questions if (other := self.others.get(question.id)) is not None}
        pictures = [other.opened().images[other.subject] for other in others.values()]
        drawn: dict[str, dict[str, Reading]] = {}
        for name, modality in model.modalities.items():
            steps = model.draw(pictures, name, seed=self.seed)
            drawn[name] = {key: modality.decode(step.drawn) for key, step in zip(others, steps, strict=True)}
        return [replace(question, known=self._known(question, drawn)) for question in questions]

    def _known(self, question: Question, drawn: Mapping[str, Mapping[str, Reading]]) -> dict[str, Reading]:
        other = self.others.get(question.id)
        if other is None:
            return {}
        picture = question.images[question.subject]
        return {name: _shaped(readings[other.id], picture) for name, readings in drawn.items()}


def check_swaps(items: Sequence[Item], settings: RunSettings) -> None:
    """CooperError: maps are to be swapped, and there are no two pictures."""
    if settings.given_maps == "swap":
        Swaps.over(items, settings.seed)


def _pictures(question: Question) -> list[Image.Image | Undecoded]:
    return [part for part in question.parts if not isinstance(part, str)]


def _key(question: Question) -> str:
    """What tells the picture that maps are drawn of from others."""
    return picture_digest(_pictures(question)[question.subject])


def _shaped(reading: Reading, picture: Image.Image) -> Reading:
    """A map stretched to the shape of a picture, as large as it was drawn."""
    longest = max(max(array.shape) for array in reading.arrays.values())
    scale = longest / max(picture.size)
    return reading.resized(*(max(1, round(side * scale)) for side in picture.size))
