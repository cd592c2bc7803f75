"""Drawing maps for many rows at once: Euler steps of the flow, guidance branches in the same forward pass.

B: rows. N: latent tokens of a picture. D: width of a latent token.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cooper.model.cache import Cache
from cooper.model.config import DrawingDefaults
from cooper.model.cooper import CooperModel
from cooper.model.flow import Branches, branches, guided, schedule
from cooper.reasoning.context import Context, bind
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import Geometry, Row, pack
from cooper.sequence.segments import NoisedSegment


@dataclass(frozen=True, eq=False)
class Drawer:
    """A row about to draw on an (h, w) grid of latent tokens from `noise_ND`.

    `text` and `image` are the guidance contexts: the row without its request, and without its picture.
    """

    main: Context
    grid: tuple[int, int]
    noise_ND: Tensor
    text: Context | None = None
    image: Context | None = None


@dataclass(frozen=True)
class Progress:
    """Euler steps done of all."""

    done: int
    total: int


@dataclass(frozen=True, eq=False)
class Drawn:
    """The finished latents [N, D] of every row."""

    latents: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class _Batch:
    """The rows of one forward pass, laid out once and filled with new latents at each step."""

    packed: PackedSequence
    cache: Cache
    sizes: list[int]

    def velocities(self, model: CooperModel, states: Sequence[Tensor], t: Tensor) -> list[Tensor]:
        tokens_ND = torch.cat(list(states))
        latents = replace(self.packed.latents, tokens_ND=tokens_ND, t_N=t.expand(len(tokens_ND)))
        hidden = model(replace(self.packed, latents=latents), self.cache)
        return list(model.velocity(hidden[self.packed.und :]).float().split(self.sizes))


def _batch(model: CooperModel, geometry: Geometry, drawers: Sequence[Drawer], kinds: Branches) -> _Batch:
    contexts = [d.main for d in drawers]
    contexts += [d.text or d.main for d in drawers] if kinds.text else []
    contexts += [d.image or d.main for d in drawers] if kinds.image else []
    several = list(drawers) * (len(contexts) // len(drawers))
    rows = [
        Row((NoisedSegment(drawer.noise_ND, 1.0, drawer.grid),), start=context.rope)
        for drawer, context in zip(several, contexts, strict=True)
    ]
    return _Batch(
        pack(rows, geometry).to(model.device),
        bind(model, contexts),
        [len(d.noise_ND) for d in several],
    )


@torch.no_grad()
def draw(
    model: CooperModel,
    geometry: Geometry,
    drawers: Sequence[Drawer],
    settings: DrawingDefaults,
) -> Iterator[Progress | Drawn]:
    """Integrate the flow from noise to latents in every row; yields after each Euler step, the result last."""
    times = schedule(settings.num_timesteps, settings.timestep_shift).to(model.device)
    states = [drawer.noise_ND.to(model.device, torch.float32) for drawer in drawers]
    batches: dict[Branches, _Batch] = {}
    for step in range(len(times) - 1):
        kinds = branches(settings, float(times[step]))
        if kinds not in batches:
            batches[kinds] = _batch(model, geometry, drawers, kinds)
        copies = 1 + kinds.text + kinds.image
        v = batches[kinds].velocities(model, states * copies, times[step])
        states = [x - _combined(v[b :: len(states)], settings) * (times[step] - times[step + 1]) for b, x in enumerate(states)]
        yield Progress(step + 1, len(times) - 1)
    yield Drawn(tuple(states))


def _combined(v: Sequence[Tensor], settings: DrawingDefaults) -> Tensor:
    """The velocity of one row from its one, two or three branches."""
    if len(v) == 1:
        return v[0]
    return guided(v[0], v[1], v[2] if len(v) == 3 else None, settings)
