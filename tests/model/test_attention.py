"""The ways to compute one attention agree, gradients included."""

import torch
from torch.nn.functional import scaled_dot_product_attention

from cooper.model.attention import _sdpa, _written_out


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
