"""The mixture-of-transformers decoder layer: two experts under one attention (spec section 6).

L: tokens. H: hidden width. n: query heads. K: key/value heads. d: head width.
"""

from dataclasses import dataclass

from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import rms_norm

from cooper.model.attention import AttentionPlan, attend
from cooper.model.config import CooperConfig
from cooper.model.experts import PerExpert
from cooper.model.rope import rotate
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
