"""Rectified flow in pure functions: time schedules and guidance (spec sections 10 and 11). t = 1 is noise.

N: latent tokens of one picture. D: width of a latent token. B: pictures.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cooper.model.config import DrawingDefaults


def shifted(t: Tensor, shift: float) -> Tensor:
    """Move times towards noise: t -> shift t / (1 + (shift - 1) t)."""
    return shift * t / (1 + (shift - 1) * t)


def schedule(num_timesteps: int, shift: float) -> Tensor:
    """Times from 1 down to 0, ends included; `num_timesteps - 1` Euler steps lie between them.

    >>> schedule(3, 3.0).tolist()
    [1.0, 0.75, 0.0]
    """
    return shifted(torch.linspace(1, 0, num_timesteps), shift)


def schedule_from(t: float, steps: int, shift: float) -> list[float]:
    """Times from `t` down to 0, ends included, of as many Euler steps, placed as `schedule` places them.

    >>> schedule_from(0.75, 1, 3.0)
    [0.75, 0.0]
    """
    begin = t / (shift - (shift - 1) * t)
    even = [begin * (steps - number) / steps for number in range(steps + 1)]
    return [shift * u / (1 + (shift - 1) * u) for u in even]


@dataclass(frozen=True)
class Branches:
    """Which contexts a guided step needs beside the main one."""

    text: bool
    image: bool


def branches(settings: DrawingDefaults, t: float) -> Branches:
    """Guidance acts inside its interval only, and not at all without a text scale above 1 (as published)."""
    low, high = settings.interval
    inside = low < t <= high and settings.text_scale > 1
    return Branches(inside, inside and settings.image_scale > 1)


def guided(v_BND: Tensor, text_BND: Tensor, image_BND: Tensor | None, settings: DrawingDefaults) -> Tensor:
    """Combine the velocities of the main context, the one without text, and the one without picture.

    `global` renormalises over all tokens of one picture, `channel` per token, `text_channel` per token before the image step.
    """
    w = text_BND + settings.text_scale * (v_BND - text_BND)
    if settings.renorm == "text_channel":
        w = _renormalised(w, v_BND, settings.renorm_min, dims=(-1,))
    out = w if image_BND is None else image_BND + settings.image_scale * (w - image_BND)
    if settings.renorm == "global":
        return _renormalised(out, v_BND, settings.renorm_min, dims=(-2, -1))
    return _renormalised(out, v_BND, settings.renorm_min, dims=(-1,)) if settings.renorm == "channel" else out


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A normal distribution of latents with one standard deviation for all numbers."""

    mean_ND: Tensor
    std: float

    def mean_logprob(self, x_ND: Tensor) -> Tensor:
        """Log-density of `x_ND`, averaged over its numbers, so that pictures of any size weigh alike."""
        squares = ((x_ND - self.mean_ND) / self.std).pow(2).mean()
        return -0.5 * squares - math.log(self.std) - 0.5 * math.log(2 * math.pi)


def noisy_step(x_ND: Tensor, v_ND: Tensor, t: float, t_next: float, noise: float) -> Gaussian:
    """One step from time t to t_next of the stochastic equation whose states are distributed as those of the flow at each time
    (Liu et al. 2025, Flow-GRPO, eq. 9 and 10): with s = noise * sqrt(t / (1 - t)),

        x_next ~ N(x + (v + s^2 / (2 t) (x + (1 - t) v)) (t_next - t),  s^2 (t - t_next))

    At t = 1 the fraction takes t_next in place of t below its line. With noise -> 0 it is the Euler step of the flow.
    """
    s2 = noise**2 * t / (1 - (t if t < 1 else t_next))
    drift_ND = v_ND + s2 / (2 * t) * (x_ND + (1 - t) * v_ND)
    return Gaussian(x_ND + drift_ND * (t_next - t), math.sqrt(s2 * (t - t_next)))


def _renormalised(x: Tensor, like: Tensor, lowest: float, dims: tuple[int, ...]) -> Tensor:
    norm, target = (y.norm(dim=dims, keepdim=True) for y in (x, like))
    return x * (target / (norm + 1e-8)).clamp(lowest, 1.0)
