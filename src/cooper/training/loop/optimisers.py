"""Which optimiser moves which weight."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

from cooper.model.devices import computes_bf16
from cooper.training.recipe import Optimiser

IN_A_LAYER = re.compile(r"(^|\.)layers\.\d+\.")


class Together(Optimizer):
    """Several optimisers that step as one. Groups are shared with the parts, so that a scheduler reaches all of them."""

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        self.parts = tuple(parts)
        super().__init__([group for part in parts for group in part.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        loss = None if closure is None else closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


class Float32Muon(Muon):
    """torch's Muon, for devices without instructions for bfloat16: torch orthogonalises in bfloat16, and there that takes ten
    times as long as the rest of a step. The state is the same, so that a run may go on elsewhere."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        loss = None if closure is None else closure()
        for group in self.param_groups:
            momentum = group["momentum"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                kept = self.state[weight].setdefault("momentum_buffer", torch.zeros_like(weight.grad))
                kept.lerp_(weight.grad, 1 - momentum)
                update = weight.grad.lerp(kept, momentum) if group["nesterov"] else kept
                update = orthogonalised(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update, alpha=-group["lr"] * 0.2 * max(weight.shape) ** 0.5)  # match_rms_adamw
        return loss


def orthogonalised(matrix: Tensor, coefficients: Sequence[float], steps: int, eps: float) -> Tensor:
    """A matrix with all singular values brought near 1, by the quintic Newton-Schulz iteration of Muon (Jordan et al. 2024)."""
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    found = matrix.T if tall else matrix
    found = found / found.norm().clamp(min=eps)
    for _ in range(steps):
        gram = found @ found.T
        found = a * found + (b * gram + c * gram @ gram) @ found
    return found.T if tall else found


def build_optimiser(module: nn.Module, settings: Optimiser) -> Optimizer:
    """AdamW for all trainable weights; or Muon for the matrices inside layers and AdamW for the rest.

    Muon (Jordan et al. 2024) orthogonalises the momentum of a matrix; its steps are scaled to the size of AdamW's
    (Liu et al. 2025, section 2.2), so that one learning rate serves both.
    """
    named = [(name, weight) for name, weight in module.named_parameters() if weight.requires_grad]
    rate, decay = settings.learning_rate, settings.weight_decay
    adamw = partial(AdamW, lr=rate, betas=settings.betas, eps=settings.eps, weight_decay=decay)
    if settings.kind == "adamw":
        return adamw([weight for _, weight in named])
    matrices = [weight for name, weight in named if is_hidden_matrix(name, weight)]
    others = [weight for name, weight in named if not is_hidden_matrix(name, weight)]
    parts: list[Optimizer] = []
    if matrices:
        kind = Muon if all(computes_bf16(weight.device) for weight in matrices) else Float32Muon
        parts.append(kind(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    if others:
        parts.append(adamw(others))
    return Together(parts)


def is_hidden_matrix(name: str, weight: torch.Tensor) -> bool:
    """A matrix between hidden widths: inside a numbered layer. Embeddings, heads, biases and norms are none."""
    return weight.ndim == 2 and IN_A_LAYER.search(name) is not None
