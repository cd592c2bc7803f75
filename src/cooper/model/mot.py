"""The mixture-of-transformers decoder layer: two experts under one attention (spec section 6).

L: tokens. H: hidden width. n: query heads. K: key/value heads. d: head width.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, rms_norm

from cooper.model.attention import AttentionPlan, attend
from cooper.model.config import CooperConfig
from cooper.sequence.packed import Tensors

EXPERTS = ("und", "gen")


@dataclass(frozen=True, eq=False)
class Merged:
    """Linear layers of one input as one product, for passes without gradients. Their weights are parts of `weight`, so whatever
    changes them in place changes it, and nothing is held twice."""

    weight: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, *layers: nn.Module) -> "Merged | None":
        """The layers' weights put one behind the other, in one piece of memory; None where they are no plain linear layers."""
        plain = [layer for layer in layers if isinstance(layer, nn.Linear) and _is_plain(layer)]
        if len(plain) < len(layers):
            return None
        weight = torch.cat([layer.weight.detach() for layer in plain])
        biases = [layer.bias.detach() for layer in plain if layer.bias is not None]
        bias = torch.cat(biases) if biases else None
        start = 0
        for layer in plain:
            end = start + layer.out_features
            layer.weight.data = weight[start:end]
            if bias is not None:
                layer.bias.data = bias[start:end]
            start = end
        return cls(weight, bias)

    def holds(self, first: nn.Module, *others: nn.Module) -> bool:
        """Whether this is still what the layers compute, and gradients are not wanted: none was replaced, moved or adapted."""
        if torch.is_grad_enabled() or any(type(layer) is not nn.Linear for layer in (first, *others)):
            return False
        if torch.compiler.is_compiling():  # addresses cannot be traced; what is compiled is compiled for weights as they lie
            return True
        weight = first.weight
        return isinstance(weight, Tensor) and weight.data_ptr() == self.weight.data_ptr()

    def __call__(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


def _is_plain(layer: nn.Linear) -> bool:
    """Whether it is a linear layer of numbers in memory: not sharded, quantised, adapted or without numbers."""
    weight = layer.weight
    return type(layer) is nn.Linear and type(weight) is nn.Parameter and weight.is_floating_point() and not weight.is_meta


def merge(layer: "MotLayer") -> None:
    """Let the projections of a layer be computed together where no gradients are wanted."""
    found = {name: Merged.of(*layer.attention.projections(name)) for name in EXPERTS}
    whole = {name: each for name, each in found.items() if each is not None}
    layer.attention.merged = whole if len(whole) == len(EXPERTS) else {}
    for twin in (layer.mlp.und, layer.mlp.gen):
        assert isinstance(twin, SwiGLU)
        twin.merged = Merged.of(twin.gate_proj, twin.up_proj)


class RMSNorm(nn.RMSNorm):
    """Root-mean-square norm computed in float32."""

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x.float(), self.normalized_shape, self.weight.float(), self.eps).to(x.dtype)

    def scaled(self, x: Tensor, weight: Tensor) -> Tensor:
        """The same with other weights, which may differ from head to head."""
        return (rms_norm(x.float(), self.normalized_shape, None, self.eps) * weight.float()).to(x.dtype)


class SwiGLU(nn.Module):
    """down(silu(gate x) * up x), no biases."""

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.up_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)
        self.merged: Merged | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.merged is not None and self.merged.holds(self.gate_proj, self.up_proj):
            gate, up = self.merged(x).chunk(2, dim=-1)
        else:
            gate, up = self.gate_proj(x), self.up_proj(x)
        return self.down_proj(nn.functional.silu(gate) * up)


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
        self.heads, self.keys = config.num_attention_heads, config.num_key_value_heads
        query, key = self.heads * d, self.keys * d
        self.layer, self.head_dim = layer, d
        self.q = PerExpert(lambda: nn.Linear(hidden, query))
        self.k = PerExpert(lambda: nn.Linear(hidden, key))
        self.v = PerExpert(lambda: nn.Linear(hidden, key))
        self.o = PerExpert(lambda: nn.Linear(query, hidden, bias=False))
        self.q_norm = PerExpert(lambda: RMSNorm(d, eps=config.rms_norm_eps))
        self.k_norm = PerExpert(lambda: RMSNorm(d, eps=config.rms_norm_eps))
        self.merged: dict[str, Merged] = {}

    def forward(self, x_LH: Tensor, rotation: Rotation, plan: AttentionPlan) -> Tensor:
        und = plan.packed.und
        if self.merged and all(self.merged[name].holds(*self.projections(name)) for name in EXPERTS):
            qk, v = self._heads_together(x_LH, und)
            q, k = rotate(qk, rotation.cos, rotation.sin).split([self.heads, self.keys], dim=1)
        else:
            q, k, v = (p(x_LH, und).unflatten(-1, (-1, self.head_dim)) for p in (self.q, self.k, self.v))
            q = rotate(self.q_norm(q, und), rotation.cos, rotation.sin)
            k = rotate(self.k_norm(k, und), rotation.cos, rotation.sin)
        return self.o(attend(q, k, v, plan, self.layer), und)

    def projections(self, expert: str) -> tuple[nn.Module, ...]:
        """Those of queries, keys and values of one expert."""
        return tuple(getattr(each, expert) for each in (self.q, self.k, self.v))

    def _heads_together(self, x_LH: Tensor, und: int) -> tuple[Tensor, Tensor]:
        """Queries and keys [L, n + K, d] with their norms, and values [L, K, d]."""
        found = [self._of_expert(name, part) for name, part in (("und", x_LH[:und]), ("gen", x_LH[und:])) if len(part)]
        return found[0] if len(found) == 1 else (torch.cat([qk for qk, _ in found]), torch.cat([v for _, v in found]))

    def _of_expert(self, name: str, x_LH: Tensor) -> tuple[Tensor, Tensor]:
        heads, norms = self.heads + self.keys, [getattr(each, name) for each in (self.q_norm, self.k_norm)]
        qkv = self.merged[name](x_LH).unflatten(-1, (heads + self.keys, self.head_dim))
        weight_hd = torch.cat(
            [norm.weight.expand(count, -1) for norm, count in zip(norms, (self.heads, self.keys), strict=True)]
        )
        return norms[0].scaled(qkv[:, :heads], weight_hd), qkv[:, heads:]


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
    """Cosine and sine [L, 1, d] in float32 for integer positions; the sine of the first half of a head with its sign turned."""
    k = torch.arange(0, head_dim, 2, device=position_L.device, dtype=torch.float32)
    angle_L1h = (position_L[:, None].float() * theta ** (-k / head_dim))[:, None]
    cos, sin = angle_L1h.cos(), angle_L1h.sin()
    return torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)


def rotate(x_Lnd: Tensor, cos_L1d: Tensor, sin_L1d: Tensor) -> Tensor:
    """Turn each pair (i, i + d/2) of a head by its angle; computed in float32, returned in the dtype of `x`."""
    x = x_Lnd.float()
    turned = x.unflatten(-1, (2, -1)).flip(-2).flatten(-2)
    return torch.addcmul(x * cos_L1d, turned, sin_L1d).to(x_Lnd.dtype)
