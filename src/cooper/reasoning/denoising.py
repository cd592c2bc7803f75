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
from cooper.model.flow import Branches, branches, guided, noisy_step, schedule
from cooper.reasoning.context import Context, Randomness, bind
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import Geometry, Row, pack
from cooper.sequence.segments import NoisedSegment


@dataclass(frozen=True, eq=False)
class Drawer:
    """A row about to draw on an (h, w) grid of latent tokens from `noise_ND`.

    `text` and `image` are the guidance contexts: the row without its request, and without its picture. `random` is asked
    for further noise where steps are noisy.
    """

    main: Context
    grid: tuple[int, int]
    noise_ND: Tensor
    text: Context | None = None
    image: Context | None = None
    random: Randomness | None = None


@dataclass(frozen=True)
class Progress:
    """Euler steps done of all."""

    done: int
    total: int


@dataclass(frozen=True, eq=False)
class DrawnLatents:
    """The finished latents [N, D] of every row. Where steps were noisy: the K + 1 states before and after the noisy steps,
    each [N, D], and the K log-probabilities of those steps."""

    latents: tuple[Tensor, ...]
    paths: tuple[tuple[Tensor, ...], ...] = ()
    logprobs: tuple[tuple[float, ...], ...] = ()


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
        return list(model.velocity(hidden[self.packed.und :]).to(tokens_ND).split(self.sizes))


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
    noise: float = 0.0,
) -> Iterator[Progress | DrawnLatents]:
    """Integrate the flow from noise to latents in every row; yields after each step, the result last.

    Steps are Euler steps. With `noise` above 0 all but the last one are drawn from `noisy_step`; the last one is not,
    because its noise would stay in the map.
    """
    times = schedule(settings.num_timesteps, settings.timestep_shift).to(model.device)
    states = [drawer.noise_ND.to(model.device, torch.float32) for drawer in drawers]
    batches: dict[Branches, _Batch] = {}
    paths, logprobs = [[state] for state in states], [[] for _ in states]
    for step in range(len(times) - 1):
        kinds = branches(settings, float(times[step]))
        if kinds not in batches:
            batches[kinds] = _batch(model, geometry, drawers, kinds)
        copies = 1 + kinds.text + kinds.image
        v = batches[kinds].velocities(model, states * copies, times[step])
        combined = [_combined(v[b :: len(states)], settings) for b in range(len(states))]
        if noise and step < len(times) - 2:
            for b, drawer in enumerate(drawers):
                states[b], logprob = _noisy(drawer, states[b], combined[b], times[step : step + 2].tolist(), noise)
                paths[b].append(states[b])
                logprobs[b].append(logprob)
        else:
            states = [x - v_ND * (times[step] - times[step + 1]) for x, v_ND in zip(states, combined, strict=True)]
        yield Progress(step + 1, len(times) - 1)
    if not noise:
        yield DrawnLatents(tuple(states))
    else:
        yield DrawnLatents(tuple(states), tuple(map(tuple, paths)), tuple(map(tuple, logprobs)))


def _noisy(drawer: Drawer, x_ND: Tensor, v_ND: Tensor, times: Sequence[float], noise: float) -> tuple[Tensor, float]:
    """The next state of one row, drawn from its own random numbers, and the log-probability of that step."""
    assert drawer.random is not None, "noisy steps need random numbers"
    likely = noisy_step(x_ND, v_ND, times[0], times[1], noise)
    after_ND = likely.mean_ND + likely.std * drawer.random.normal(*x_ND.shape).to(x_ND)
    return after_ND, float(likely.mean_logprob(after_ND))


def _combined(v: Sequence[Tensor], settings: DrawingDefaults) -> Tensor:
    """The velocity of one row from its one, two or three branches."""
    if len(v) == 1:
        return v[0]
    return guided(v[0], v[1], v[2] if len(v) == 3 else None, settings)
