"""Figures of words in parts: the numbers and gradients of the whole, and never the logits of all tokens at once."""

from contextlib import contextmanager

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cooper.model import head
from cooper.sequence.packing import Geometry, Row, pack
from cooper.sequence.segments import TextSegment
from cooper.training.rl.policy import Policy, Words
from tests.networks import tiny_model

VOCABULARY, WORDS = 264, 260  # rows of the head, and those that may be sampled
TOKENS = 37  # of the longer row; parts of 4 leave a rest
GEOMETRY = Geometry(256, 257, 258, 259, 2, 4, 16, 14, 4)


def batch(tokens=TOKENS):
    ids = tuple(torch.randint(0, 256, (tokens,), generator=torch.Generator().manual_seed(1)).tolist())
    return pack([Row((TextSegment(ids, loss=True),)), Row((TextSegment((4, 5), loss=True),))], GEOMETRY)


def ce_of(model, packed):
    return model.losses(packed).ce_sum


def scores_of(model, packed):
    found = Policy(model)(packed, Words(WORDS, 0.7))
    return torch.stack([found.logprob_S, found.entropy_S], dim=-1).flatten()


class Widest(TorchDispatchMode):
    """Notes of all results with a side as long as the vocabulary how long the other sides are together, at most."""

    def __init__(self):
        super().__init__()
        self.rows = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(found):
            for side in (VOCABULARY, WORDS):
                if isinstance(leaf, torch.Tensor) and side in leaf.shape:
                    self.rows = max(self.rows, leaf.numel() // side)
        return found


@contextmanager
def parts_of(monkeypatch, tokens):
    with monkeypatch.context() as patch:
        patch.setattr(head, "AT_ONCE", tokens * VOCABULARY)
        yield


@pytest.mark.parametrize("figures", [ce_of, scores_of])
@pytest.mark.parametrize("tokens", [1, 4, TOKENS - 1])
def test_values_and_gradients_are_those_of_the_whole(monkeypatch, figures, tokens):
    found = []
    for size in (10_000, tokens):
        model = tiny_model()
        with parts_of(monkeypatch, size):
            values = figures(model, batch())
            (values * torch.linspace(0.5, 1.5, values.numel()).reshape(values.shape)).sum().backward()
        found.append((values.detach(), {name: weight.grad for name, weight in model.named_parameters()}))
    (one, grads), (other, others) = found
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    assert others["lm_head.weight"] is not None and others["embed_tokens.weight"] is not None
    for name, grad in grads.items():
        assert (grad is None) == (others[name] is None), name
        if grad is not None:
            torch.testing.assert_close(grad, others[name], atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("figures", [ce_of, scores_of])
def test_the_logits_of_all_tokens_are_never_held(monkeypatch, figures):
    seen = []
    for size in (10_000, 4):
        model = tiny_model()
        packed = batch(200)
        with parts_of(monkeypatch, size), Widest() as widest:
            figures(model, packed).sum().backward()
        seen.append(widest.rows)
    assert seen[0] >= 200 and seen[1] == 32, seen  # the width of a token, in the weights themselves and their gradients


def test_without_gradients_nothing_is_computed_twice(monkeypatch):
    model, calls = tiny_model(), []
    monkeypatch.setattr(head, "checkpoint", lambda *_, **__: pytest.fail("nothing is to be computed again"))
    inner = torch.nn.Linear.forward
    monkeypatch.setattr(torch.nn.Linear, "forward", lambda self, x: calls.append(len(x)) or inner(self, x))
    with torch.no_grad(), parts_of(monkeypatch, 10):
        whole = scores_of(model, batch())
    assert len(whole) == 2 * len(batch().targets.ids_S) and calls[-5:-1].count(10) >= 3


def test_one_part_has_the_bits_of_the_whole(monkeypatch):
    model, packed = tiny_model(), batch()
    hidden_SH = model(packed)[packed.targets.index_S]
    logits_SV = model.text_logits(hidden_SH).float()
    expected = torch.nn.functional.cross_entropy(logits_SV, packed.targets.ids_S, reduction="sum")
    assert torch.equal(model.losses(packed).ce_sum, expected)


def test_no_target_still_touches_the_head():
    model = tiny_model()
    losses = model.losses(pack([Row((TextSegment((1, 2)),))], GEOMETRY))
    losses.ce_sum.backward()
    assert losses.ce_sum == 0 and losses.ce_count == 0
    assert model.lm_head.weight.grad is not None and not model.lm_head.weight.grad.any()
