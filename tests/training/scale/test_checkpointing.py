"""Activation checkpointing: the same losses and gradients, from layers that run twice."""

from copy import deepcopy

import pytest
import torch
from transformers.models.siglip.modeling_siglip import SiglipAttention

from cooper.model.mot import JointAttention
from cooper.sequence.packing import pack
from cooper.training.scale.adapters import LoraSettings, add_adapters
from cooper.training.stages.objective import LossWeights, PackedObjective


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=2)], ids=["all weights", "adapters"])
def test_losses_and_gradients_are_the_same(bundle, map_rows, lora):
    batch = pack([map_rows.row(number, number, False, ("depth",)) for number in range(2)], bundle.processor.geometry)
    found = []
    for checkpointing in (False, True):
        model = deepcopy(bundle.model)
        if lora is not None:
            add_adapters(model, lora, "nano", 0)
            for name, weight in model.named_parameters():
                if ".lora_B." in name:
                    torch.nn.init.ones_(weight)  # at 0 the first factor would have no gradient
        objective = PackedObjective(model, LossWeights(), (), checkpointing).train()
        calls: list[type] = []
        for module in model.modules():
            if isinstance(module, JointAttention | SiglipAttention):
                module.register_forward_pre_hook(lambda module, given, calls=calls: calls.append(type(module)))
        losses = objective(batch)
        losses.sum().backward()
        gradients = {name: weight.grad for name, weight in objective.named_parameters() if weight.grad is not None}
        found.append((losses.detach(), gradients, calls))
    (losses, gradients, once), (others, same, twice) = found
    assert torch.equal(losses, others) and gradients.keys() == same.keys() and gradients
    for name, gradient in gradients.items():
        torch.testing.assert_close(same[name], gradient, atol=1e-6, rtol=1e-5, msg=name)
    assert once.count(JointAttention) == 2 and twice.count(JointAttention) == 4
    if lora is None:
        assert once.count(SiglipAttention) == 1 and twice.count(SiglipAttention) == 2
