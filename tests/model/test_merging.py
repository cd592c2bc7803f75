"""Projections that are computed together: the same numbers, the same names, nothing held twice, and never behind one's back."""

import pytest
import torch
from safetensors.torch import load_file

from cooper.model.mot import Merged, MotLayer
from cooper.sequence.packing import Geometry, Row, pack
from cooper.sequence.segments import NoisedSegment, TextSegment
from tests.networks import tiny_model

GEOMETRY = Geometry(256, 257, 258, 259, 2, 4, 16, 14, 4)


def batch():
    random = torch.Generator().manual_seed(0)
    drawn = NoisedSegment(torch.randn(4, 16, generator=random), 0.5, (2, 2))
    return pack([Row((TextSegment((1, 2, 3)), drawn)), Row((TextSegment((4, 5)),))], GEOMETRY)


@torch.no_grad()
def test_the_numbers_are_those_of_the_layers_by_themselves():
    model = tiny_model()
    alone = model(batch())
    torch.testing.assert_close(model.merge()(batch()), alone, atol=1e-5, rtol=1e-5)


def test_names_weights_and_gradients_stay(tmp_path):
    plain, merged = tiny_model(), tiny_model().merge()
    assert {name: weight.shape for name, weight in merged.named_parameters()} == {
        name: weight.shape for name, weight in plain.named_parameters()
    }
    for model in (plain, merged):
        model(batch()).square().sum().backward()
    for (name, one), other in zip(plain.named_parameters(), merged.parameters(), strict=True):
        assert torch.equal(one, other), name
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None:
            assert torch.equal(one.grad, other.grad), name
    merged.save_pretrained(tmp_path / "model")
    stored = load_file(tmp_path / "model" / "model.safetensors")
    for name, weight in plain.state_dict().items():
        assert torch.equal(stored[name], weight), name


def test_memory_is_not_held_twice():
    model = tiny_model().merge()
    layer = model.layers[0]
    assert isinstance(layer, MotLayer)
    whole = layer.attention.merged["und"].weight.untyped_storage()
    assert {weight.untyped_storage().data_ptr() for weight in (layer.attention.q.und.weight, layer.attention.v.und.weight)} == {
        whole.data_ptr()
    }


@pytest.mark.parametrize("change", ["step", "move", "load", "replace"])
@torch.no_grad()
def test_a_change_of_weights_is_seen(change):
    model, other = tiny_model().merge(), tiny_model(seed=1)
    if change == "step":  # as an optimiser changes them
        for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
            mine.copy_(theirs)
    elif change == "move":
        model = model.double().float()
        model.load_state_dict(other.state_dict())
    elif change == "load":
        model.load_state_dict(other.state_dict(), assign=True)
    else:
        for mine, theirs in zip(model.modules(), other.modules(), strict=True):
            for name, child in list(mine.named_children()):
                if isinstance(child, torch.nn.Linear):
                    setattr(mine, name, getattr(theirs, name))
        for name in ("embed_tokens", "norm", "latent_pos", "vit_pos"):
            setattr(model, name, getattr(other, name))
        for mine, theirs in zip(model.layers, other.layers, strict=True):
            for name in ("input_norm", "post_attention_norm"):
                setattr(mine, name, getattr(theirs, name))
            mine.attention.q_norm, mine.attention.k_norm = theirs.attention.q_norm, theirs.attention.k_norm
    torch.testing.assert_close(model(batch()), other(batch()), atol=1e-5, rtol=1e-5)


def test_layers_that_are_adapted_or_without_numbers_stay_by_themselves():
    class Adapted(torch.nn.Linear):
        pass

    assert Merged.of(torch.nn.Linear(2, 3), Adapted(2, 3)) is None
    assert Merged.of(torch.nn.Linear(2, 3, device="meta"), torch.nn.Linear(2, 3, device="meta")) is None
