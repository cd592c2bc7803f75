"""The mixture-of-transformers decoder layer: two experts under one attention (spec section 6).

L: tokens. H: hidden width. n: query heads. K: key/value heads. d: head width.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import rms_norm

from cooper.model.attention import AttentionPlan, attend
from cooper.model.config import CooperConfig
from cooper.sequence.packed import Tensors


class RMSNorm(nn.RMSNorm):
    """Root-mean-square norm computed in float32."""

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x.float(), self.normalized_shape, self.weight.float(), self.eps).to(x.dtype)


class SwiGLU(nn.Module):
    """down(silu(gate x) * up x), no biases."""

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.up_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))


@dataclass(frozen=True, eq=False)
class Rotation(Tensors):
    """Cosine and sine of every token's rope position, [L, 1, d]."""

    cos: Tensor
    sin: Tensor


class JointAttention(nn.Module):
    """Projections and head norms per expert, attention over all tokens together."""

    def __init__(self, config: CooperConfig, layer: int) -> None:
        super().__init__()
        hidden, d = config.hidden_size, config.head_dim
        query, key = config.num_attention_heads * d, config.num_key_value_heads * d
        self.layer, self.head_dim = layer, d
        self.q = PerExpert(lambda: nn.Linear(hidden, query))
        self.k = PerExpert(lambda: nn.Linear(hidden, key))
        self.v = PerExpert(lambda: nn.Linear(hidden, key))
        self.o = PerExpert(lambda: nn.Linear(query, hidden, bias=False))
        self.q_norm = PerExpert(lambda: RMSNorm(d, eps=config.rms_norm_eps))
        self.k_norm = PerExpert(lambda: RMSNorm(d, eps=config.rms_norm_eps))

    def forward(self, x_LH: Tensor, rotation: Rotation, plan: AttentionPlan) -> Tensor:
        und = plan.packed.und
        q, k, v = (rearrange(p(x_LH, und), "l (h d) -> l h d", d=self.head_dim) for p in (self.q, self.k, self.v))
        q = rotate(self.q_norm(q, und), rotation.cos, rotation.sin)
        k = rotate(self.k_norm(k, und), rotation.cos, rotation.sin)
        return self.o(attend(q, k, v, plan, self.layer), und)


class MotLayer(nn.Module):
    """Pre-norm decoder layer; norms, projections and MLP exist per expert."""

    def __init__(self, config: CooperConfig, layer: int) -> None:
        super().__init__()
        hidden, eps = config.hidden_size, config.rms_norm_eps
        self.input_norm = PerExpert(lambda: RMSNorm(hidden, eps=eps))
        self.attention = JointAttention(config, layer)
        self.post_attention_norm = PerExpert(lambda: RMSNorm(hidden, eps=eps))
        self.mlp = PerExpert(lambda: SwiGLU(hidden, config.intermediate_size))

    def forward(self, x_LH: Tensor, rotation: Rotation, plan: AttentionPlan) -> Tensor:
        und = plan.packed.und
        x_LH = x_LH + self.attention(self.input_norm(x_LH, und), rotation, plan)
        return x_LH + self.mlp(self.post_attention_norm(x_LH, und), und)


class PerExpert(nn.Module):
    """A module that exists twice: `und` for understanding tokens, `gen` for latent tokens.

    `complete`: with gradients, run a twin that has no rows, too: where weights are sharded, all ranks need the same gradients.
    """

    def __init__(self, build: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.complete = False
        self.und = build()
        self.gen = build()

    def forward(self, x_LD: Tensor, und: int) -> Tensor:
        """Send the first `und` rows through one twin and the rest through the other."""
        if not (self.complete and torch.is_grad_enabled()):
            if und == len(x_LD):
                return self.und(x_LD)
            if und == 0:
                return self.gen(x_LD)
        return torch.cat([self.und(x_LD[:und]), self.gen(x_LD[und:])])


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
