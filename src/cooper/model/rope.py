"""Rotary position embedding, half-split form (Qwen2). L: tokens. n: heads. d: head width."""

import torch
from torch import Tensor


def rotation(position_L: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine [L, 1, d] in float32 for integer positions."""
    k = torch.arange(0, head_dim, 2, device=position_L.device, dtype=torch.float32)
    angle = position_L[:, None].float() * theta ** (-k / head_dim)
    angle_L1d = torch.cat([angle, angle], dim=-1)[:, None]
    return angle_L1d.cos(), angle_L1d.sin()


def rotate(x_Lnd: Tensor, cos_L1d: Tensor, sin_L1d: Tensor) -> Tensor:
    """Turn each pair (i, i + d/2) of a head by its angle; computed in float32, returned in the dtype of `x`."""
    x = x_Lnd.float()
    half = x.shape[-1] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
    return (x * cos_L1d + turned * sin_L1d).to(x_Lnd.dtype)
