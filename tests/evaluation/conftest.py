"""A model that draws the truth with a little noise and answers by rule, and questions to put to it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from PIL import Image

from cooper.data.examples import Conventions, Example, example_of
from cooper.data.item import Item
from cooper.perception import Modality, Reading, build_modalities
from cooper.trace.modes import Mode
from cooper.trace.steps import MapStep, Question, Step, TextStep
from cooper.trace.trace import Trace

NAMES = ("void", "floor", "wall", "cube", "ball")


def truth_of(index: int) -> Example:
    rng = np.random.default_rng(index)
    labels = np.full((48, 48), 2, dtype=np.int32)
    labels[24:] = 1
    instances = np.zeros_like(labels)
    for instance, left in ((1, 2), (2, 26)):
        box = (slice(12, 32), slice(left, left + int(rng.integers(12, 20))))
        labels[box], instances[box] = 3 + int(rng.integers(0, 2)), instance
    depth = np.linspace(4, 1, 48)[:, None] + np.zeros((48, 48)) - 0.3 * (instances > 0)
    picture = Image.new("RGB", (48, 48), (index, 0, 0))
    return example_of(f"scene-{index}", picture, depth=depth.astype(np.float32), labels=labels, instances=instances)


def item_of(index: int) -> Item:
    picture = Image.new("RGB", (48, 48), (index, 0, 0))
    kinds = [
        ("distance", "spatial", "Number", "2.0", ()),
        ("left_right", "spatial", "MCQ", "B", ("left", "right")),
        ("existence", "spatial", "YN", "yes", ()),
        ("colour", "general", "MCQ", "red", ("red", "blue", "green")),
    ]
    category, group, kind, truth, choices = kinds[index % 4]
    return Item(f"q{index}", category, group, Question((picture, "Where?"), id=f"q{index}"), kind, truth, choices)


class FakeCooper:
    """Right on even questions; draws depth when it may, segmentation too when it must.

    A fake, so that answers, maps and errors are known numbers; `benchmarks/test_real_door.py` runs nano.
    """

    def __init__(self, stop_after: int = 10**9, noise: float = 0.0) -> None:
        self.calls: list[tuple[str, int]] = []
        self.stop_after = stop_after
        self.noise = noise

    @property
    def modalities(self) -> Mapping[str, Modality]:
        return build_modalities(
            {"depth": {"near": 0.5, "far": 5.0, "metric": True}, "segmentation": {"codec": "scenes", "names": list(NAMES)}}
        )

    def options(self, mode: Mode, *, given: str = "own") -> Mode:
        return mode

    def batch(self, questions: Sequence[Question], options: Mode = "interleaved", seed: int = 0, samples: int = 1):
        self.calls.append((options, len(questions)))
        if len(self.calls) > self.stop_after:
            raise KeyboardInterrupt
        return [[self._trace(question, options)] * samples for question in questions]

    def _trace(self, question: Question, mode: Mode) -> Trace:
        index = int(question.id[1:])
        drawn = {"interleaved": ["depth"] * (index % 2), "perception": ["depth", "segmentation"]}.get(mode, [])
        steps: list[Step] = [MapStep(name, np.zeros((48, 48, 3), np.float32), Image.new("RGB", (48, 48))) for name in drawn]
        right = index % 2 == 0 or mode == "perception"
        words = ["2.1 m", "B", "yes", "red"] if right else ["9 m", "left", "no", "blue"]
        text = words[index % 4] if mode == "direct" else f"<think>hm</think><answer>{words[index % 4]}</answer>"
        return Trace(question, (*steps, TextStep(text, seconds=0.5)), mode=mode)

    def draw(self, images: Sequence[Image.Image], modality: str, seed: int = 0) -> Sequence[MapStep]:
        self.calls.append((modality, len(images)))
        if len(self.calls) > self.stop_after:
            raise KeyboardInterrupt
        return [self._map(image, modality, seed) for image in images]

    def _map(self, image: Image.Image, modality: str, seed: int) -> MapStep:
        index = image.getpixel((0, 0))[0]
        truth = truth_of(index)
        arrays = {"depth": truth.depth_m, "labels": truth.labels, "instances": truth.instances}
        drawn = self.modalities[modality].encode(Reading(arrays, {"depth": "m"}))
        noise = np.random.default_rng(seed + index).normal(0, self.noise, drawn.shape)
        return MapStep(modality, (drawn + noise).astype(np.float32), image)


@pytest.fixture
def cooper() -> FakeCooper:
    return FakeCooper()


@pytest.fixture
def items() -> list[Item]:
    return [item_of(index) for index in range(22)]


@pytest.fixture
def truths() -> list[Example]:
    return [truth_of(index) for index in range(7)]


@pytest.fixture
def conventions() -> Conventions:
    return Conventions(near=0.5, far=5.0, names=NAMES, things=frozenset({3, 4}), void=0)
