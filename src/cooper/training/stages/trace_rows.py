"""Rows of traces as trees: pictures that several traces share, the traces as branches, and maps of them that are drawn, too."""

from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile

import numpy as np
from PIL import Image
from torch import Tensor

from cooper.data.batches import rng_of
from cooper.data.examples import TraceGroup, TraceSource
from cooper.files.pictures import GREY, grey_picture
from cooper.scenes.lessons import hiding
from cooper.sequence.layout import Layout, Views
from cooper.sequence.packing import Row
from cooper.sequence.segments import Segment
from cooper.trace.steps import MapStep, Question
from cooper.trace.trace import Trace
from cooper.training.stages.rows import MapRows, to_pixels


@dataclass(frozen=True, eq=False)
class TraceRows:
    """Rows of traces. Maps of them are flow targets, too: a share `drawn`. `grey`: in every row the model must not look."""

    source: TraceSource
    maps: MapRows
    views: Views
    drawn: float
    grey: bool = False

    def group(self, number: int, index: int, kind: str, count: int) -> TraceGroup:
        """The traces of row `number` of the run: `count` of a kind about one picture."""
        found = self.source.group(number, index, kind, count)
        return TraceGroup(tuple(map(greyed, found.traces)), targets=False) if self.grey else found

    def tree(self, number: int, group: TraceGroup) -> Row:
        """Traces about the same pictures, as branches behind those that stand before all words."""
        layout = Layout(self.maps.processor, self.views, lambda image: self.maps.latents.get(partial(self._pixels, image)))
        first = group.traces[0]
        shared = tuple(takewhile(lambda part: not isinstance(part, str), first.question.parts))
        segments: list[Segment] = layout.question(Question(shared), first.mode, first.system)
        parents = list(range(-1, len(segments) - 1))
        tree = _Tree(segments, parents, len(segments) - 1, group.targets)
        for place, trace in enumerate(group.traces):
            rest = Question(trace.question.parts[len(shared) :])
            self._branch(layout, replace(trace, question=rest), number * 64 + place, tree)
        return Row(tuple(segments), tuple(parents))

    def fill(self, number: int, group: TraceGroup) -> None:
        """Encode the pictures that a row needs, which is much faster together than one by one."""
        wanted = []
        for place, trace in enumerate(group.traces):
            if "vae" in self.views.of_input(trace.mode):
                wanted += [partial(self._pixels, image) for image in trace.question.images]
            for at, step in enumerate(trace.steps):
                if isinstance(step, MapStep):
                    target = group.targets and self._is_target(step, number * 64 + place, at)
                    wanted += [partial(to_pixels, step.drawn)] * target
                    wanted += [partial(self._pixels, step.image)] * ("vae" in self.views.map)
        self.maps.latents.fill([(None, pixels) for pixels in wanted])

    def _pixels(self, image: Image.Image) -> Tensor:
        return self.maps.processor.vae_pixels(image)

    def _branch(self, layout: Layout, trace: Trace, key: int, tree: "_Tree") -> None:
        """The rest of the question and every step, one behind the other; flow targets hang beside their map. A map that is
        drawn last is not read."""
        last = tree.trunk
        for segment in layout.question(trace.question, trace.mode):
            last = tree.add(segment, last)
        for place, step in enumerate(trace.steps):
            if isinstance(step, MapStep) and tree.drawn and self._is_target(step, key, place):
                latent = self.maps.latents.get(partial(to_pixels, step.drawn))
                patch = self.maps.processor.geometry.latent_patch
                tree.add(self.maps.noise.of(latent, patch, key, place), last)
                if place + 1 == len(trace.steps):
                    return
            for segment in layout.step(step, loss=True):
                last = tree.add(segment, last)

    def _is_target(self, step: MapStep, key: int, place: int) -> bool:
        return step.drawn.size > 0 and rng_of(self.maps.noise.seed, key, place, 13).random() < self.drawn


@dataclass(frozen=True, eq=False)
class _Tree:
    """The growing lists of one row; only `TraceRows.tree` holds one."""

    segments: list[Segment]
    parents: list[int]
    trunk: int
    drawn: bool  # whether maps are flow targets, too

    def add(self, segment: Segment, parent: int) -> int:
        self.segments.append(segment)
        self.parents.append(parent)
        return len(self.segments) - 1


def greyed(trace: Trace) -> Trace:
    """A trace whose pictures, asked about and drawn, are all mid grey; its words stay."""
    steps = tuple(
        MapStep(step.modality, np.full_like(step.drawn, GREY / 255), grey_picture(step.image))
        if isinstance(step, MapStep)
        else step
        for step in trace.steps
    )
    return replace(hiding(trace), steps=steps)
