"""Samples groups of rollouts with the engine that inference uses."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from PIL import Image
from torch import Tensor

from cooper.data.item import Item
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.engine import Engine
from cooper.reasoning.events import DrawingProgress, Event, StepDone, TraceDone
from cooper.reasoning.options import Options
from cooper.reasoning.questions import requests_of
from cooper.sequence.layout import LatentOf
from cooper.trace.steps import MapStep
from cooper.trace.trace import Trace
from cooper.training.rl.rollouts import Rollout, rollouts_of


@dataclass(eq=False)
class Clock:
    """Seconds spent writing and drawing, and how often memory ran out."""

    writing: float = 0.0
    drawing: float = 0.0
    halvings: int = 0
    last: float = 0.0

    def start(self) -> None:
        self.last = time.perf_counter()

    def lap(self, event: Event) -> None:
        """The time since the last event went into this one."""
        now = time.perf_counter()
        step = event.step if isinstance(event, StepDone) else None
        if isinstance(event, DrawingProgress) or isinstance(step, MapStep):
            self.drawing += now - self.last
        else:
            self.writing += now - self.last
        self.last = now


@dataclass(eq=False)
class Sampler:
    """Samples with the weights that `door` holds at the time. `at_once`: questions whose groups are sampled together; it is
    halved, for good, when memory runs out, and below one question the samples of it (`samples_at_once`; None: all)."""

    door: Cooper
    options: Options
    at_once: int
    clock: Clock = field(default_factory=Clock)
    samples_at_once: int | None = None

    @torch.no_grad()
    def sample(self, items: Sequence[Item], samples: int, seed: int) -> list[Rollout]:
        """`samples` rollouts of each item, one item after the other. The same seed gives the same, whatever else is sampled."""
        found: list[Rollout] = []
        while len(found) < len(items) * samples:
            first = len(found) // samples
            chunk = items[first : first + self.at_once]
            try:
                found += self._together(chunk, samples, seed)
                continue
            except (RuntimeError, MemoryError) as error:
                if not _ran_out(error) or self.at_once == self._share(samples) == 1:
                    raise
            self._halve(len(chunk), samples)  # outside the block above, whose traceback holds tensors
        return found

    def _share(self, samples: int) -> int:
        return samples if self.at_once > 1 else min(samples, self.samples_at_once or samples)

    def _halve(self, items: int, samples: int) -> None:
        if self.at_once > 1:
            self.at_once = max(1, min(self.at_once, items) // 2)
        else:
            self.samples_at_once = self._share(samples) // 2
        self.clock.halvings += 1
        torch.cuda.empty_cache()

    def _together(self, items: Sequence[Item], samples: int, seed: int) -> list[Rollout]:
        parts = self.door.engine.parts
        layout = replace(parts.layout, latent_of=remembering(parts.layout.latent_of))
        engine = Engine(replace(parts, layout=layout), self.door.engine.name)
        questions, share = [item.question for item in items], self._share(samples)
        traces: dict[int, Trace] = {}
        self.clock.start()
        for first in range(0, samples, share):
            count = min(share, samples - first)
            for event in engine.run(questions, requests_of(questions, count, seed + first), self.options):
                self.clock.lap(event)
                if isinstance(event, TraceDone):
                    traces[event.row // count * samples + first + event.row % count] = event.trace
        groups = [[traces[place * samples + k] for k in range(samples)] for place in range(len(items))]
        return [
            rollout
            for item, group in zip(items, groups, strict=True)
            for rollout in rollouts_of(item, group, layout, self.options)
        ]


def _ran_out(error: Exception) -> bool:
    """On a CPU torch has no exception of its own for it."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def remembering(latent_of: LatentOf) -> LatentOf:
    """The same, but each picture is encoded once; it lives as long as the function does."""
    known: dict[int, tuple[Image.Image, Tensor]] = {}

    def remembered(image: Image.Image) -> Tensor:
        if id(image) not in known:
            known[id(image)] = (image, latent_of(image))
        return known[id(image)][1]

    return remembered
