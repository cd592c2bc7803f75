"""Averaged weights: after each update, average <- decay * average + (1 - decay) * weight."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from cooper.errors import CooperError
from cooper.training.scale.sharding import part

FILE_NAME = "ema.safetensors"


class Average:
    """The average of a module's trainable weights, in float32; of sharded ones every process averages its part.

    With `warmup` the first updates use the smaller decay (1 + n) / (10 + n), so that random initial weights fade at once.
    """

    def __init__(self, module: nn.Module, decay: float, warmup: bool = True) -> None:
        self.decay, self.warmup = decay, warmup
        self.updates = 0
        self.weights = {
            name: weight.detach().float().clone() for name, weight in module.named_parameters() if weight.requires_grad
        }

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay
        self.updates += 1
        for name, weight in module.named_parameters():
            if name in self.weights:
                part(self.weights[name]).lerp_(part(weight.detach()).float(), 1 - decay)

    def save(self, folder: Path) -> None:
        save_file(self.weights, folder / FILE_NAME, metadata={"updates": str(self.updates)})

    def load(self, folder: Path, updates: int, device: torch.device) -> None:
        """Read what `save` wrote after so many updates. CooperError names the tensor that does not fit."""
        stored = load_file(folder / FILE_NAME)
        if stored.keys() != self.weights.keys():
            odd = sorted(stored.keys() ^ self.weights.keys())[0]
            raise CooperError(f"{folder / FILE_NAME} belongs to another model: {odd} is not in both")
        self.weights = {name: weight.to(device) for name, weight in stored.items()}
        self.updates = updates

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """The module with averaged weights; its own come back afterwards. Both, of float32, change places: no memory is needed,
        and weights that are sharded stay where FSDP knows them."""
        self._exchange(module)
        try:
            yield
        finally:
            self._exchange(module)

    @torch.no_grad()
    def _exchange(self, module: nn.Module) -> None:
        for name, weight in module.named_parameters():
            if name in self.weights:
                here, there = part(weight.detach()), part(self.weights[name])
                own = here.clone()
                here.copy_(there)
                there.copy_(own)
