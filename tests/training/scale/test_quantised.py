"""Adapters on quantised weights: trained on one device, merged into the weights as they were stored."""

import sys

import pytest
import torch
from safetensors.torch import load_file

LORA = {"rank": 2, "alpha": 8}


@pytest.mark.parametrize(("stage", "quantise"), [("amg", "4bit"), ("sft", "8bit")])
def test_adapters_are_trained_on_quantised_weights_and_merged_into_stored_ones(run, recipes, start, tmp_path, stage, quantise):
    pytest.importorskip("bitsandbytes")
    ran = run("train", stage, "--config", recipes(stage, lora=LORA, quantise=quantise))
    assert ran.code == 0, ran.err
    before, after = (load_file(folder / "model.safetensors") for folder in (start, tmp_path / "run" / "model"))
    adapter = load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")
    assert before.keys() == after.keys()
    for name, weight in before.items():
        part = f"base_model.model.{name.removesuffix('.weight')}"
        change = (
            torch.zeros(())
            if f"{part}.lora_A.weight" not in adapter
            else 4 * torch.matmul(adapter[f"{part}.lora_B.weight"], adapter[f"{part}.lora_A.weight"])
        )
        torch.testing.assert_close(after[name], weight + change, atol=1e-6, rtol=1e-6, msg=name)
    assert any(float(weight.abs().max()) > 0 for name, weight in adapter.items() if "lora_B" in name)


def test_weights_lie_in_few_bits(recipes, start):
    """The decoder's linear layers alone."""
    bitsandbytes = pytest.importorskip("bitsandbytes")
    from cooper.files.values import read_recipe
    from cooper.training.scale.loading import load_scaled
    from cooper.training.stages.reasoning import SftRecipe

    recipe = read_recipe(SftRecipe, recipes("sft", lora=LORA, quantise="4bit"))
    model = load_scaled(recipe, recipe.init, None).model
    few = {name for name, module in model.named_modules() if isinstance(module, bitsandbytes.nn.Linear4bit)}
    linear = {name for name, module in model.layers.named_modules() if isinstance(module, torch.nn.Linear)}
    assert few == {f"layers.{name}" for name in linear}
    assert model.layers[0].attention.q.und.weight.dtype == torch.uint8


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["lora=null"], "quantise is given, but lora is not"),
        (["sharding={fsdp: true}"], "quantise and sharding do not go together"),
        (["quantise=3bit"], "quantise is '3bit'; choose from 4bit, 8bit"),
    ],
)
def test_what_cannot_be_quantised_is_refused(run, recipes, changes, said):
    refused = run("train", "sft", "--config", recipes("sft", lora=LORA, quantise="4bit"), *changes)
    assert refused.code == 1 and said in " ".join(refused.err.split()), refused.err


def test_one_device_and_its_library_are_asked_for(run, recipes, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)  # as where it is not installed
    missing = run("train", "sft", "--config", recipes("sft", lora=LORA, quantise="8bit"))
    assert missing.code == 1 and "quantising needs bitsandbytes: pip install bitsandbytes" in " ".join(missing.err.split())
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    refused = run("train", "sft", "--config", recipes("sft", lora=LORA, quantise="8bit"))
    assert refused.code == 1 and "quantise works on one device: start the command without torchrun" in " ".join(
        refused.err.split()
    )
