"""The ways to compute one attention agree, gradients included."""

import torch
from torch.nn.functional import scaled_dot_product_attention

from cooper.model.attention import AttentionPlan, _sdpa, _written_out
from cooper.model.cache import empty_cache
from cooper.model.mot import Rotation
from cooper.sequence.packing import Geometry, Row, pack
from cooper.sequence.segments import NoisedSegment, TextSegment
from tests.networks import tiny_model


def test_written_out_attention_is_the_fused_one():
    random = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(3, heads, 11, 8, generator=random, requires_grad=True) for heads in (6, 2, 2))
    mask = (torch.rand(3, 1, 11, 11, generator=random) > 0.5) | torch.eye(11, dtype=torch.bool)
    plain, fused = _written_out(q, k, v, mask), scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
    torch.testing.assert_close(plain, fused, atol=1e-5, rtol=1e-5)
    ours, theirs = (torch.autograd.grad(out.square().sum(), (q, k, v)) for out in (plain, fused))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_bfloat16_training_stays_close_to_float32():
    random = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(2, heads, 9, 8, generator=random) for heads in (4, 2, 2))
    mask = torch.ones(9, 9, dtype=torch.bool).tril().expand(2, 1, 9, 9)
    low = _sdpa(*(x.bfloat16().requires_grad_() for x in (q, k, v)), mask)
    torch.testing.assert_close(low.float(), _sdpa(q, k, v, mask), atol=3e-2, rtol=3e-2)


def test_a_plan_can_be_asked_for_on_another_device():
    """What accelerate does before a layer on another device runs: everything that layer reads is there, made once."""
    model = tiny_model()
    segments = (TextSegment((1, 2, 3)), NoisedSegment(torch.randn(4, 16), 0.5, (2, 2)))
    geometry = Geometry(256, 257, 258, 259, 2, 4, 16, 14, 4)
    packed = pack([Row(segments), Row(segments[:1])], geometry)
    cache = empty_cache(2, 2)
    model(pack([Row(segments[:1])] * 2, geometry), cache)
    plan = AttentionPlan(packed, cache)
    there = plan.to("meta")
    assert plan.to("cpu") is plan and plan.to("meta") is there and there.to("meta") is there
    assert {t.device.type for t in (there.tail_mask_B1QT, there.packed.splits.slot_BQ)} == {"meta"}
    assert {t.device.type for t in AttentionPlan(packed, None).to("meta").tiles.mask_G1TS} == {"meta"}
    assert plan.tail_mask_B1QT.device.type == "cpu"
    assert Rotation(torch.ones(1), torch.ones(1)).to("meta").cos.device.type == "meta"
