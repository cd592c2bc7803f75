"""How latents enter the network: time embedding and the frozen sin/cos position tables.

N: latent tokens. H: hidden width. M: side of a position table.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

TIME_WIDTH = 256


class TimeEmbedder(nn.Sequential):
    """t in [0, 1], not rescaled -> [cos(t w), sin(t w)] of 256 numbers -> linear, SiLU, linear."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__(nn.Linear(TIME_WIDTH, hidden_size), nn.SiLU(), nn.Linear(hidden_size, hidden_size))

    def forward(self, t_N: Tensor) -> Tensor:
        half = TIME_WIDTH // 2
        w = torch.exp(-math.log(10000) / half * torch.arange(half, device=t_N.device, dtype=torch.float32))
        angle = t_N.float()[:, None] * w
        waves = torch.cat([angle.cos(), angle.sin()], dim=-1)
        first = self[0]
        assert isinstance(first, nn.Linear)
        return super().forward(waves.to(first.weight.dtype))


@dataclass(frozen=True)
class Waves:
    """The angular frequencies of a position table, in radians per cell: from `scale` down to `scale / base`.

    The published ones suit tables of 64 cells a side; on 8 cells neighbours would differ in a few of their numbers only.
    """

    scale: float = 1.0
    base: float = 10000.0


PUBLISHED_WAVES = Waves()


class PositionTable(nn.Module):
    """A frozen table of 2-D sin/cos positions, saved with the weights because inference reads the stored one."""

    table: Tensor

    def __init__(self, side: int, width: int, waves: Waves) -> None:
        super().__init__()
        self.register_buffer("table", sincos_table(side, width, waves))

    def forward(self, position_N: Tensor) -> Tensor:
        return self.table[position_N]


def sincos_table(side: int, width: int, waves: Waves = PUBLISHED_WAVES) -> Tensor:
    """[side * side, width]: the first half encodes the column, the second the row; each is [sin(c w), cos(c w)],
    w_k = scale * base^(-k / (width / 4)). Index row * side + column. Computed in float64."""
    quarter = width // 4
    w = waves.scale * waves.base ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
    angle = torch.arange(side, dtype=torch.float64)[:, None] * w
    waves_MW = torch.cat([angle.sin(), angle.cos()], dim=-1)
    columns = waves_MW[None, :, :].expand(side, side, -1)
    rows = waves_MW[:, None, :].expand(side, side, -1)
    return torch.cat([columns, rows], dim=-1).reshape(side * side, width).float()
