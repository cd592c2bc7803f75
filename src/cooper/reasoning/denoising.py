"""Drawing maps for many rows at once: Euler steps of the flow, guidance branches in the same forward pass.

C: branches of all rows. N: latent tokens of a picture, or of all branches. D: width of a latent token.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

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
    """A row about to draw on an (h, w) grid of latent tokens from `noise_ND`, as `settings` say.

    `text` and `image` are the guidance contexts: the row without its request, and without its picture. With `noise` above 0
    all steps but the last are drawn from `noisy_step`, by numbers that `random` is asked for; the last one is an Euler step,
    because its noise would stay in the map.
    """

    main: Context
    grid: tuple[int, int]
    noise_ND: Tensor
    text: Context | None = None
    image: Context | None = None
    random: Randomness | None = None
    settings: DrawingDefaults = DrawingDefaults()
    noise: float = 0.0


@dataclass(frozen=True)
class Denoised:
    """Steps that one row has done, of all."""

    row: int
    done: int
    total: int


@dataclass(frozen=True, eq=False)
class DrawnLatents:
    """The finished latents [N, D] of one row. Where steps were noisy: the K + 1 states before and after the noisy steps, each
    [N, D], and the K log-probabilities of those steps."""

    row: int
    latents_ND: Tensor
    path: tuple[Tensor, ...] = ()
    logprobs: tuple[float, ...] = ()


@dataclass(eq=False)
class _Drawing:
    """A map under way."""

    row: int
    drawer: Drawer
    times: list[float]
    state_ND: Tensor
    path: list[Tensor]
    logprobs: list[float] = field(default_factory=list)
    done: int = 0
    clean_ND: Tensor | None = None  # where the last velocity leads

    @property
    def total(self) -> int:
        return len(self.times) - 1

    @property
    def branches(self) -> Branches:
        return branches(self.drawer.settings, self.times[self.done])

    def contexts(self) -> list[Context]:
        """What the next step is conditioned on: the row, then the row without its request, then without its picture."""
        drawer, kinds = self.drawer, self.branches
        others = [(kinds.text, drawer.text), (kinds.image, drawer.image)]
        return [drawer.main, *(context or drawer.main for needed, context in others if needed)]

    def advance(self, v: Sequence[Tensor]) -> None:
        """One step along the velocities [N, D] of the row's one, two or three branches."""
        settings, (t, after) = self.drawer.settings, self.times[self.done : self.done + 2]
        v_ND = v[0] if len(v) == 1 else guided(v[0], v[1], v[2] if len(v) == 3 else None, settings)
        self.clean_ND = self.state_ND - v_ND * t
        if self.drawer.noise and self.done < self.total - 1:
            self.state_ND, logprob = _noisy(self.drawer, self.state_ND, v_ND, (t, after))
            self.path.append(self.state_ND)
            self.logprobs.append(logprob)
        else:
            self.state_ND = self.state_ND - v_ND * (t - after)
        self.done += 1

    def drawn(self) -> DrawnLatents:
        """The finished latents. Steps were noisy in those rows only that say so."""
        path = tuple(self.path) if self.drawer.noise else ()
        return DrawnLatents(self.row, self.state_ND, path, tuple(self.logprobs))


@dataclass(frozen=True, eq=False)
class _Batch:
    """The branches of one forward pass, laid out once and filled with new latents at each step. `counts`: branches of each row;
    `sizes`: tokens of each branch; `branch_N`: the branch of each token."""

    packed: PackedSequence
    cache: Cache
    counts: list[int]
    sizes: list[int]
    branch_N: Tensor

    def velocities(self, model: CooperModel, drawings: Sequence[_Drawing]) -> Iterator[list[Tensor]]:
        """The velocities of each drawing, one for each of its branches."""
        several = [drawing for drawing, count in zip(drawings, self.counts, strict=True) for _ in range(count)]
        tokens_ND = torch.cat([drawing.state_ND for drawing in several])
        t_C = torch.tensor([drawing.times[drawing.done] for drawing in several], device=tokens_ND.device)
        latents = replace(self.packed.latents, tokens_ND=tokens_ND, t_N=t_C[self.branch_N])
        hidden = model(replace(self.packed, latents=latents), self.cache)
        v = iter(model.velocity(hidden[self.packed.und :]).to(tokens_ND).split(self.sizes))
        for count in self.counts:
            yield [next(v) for _ in range(count)]


class Denoising:
    """The rows that draw: each step brings every one of them one step nearer to its map, all branches in one forward pass. Rows
    join and leave between two steps, and each has a schedule and guidance of its own."""

    def __init__(self, model: CooperModel, geometry: Geometry) -> None:
        self._model, self._geometry = model, geometry
        self._drawings: list[_Drawing] = []
        self._laid: tuple[list[tuple[int, Branches]], _Batch] | None = None

    @property
    def rows(self) -> list[int]:
        """The rows that draw, by the numbers that they joined with."""
        return [drawing.row for drawing in self._drawings]

    def join(self, drawers: Mapping[int, Drawer]) -> None:
        """Let rows draw a map each from the next step on."""
        for row, drawer in drawers.items():
            times = schedule(drawer.settings.num_timesteps, drawer.settings.timestep_shift).tolist()
            state_ND = drawer.noise_ND.to(self._model.device, torch.float32)
            self._drawings.append(_Drawing(row, drawer, times, state_ND, [state_ND]))

    def leave(self, rows: Collection[int]) -> None:
        """Drop rows, with the maps under way."""
        self._drawings = [drawing for drawing in self._drawings if drawing.row not in rows]
        self._laid = self._laid if self._drawings else None

    def clean(self, row: int) -> Tensor | None:
        """The latents [N, D] that the map of a row is on the way to; None before its first step, or where it does not draw."""
        return next((drawing.clean_ND for drawing in self._drawings if drawing.row == row), None)

    @torch.no_grad()
    def step(self) -> Iterator[Denoised | DrawnLatents]:
        """One step more in every row; maps that are finished with it come too, and their rows have left."""
        if not self._drawings:
            return
        drawings = list(self._drawings)
        for drawing, v in zip(drawings, self._batch().velocities(self._model, drawings), strict=True):
            drawing.advance(v)
        self.leave({drawing.row for drawing in drawings if drawing.done == drawing.total})
        for drawing in drawings:
            yield Denoised(drawing.row, drawing.done, drawing.total)
            if drawing.done == drawing.total:
                yield drawing.drawn()

    def _batch(self) -> _Batch:
        """The layout of the next step; that of the last one where rows and branches are the same."""
        key = [(drawing.row, drawing.branches) for drawing in self._drawings]
        if self._laid is None or self._laid[0] != key:
            self._laid = (key, self._lay_out())
        return self._laid[1]

    def _lay_out(self) -> _Batch:
        contexts = [drawing.contexts() for drawing in self._drawings]
        drawers = [drawing.drawer for drawing, some in zip(self._drawings, contexts, strict=True) for _ in some]
        flat = [context for some in contexts for context in some]
        rows = [
            Row((NoisedSegment(drawer.noise_ND, 1.0, drawer.grid),), start=context.rope)
            for drawer, context in zip(drawers, flat, strict=True)
        ]
        sizes, device = [len(drawer.noise_ND) for drawer in drawers], self._model.device
        branch_N = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)).to(device)
        packed = pack(rows, self._geometry).to(device)
        return _Batch(packed, bind(self._model, flat), list(map(len, contexts)), sizes, branch_N)


def _noisy(drawer: Drawer, x_ND: Tensor, v_ND: Tensor, times: tuple[float, float]) -> tuple[Tensor, float]:
    """The next state of one row, drawn from its own random numbers, and the log-probability of that step."""
    assert drawer.random is not None, "noisy steps need random numbers"
    likely = noisy_step(x_ND, v_ND, *times, drawer.noise)
    after_ND = likely.mean_ND + likely.std * drawer.random.normal(*x_ND.shape).to(x_ND)
    return after_ND, float(likely.mean_logprob(after_ND))
