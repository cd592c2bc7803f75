"""How latents enter the network: time embedding and the frozen sin/cos position tables.

N: latent tokens. H: hidden width. M: side of a position table.
"""

import math

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


class PositionTable(nn.Module):
    """A frozen table of 2-D sin/cos positions, saved with the weights because inference reads the stored one."""

    table: Tensor

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        self.register_buffer("table", sincos_table(side, width))

    def forward(self, position_N: Tensor) -> Tensor:
        return self.table[position_N]


def sincos_table(side: int, width: int) -> Tensor:
    """[side * side, width]: the first half encodes the column, the second the row; each is [sin(c w), cos(c w)],
    w_k = 10000^(-k / (width / 4)). Index row * side + column. Computed in float64."""
    quarter = width // 4
    w = 10000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
    angle = torch.arange(side, dtype=torch.float64)[:, None] * w
    waves_MW = torch.cat([angle.sin(), angle.cos()], dim=-1)
    columns = waves_MW[None, :, :].expand(side, side, -1)
    rows = waves_MW[:, None, :].expand(side, side, -1)
    return torch.cat([columns, rows], dim=-1).reshape(side * side, width).float()
