"""Random numbers of one row, from a seed."""

from typing import Protocol

import torch
from torch import Tensor


class Randomness(Protocol):
    """One row's own source of random numbers, so that a row does not depend on its neighbours."""

    def uniform(self) -> float: ...

    def normal(self, tokens: int, width: int) -> Tensor: ...


class Seeded:
    """Random numbers of one row from a seed; made on the CPU, so the same on every device."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self) -> float:
        return float(torch.rand((), generator=self.generator, dtype=torch.float64))

    def normal(self, tokens: int, width: int) -> Tensor:
        return torch.randn(tokens, width, generator=self.generator)
