"""Two experts as one idea: twin modules, and rows routed by token kind.

Understanding tokens (text, ViT, every start and end mark) come first in a packed sequence, latents last, so routing is a
split at one known place. L: tokens. D: width.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class PerExpert(nn.Module):
    """A module that exists twice: `und` for understanding tokens, `gen` for latent tokens."""

    def __init__(self, build: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.und = build()
        self.gen = build()

    def forward(self, x_LD: Tensor, und: int) -> Tensor:
        """Send the first `und` rows through one twin and the rest through the other."""
        if und == len(x_LD):
            return self.und(x_LD)
        if und == 0:
            return self.gen(x_LD)
        return torch.cat([self.und(x_LD[:und]), self.gen(x_LD[und:])])
