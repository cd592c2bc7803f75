"""Joint attention of both experts: one set of rules, three ways to compute it.

L: packed tokens. B: rows. Q: longest row. n: query heads. K: key/value heads. d: head width. S: tokens of a shared
beginning. T: tokens of a tail with the new ones. G: shared beginnings.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.attention.flex_attention import (
    BlockMask,
    create_block_mask,
    flex_attention,
)
from torch.nn.functional import scaled_dot_product_attention

from cooper.model.cache import Cache, Fold, once
from cooper.sequence.packed import PackedSequence, Tiles
from cooper.sequence.tiles import tiled

Backend = Literal["sdpa", "flex", "fused"]  # fused: sdpa as accelerators compute it, on any device
FEW_QUERIES = 4  # up to this many new tokens, a shared beginning is multiplied once instead of copied per row


@dataclass(frozen=True, eq=False)
class AttentionPlan:
    """All that attention needs to know of one forward pass; made once, used by every layer.

    Where layers lie on several devices, each device has its plan, made when a layer there asks for it (`to`, which
    accelerate calls); the cache is one, and each of its layers lies with the layer that writes it.
    """

    packed: PackedSequence
    cache: Cache | None
    backend: Backend = "sdpa"
    elsewhere: dict[torch.device, "AttentionPlan"] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)

    def to(self, device: torch.device | str | int) -> "AttentionPlan":
        """The same plan on another device."""
        place = torch.empty(0, device=device).device
        if place == self.packed.device:
            return self
        if place not in self.elsewhere:
            packed = self.packed if self.cache else tiled(self.packed)
            self.elsewhere[place] = AttentionPlan(packed.to(place), self.cache, self.backend, self.elsewhere)
        return self.elsewhere[place]

    @once
    def tiles(self) -> Tiles:
        made = tiled(self.packed).splits.tiles
        assert made is not None
        return made

    @once
    def tail_mask_B1QT(self) -> Tensor:
        assert self.cache is not None
        return self.cache.tail_mask(self.packed.splits)[:, None]

    @once
    def full_mask_B1QS(self) -> Tensor:
        """The mask over beginning and tail together."""
        assert self.cache is not None
        if self.cache.beginnings is None:
            return self.tail_mask_B1QT
        q = self.tail_mask_B1QT.shape[2]
        before = self.cache.beginning_mask_BS.to(self.packed.device)[:, None, None].expand(-1, 1, q, -1)
        return torch.cat([before, self.tail_mask_B1QT], dim=-1)

    @once
    def fold(self) -> Fold:
        assert self.cache is not None
        return self.cache.fold.to(self.packed.device)

    def places(self, heads: int) -> Tensor:
        """Where the cache keeps the new tokens, made once."""
        if "places" not in self.made:
            assert self.cache is not None
            self.made["places"] = self.cache.places(heads, self.packed.splits.slot_BQ.shape[1])
        return self.made["places"]

    def few_bias(self, keys: int, each: int, dtype: torch.dtype) -> "FewBias":
        """Masks of few queries as numbers, made once; `each`: query heads of a key head."""
        if "few" not in self.made:
            assert self.cache is not None
            tail = self.tail_mask_B1QT[:, 0]
            several = each if tail.shape[1] > 1 else 1
            own = _bias(tail, dtype).repeat(1, several, 1).repeat_interleave(keys, 0)
            self.made["few"] = FewBias(own, self._shared_bias(keys, dtype))
        return self.made["few"]

    def _shared_bias(self, keys: int, dtype: torch.dtype) -> Tensor | None:
        """What few queries add to the scores of their beginnings [B * K, 1, S]; the cache keeps it while rows grow."""
        assert self.cache is not None
        if self.cache.beginnings is None:
            return None
        made, key = self.cache.made, (keys, dtype, self.packed.device)
        if key not in made:
            mask_BS = self.cache.beginning_mask_BS.to(self.packed.device)
            made[key] = _bias(mask_BS, dtype)[:, None].repeat_interleave(keys, 0)
        return made[key]

    @once
    def block_mask(self) -> BlockMask:
        """The same rule for FlexAttention over the packed list, no padding."""
        splits, total = self.packed.splits, len(self.packed.position_L)
        q = splits.slot_BQ.shape[1]
        row_L, place_L = splits.place_L // q, splits.place_L % q

        def sees(_b: Tensor, _h: Tensor, i: Tensor, j: Tensor) -> Tensor:
            return (row_L[i] == row_L[j]) & splits.mask_BQQ[row_L[i], place_L[i], place_L[j]]

        return create_block_mask(sees, None, None, total, total, device=str(self.packed.device))


def _bias(mask: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, -torch.inf)


@dataclass(frozen=True, eq=False)
class FewBias:
    """What is added to the scores of few queries, 0 or minus infinity: for tails [B * K, M, T] (M may be 1), and for shared
    beginnings [B * K, 1, S]."""

    own_XMT: Tensor
    shared_XMS: Tensor | None


def attend(q_Lnd: Tensor, k_LKd: Tensor, v_LKd: Tensor, plan: AttentionPlan, layer: int) -> Tensor:
    """Attention of every packed token to all it may see, cached tokens included; returns [L, n * d]."""
    if plan.backend == "flex" and plan.cache is None:
        return _flex(q_Lnd, k_LKd, v_LKd, plan)
    if plan.cache is None:
        return _tiled(q_Lnd, k_LKd, v_LKd, plan.tiles, plan.backend)
    splits = plan.packed.splits
    rows, new = splits.slot_BQ.shape
    if splits.even:
        q, k, v = (x.unflatten(0, (rows, new)).transpose(1, 2) for x in (q_Lnd, k_LKd, v_LKd))
    else:
        q, k, v = (x[splits.slot_BQ].transpose(1, 2) for x in (q_Lnd, k_LKd, v_LKd))
    k, v = plan.cache.write(layer, k, v, plan.places(k.shape[1]).to(k.device))
    beginnings = plan.cache.beginnings
    if new <= FEW_QUERIES:
        out = _few(q, (k, v), plan, layer)
    elif beginnings is None:
        out = _sdpa(q, k, v, plan.tail_mask_B1QT)
    else:
        group_B = plan.cache.group_B.to(q.device)
        before = [_spread(x[layer], group_B) for x in (beginnings.keys, beginnings.values)]
        out = _sdpa(q, torch.cat([before[0], k], dim=2), torch.cat([before[1], v], dim=2), plan.full_mask_B1QS)
    out = out.transpose(1, 2).flatten(0, 1).flatten(1)
    return out if splits.even else out[splits.place_L]


def _tiled(q_Lnd: Tensor, k_LKd: Tensor, v_LKd: Tensor, tiles: Tiles, backend: Backend = "sdpa") -> Tensor:
    found = []
    for query_GT, key_GS, mask_G1TS in zip(tiles.query_GT, tiles.key_GS, tiles.mask_G1TS, strict=True):
        places = (query_GT, key_GS, key_GS)
        q, k, v = (rearrange(x[place], "g t h d -> g h t d") for x, place in zip((q_Lnd, k_LKd, v_LKd), places, strict=True))
        found.append(rearrange(_sdpa(q, k, v, mask_G1TS, backend), "g n t d -> (g t) (n d)"))
    return torch.cat(found)[tiles.place_L]


def _spread(shared_GKSd: Tensor, group_B: Tensor) -> Tensor:
    """Beginnings [G, K, S, d] one per row; a single one is expanded, not copied."""
    if shared_GKSd.shape[0] == 1:
        return shared_GKSd.expand(len(group_B), -1, -1, -1)
    return shared_GKSd[group_B]


def _sdpa(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, backend: Backend = "sdpa") -> Tensor:
    if q.requires_grad and (backend == "fused" or q.device.type != "cpu"):
        # with a mask, the kernels that keep no scores take as many key heads as query heads
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
    elif q.dtype == torch.bfloat16 and q.requires_grad:
        return _written_out(q, k, v, mask)
    return scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=q.shape[1] != k.shape[1])


def _written_out(q_BnQd: Tensor, k_BKSd: Tensor, v_BKSd: Tensor, mask_B1QS: Tensor) -> Tensor:
    """Plain products and softmax: in bfloat16 on a CPU, both ways, half the time of the fused kernel."""
    bias_B11QS = torch.zeros_like(mask_B1QS, dtype=q_BnQd.dtype).masked_fill(~mask_B1QS, -1e9)[:, None]
    q = rearrange(q_BnQd * q_BnQd.shape[-1] ** -0.5, "b (k r) q d -> b k (r q) d", k=k_BKSd.shape[1])
    scores_BKrQS = rearrange(q @ k_BKSd.transpose(-1, -2), "b k (r q) s -> b k r q s", q=q_BnQd.shape[2]) + bias_B11QS
    weights = rearrange(scores_BKrQS.softmax(-1), "b k r q s -> b k (r q) s")
    return rearrange(weights @ v_BKSd, "b k (r q) d -> b (k r) q d", q=q_BnQd.shape[2])


def _flex(q_Lnd: Tensor, k_LKd: Tensor, v_LKd: Tensor, plan: AttentionPlan) -> Tensor:
    q, k, v = (rearrange(x, "l h d -> 1 h l d") for x in (q_Lnd, k_LKd, v_LKd))
    out = flex_attention(q, k, v, block_mask=plan.block_mask, enable_gqa=q.shape[1] != k.shape[1])
    return rearrange(out, "1 n l d -> l (n d)")


def _few(q_BnQd: Tensor, own: tuple[Tensor, Tensor], plan: AttentionPlan, layer: int) -> Tensor:
    """Few queries per row: a shared beginning is multiplied once for all its rows, so that it is read once and never copied.

    Head and row are one dimension. M: queries of a key head, those of its query heads one behind the other."""
    (k_BKTd, v_BKTd), (rows, heads, new, width) = own, q_BnQd.shape
    keys, scale = k_BKTd.shape[1], width**-0.5
    q_XMd = q_BnQd.reshape(rows * keys, heads // keys * new, width)
    bias = plan.few_bias(keys, heads // keys, q_XMd.dtype)
    after = torch.baddbmm(bias.own_XMT, q_XMd, k_BKTd.flatten(0, 1).transpose(1, 2), alpha=scale)
    beginnings = plan.cache.beginnings if plan.cache else None
    if beginnings is None:
        out_XMd = torch.bmm(_softmax(after), v_BKTd.flatten(0, 1))
        return out_XMd.view(rows, heads, new, width)
    fold, (k_YSd, v_YSd) = plan.fold, (x[layer].flatten(0, 1) for x in (beginnings.keys, beginnings.values))
    before = fold.unfolded(torch.bmm(fold.folded(q_XMd, keys), k_YSd.transpose(1, 2)), keys) * scale + bias.shared_XMS
    weights = _softmax(torch.cat([before, after], dim=-1))
    w_before, w_after = weights[..., : k_YSd.shape[1]], weights[..., k_YSd.shape[1] :]
    out_XMd = fold.unfolded(torch.bmm(fold.folded(w_before, keys), v_YSd), keys)
    return torch.baddbmm(out_XMd, w_after, v_BKTd.flatten(0, 1)).view(rows, heads, new, width)


def _softmax(scores: Tensor) -> Tensor:
    """In float32, and back."""
    return scores.float().softmax(-1).to(scores.dtype)
