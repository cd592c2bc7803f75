"""One step of a stage, run on tensors without numbers: what it holds in memory and how much it computes.

The code that trains runs here as it is, so the plan knows of every copy that it makes, and no memory is needed for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from cooper.model.config import CooperConfig
from cooper.model.cooper import CooperModel
from cooper.sequence.packed import PackedSequence
from cooper.training.loop.averaging import Average
from cooper.training.loop.optimisers import build_optimiser
from cooper.training.planning.meter import Meter
from cooper.training.recipe import Optimiser

Build = Callable[[CooperModel], tuple[nn.Module, Callable[[PackedSequence], Tensor]]]  # what is trained, and its loss


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """Of one pack, forward and backward, and one update, on one device that holds everything. Numbers of weights; bytes else.

    `passing`: what lives at the peak besides weights, gradients, the optimiser's state and the average: activations, mostly.
    `updating`: what the update of the weights needs for itself. `flops`: of all matrix products, those computed twice included.
    """

    weights: int
    autoencoder: int
    decoder: int
    layer: int
    trained: int
    tokens: int
    state: int
    average: int
    passing: int
    updating: int
    flops: float


@dataclass(frozen=True, kw_only=True)
class StepSettings:
    """How the weights move; whether products are computed in bfloat16 (`cached`: with copies of all weights, as autocast makes
    them where weights are not sharded); whether averages are kept; whether for an accelerator, where the update takes all
    weights at once and attention keeps no scores."""

    optimiser: Optimiser
    bf16: bool
    averaged: bool
    cached: bool
    accelerator: bool


def cost_of_step(config: CooperConfig, build: Build, packed: PackedSequence, settings: StepSettings) -> StepCost:
    """Run one step without numbers. `packed` must be tiled."""
    with torch.device("meta"):
        model = CooperModel(config)
        model.attention_backend = "fused" if settings.accelerator else "sdpa"
        module, loss_of = build(model)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        _place(module)
        trained = [weight for weight in module.parameters() if weight.requires_grad]
        optimiser = build_optimiser(module, settings.optimiser)
        for group in optimiser.param_groups if settings.accelerator else ():
            group["foreach"] = True
        batch = _without_numbers(packed, mode)
        live = Meter()
        live.hold(module.parameters())
        for weight in trained:
            live.watch(weight)
        weights = live.now
        with live:
            average = Average(module, settings.optimiser.ema) if settings.averaged else None
            averaged = live.now - weights
            with torch.autocast("cpu", torch.bfloat16, settings.bf16, settings.cached):
                loss = loss_of(batch)
            loss.backward()
            del loss
            gradients = sum(weight.grad.nbytes for weight in trained if weight.grad is not None)
            flops, passing = live.flops, live.peak_beside - weights - averaged
            nn.utils.clip_grad_norm_(trained, settings.optimiser.clip)
            optimiser.step()
            state = live.now - weights - averaged - gradients
            live.peak = live.now
            nn.utils.clip_grad_norm_(trained, settings.optimiser.clip)
            optimiser.step()
            if average is not None:
                average.update(module)
            updating = live.peak - weights - averaged - gradients - state
        return StepCost(
            weights=_count(module.parameters()),
            autoencoder=_count(model.vae.parameters()),
            decoder=_count(weight for name, weight in model.layers.named_parameters() if weight.ndim == 2),
            layer=max(_count(layer.parameters()) for layer in model.layers),
            trained=_count(trained),
            tokens=len(packed.position_L),
            state=max(0, state),
            average=averaged,
            passing=max(0, passing),
            updating=max(0, updating),
            flops=float(flops),
        )


def _count(weights: Any) -> int:
    return sum(weight.numel() for weight in weights)


def _place(module: nn.Module) -> None:
    """Give a module on the meta device weights without numbers in float32, in place, as training loads them."""
    for part in module.modules():
        for name, weight in tuple(part.named_parameters(recurse=False)):
            setattr(part, name, nn.Parameter(torch.empty(weight.shape), weight.requires_grad))
        for name, buffer in tuple(part.named_buffers(recurse=False)):
            setattr(part, name, torch.empty(buffer.shape, dtype=buffer.dtype))


def _without_numbers(value: Any, mode: FakeTensorMode) -> Any:
    """A batch with the shapes alone of its tensors."""
    if isinstance(value, Tensor):
        return mode.from_tensor(value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _without_numbers(getattr(value, field.name), mode) for field in fields(value)})
    return value
