"""Teaching a drawing network to draw in a few forward passes, without guidance branches.

From a noised map x_t the student learns the velocity that leads straight to where its teacher ends, v = (x_t - x_0) / t. One
Euler step from noise then lands there, and a second one, from nearer, corrects the first. The network keeps its shape, so the
checkpoint is read and run as before.

N: latent tokens of the batch. D: width of a latent token. M: tokens that are learnt.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from cooper.errors import CooperError
from cooper.files.values import AtLeast, AtMost
from cooper.model.config import DrawingDefaults
from cooper.model.cooper import CooperModel
from cooper.model.flow import branches, guided, schedule, schedule_from
from cooper.sequence.packed import Noising, PackedSequence
from cooper.training.scale.adapters import adapters_off
from cooper.training.scale.sharding import is_adapter
from cooper.training.stages.objective import PackedObjective

NEAR = 1e-6  # times that differ by less are one
Passes = Annotated[int, AtLeast(1), AtMost(1000)]


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """Distillation of the network that `init` names into itself. `steps`: the numbers of Euler steps that it is to draw in; the
    largest becomes its own, without guidance. `passes`: Euler steps of the teacher from a noised map to its end; the teacher
    draws as the checkpoint says, guidance included. `method`: `endpoint`, the teacher goes all the way; or `consistency` (Song
    et al. 2023), it does the first of its steps and the student itself says where the rest leads."""

    steps: tuple[Passes, ...] = (1, 2, 4)
    passes: Passes = 4
    method: Literal["endpoint", "consistency"] = "endpoint"

    def __post_init__(self) -> None:
        if not self.steps:
            raise CooperError("distil.steps names no number of steps")

    def grids(self, drawing: DrawingDefaults) -> tuple[tuple[float, ...], ...]:
        """The times that are learnt: those at which a map of so many steps asks for a velocity, for each of `steps`; and for
        consistency those of the teacher, too, for every one of them leans on the next."""
        counts = self.steps if self.method == "endpoint" else (*self.steps, self.passes)
        return tuple(tuple(schedule(count + 1, drawing.timestep_shift)[:-1].tolist()) for count in counts)

    def times(self, t: float, drawing: DrawingDefaults) -> list[float]:
        """The times of the teacher's steps from `t`: all the way, or the first alone, to the next of its own times."""
        if self.method == "endpoint":
            return schedule_from(t, self.passes, drawing.timestep_shift)
        own = schedule_from(1.0, self.passes, drawing.timestep_shift)
        return [t, max(each for each in own if each < t - NEAR)]

    def drawing(self, teacher: DrawingDefaults) -> DrawingDefaults:
        """How the finished network draws."""
        return replace(teacher, num_timesteps=max(self.steps) + 1, text_scale=1.0, image_scale=1.0)


def is_guided(drawing: DrawingDefaults) -> bool:
    """Whether a teacher needs copies of noised maps without their request, and without their picture."""
    return drawing.text_scale > 1


class DistilledObjective(PackedObjective):
    """As its parent, with velocities that lead to the teacher's maps in place of the true ones. The teacher is the network as
    it was before its first step: below its adapters, or a copy, which is no part of what is trained and stored."""

    distillation: Distillation
    drawing: DrawingDefaults  # the teacher's

    def distil(self, distillation: Distillation, drawing: DrawingDefaults, copied: bool = True) -> None:
        """Take a teacher; without `copied` the network itself, for a plan of what a step costs."""
        self.distillation, self.drawing = distillation, drawing
        adapted = any(is_adapter(name) for name, _ in self.model.named_parameters())
        copies = [] if adapted or not copied else [deepcopy(self.model).eval().requires_grad_(False)]
        self._copy = tuple(copies)  # a tuple hides it from the trainer

    def forward(self, batch: PackedSequence) -> Tensor:
        leading = replace(batch.targets, velocity_MD=self.leading(batch)[batch.targets.velocity_index_M])
        return super().forward(replace(batch, targets=leading))

    @torch.no_grad()
    def leading(self, batch: PackedSequence) -> Tensor:
        """Velocities [N, D] that lead from each noised map to the teacher's; 0 for other tokens."""
        x_ND, ends_ND = batch.latents.tokens_ND, self._ends(batch)
        v_ND = torch.zeros_like(x_ND)
        for main, *_ in groups(batch.latents.noisings):
            v_ND[main.place] = (x_ND[main.place] - ends_ND[main.place]) / main.t
        return v_ND

    def _ends(self, batch: PackedSequence) -> Tensor:
        """Where the teacher ends from each noised map, [N, D]; with consistency, after its one step, the network itself."""
        several = groups(batch.latents.noisings)
        times = [self.distillation.times(main.t, self.drawing) for main, *_ in several]
        for number in range(len(times[0]) - 1):
            v_ND = self._taught(batch)
            moves = [(self._guided(v_ND, group, at[number]), at[number]) for group, at in zip(several, times, strict=True)]
            batch = _moved(batch, moves, [at[number + 1] for at in times])
        if self.distillation.method == "consistency":
            v_ND = velocities(self.model, batch)
            moves = [(v_ND[main.place], at[-1]) for (main, *_), at in zip(several, times, strict=True)]
            batch = _moved(batch, moves, [0.0] * len(several))
        return batch.latents.tokens_ND

    def _taught(self, batch: PackedSequence) -> Tensor:
        if self._copy:
            teacher = self._copy[0]
            teacher.to(batch.device)  # pyright: ignore[reportArgumentType] - its decorator hides the signature
            return velocities(teacher, batch)
        with adapters_off(self.model):
            return velocities(self.model, batch)

    def _guided(self, v_ND: Tensor, group: Sequence[Noising], t: float) -> Tensor:
        """The velocity of one map at time `t`, of all its branches inside the interval of guidance."""
        kinds = branches(self.drawing, t)
        if not kinds.text:
            return v_ND[group[0].place]
        main, text, *image = (v_ND[each.place] for each in group)
        return guided(main, text, image[0] if kinds.image else None, self.drawing)


def velocities(model: CooperModel, batch: PackedSequence) -> Tensor:
    """The velocities of all latent tokens, float32 [N, D]."""
    return model.velocity(model(batch)[batch.und :]).float()


def groups(noisings: Sequence[Noising]) -> list[list[Noising]]:
    """Each noised map with its copies for guidance, which follow it."""
    found: list[list[Noising]] = []
    for each in noisings:
        if each.branch == 0:
            found.append([])
        found[-1].append(each)
    return found


def _moved(batch: PackedSequence, moves: Sequence[tuple[Tensor, float]], after: Sequence[float]) -> PackedSequence:
    """The batch with every map, and its copies, moved along its velocity from its time to the one `after`."""
    x_ND, t_N = batch.latents.tokens_ND.clone(), batch.latents.t_N.clone()
    for group, (v_ND, t), t_after in zip(groups(batch.latents.noisings), moves, after, strict=True):
        moved_ND = x_ND[group[0].place] - v_ND * (t - t_after)
        for each in group:
            x_ND[each.place], t_N[each.place] = moved_ND, t_after
    return replace(batch, latents=replace(batch.latents, tokens_ND=x_ND, t_N=t_N))
