"""Rollouts: sampled traces together with the tensors that score them, kept from sampling on and never made anew.

N: latent tokens of a map. D: width of a latent token. K: noisy steps of a drawing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from cooper.data.item import Item
from cooper.model.flow import schedule
from cooper.reasoning.options import Options
from cooper.sequence.layout import Layout
from cooper.sequence.packing import Row
from cooper.sequence.segments import NoisedSegment, Segment
from cooper.trace.steps import MapStep, TextStep
from cooper.trace.trace import Trace


@dataclass(frozen=True, eq=False)
class Drawing:
    """The noisy steps of one map: the state before each as a branch of the row, the state behind it, and its two times."""

    before: tuple[NoisedSegment, ...]
    after: tuple[Tensor, ...]
    times: tuple[tuple[float, float], ...]
    noise: float


@dataclass(frozen=True, eq=False)
class RolloutStep:
    """One step of a trace: how it was drawn (scored, if at all), what the model read of it, and its entries in a completion."""

    segments: tuple[Segment, ...]
    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    drawing: Drawing | None = None

    @property
    def written(self) -> bool:
        """Whether its entries were sampled by the model, and so are scored."""
        return len(self.logprobs) == len(self.ids)


@dataclass(frozen=True, eq=False)
class Rollout:
    """One trace with its tensors. `beginning` is shared by the rollouts of one question.

    A completion is the list of entries behind the question: sampled tokens, one entry for each noisy step of a map, and
    what the model did not write (texts of prompts, maps drawn without noise), which is there to be read and not scored.
    """

    item: Item
    trace: Trace
    beginning: tuple[Segment, ...]
    pieces: tuple[RolloutStep, ...]

    @property
    def ids(self) -> list[int]:
        return [token for piece in self.pieces for token in piece.ids]

    @property
    def mask(self) -> list[int]:
        """1 for each entry that the model wrote, else 0."""
        return [int(piece.written) for piece in self.pieces for _ in piece.ids]

    @property
    def logprobs(self) -> list[float]:
        """The sampler's log-probabilities, 0 where nothing was sampled."""
        return [p for piece in self.pieces for p in (piece.logprobs if piece.written else (0.0,) * len(piece.ids))]


def rollouts_of(item: Item, traces: Sequence[Trace], layout: Layout, options: Options) -> list[Rollout]:
    """Sampled traces of one question with their tensors, laid out as the sampler read them."""
    beginning = tuple(layout.question(traces[0].question, traces[0].mode, traces[0].system))
    return [
        Rollout(
            item,
            trace,
            beginning,
            tuple(_drawn(s, layout, options) if isinstance(s, MapStep) else _said(s, layout) for s in trace.steps),
        )
        for trace in traces
    ]


def _said(step: TextStep, layout: Layout) -> RolloutStep:
    if step.author == "model":
        return RolloutStep((layout.turn(step, loss=True),), step.token_ids, step.logprobs)
    segments = tuple(layout.step(step))
    return RolloutStep(segments, layout.processor.encode(step.text) or (layout.processor.geometry.eos,), ())


def _drawn(step: MapStep, layout: Layout, options: Options) -> RolloutStep:
    geometry, segments = layout.processor.geometry, tuple(layout.step(step))
    if step.path is None or len(step.path) == 1:
        return RolloutStep(segments, (geometry.image_start,), ())
    path, (height, width, _) = torch.from_numpy(step.path), step.drawn.shape
    columns = round((path.shape[1] * width / height) ** 0.5)
    grid = (path.shape[1] // columns, columns)
    times = schedule(options.drawing.num_timesteps, options.drawing.timestep_shift).tolist()
    before = tuple(
        NoisedSegment(state, t, grid, velocity_ND=torch.zeros_like(state))  # a target, so that its velocity is looked at
        for state, t in zip(path[:-1], times[: len(path) - 1], strict=True)
    )
    spans = tuple(pairwise(times))[: len(before)]
    drawing = Drawing(before, tuple(path[1:]), spans, options.map_noise)
    return RolloutStep(segments, (geometry.image_start,) * len(before), step.logprobs, drawing)


def row_of(rollouts: Sequence[Rollout]) -> Row:
    """Rollouts of one question as branches behind it; the states of a drawing hang where the map was asked for."""
    segments: list[Segment] = list(rollouts[0].beginning)
    parents = list(range(-1, len(segments) - 1))
    trunk = len(segments) - 1
    for rollout in rollouts:
        last = trunk
        for piece in rollout.pieces:
            states = piece.drawing.before if piece.drawing else ()
            segments += states
            parents += [last] * len(states)
            for segment in piece.segments:
                segments.append(segment)
                parents.append(last)
                last = len(segments) - 1
    return Row(tuple(segments), tuple(parents))
