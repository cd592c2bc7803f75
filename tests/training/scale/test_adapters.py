"""Adapters of stages 1 and 2: trained alone, merged as they were, gone on with."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.sequence.packing import Row, pack
from cooper.sequence.segments import TextSegment
from cooper.trace.steps import Question
from tests.networks import picture

LORA = {"rank": 2, "alpha": 8, "connector": True, "targets": ["q", "o", "down_proj"]}


def replies(door: Cooper) -> list[str]:
    """What is answered at temperature 0."""
    questions = [Question((picture(seed), "What is nearest?"), id=str(seed)) for seed in range(4)]
    options = door.options("direct", Sampling(temperature=0, max_tokens=12))
    return [" ".join(turn.text for turn in traces[0].turns) for traces in door.batch(questions, options)]


def logits(door: Cooper) -> torch.Tensor:
    """Of a short text, [L, V]."""
    model, processor = door.engine.parts.model, door.engine.parts.layout.processor
    packed = pack([Row((TextSegment(tuple(range(5, 25))),), (-1,))], processor.geometry)
    with torch.no_grad():
        return model.text_logits(model(packed))


@pytest.fixture
def trained(run, recipes, tmp_path) -> Path:
    ran = run("train", "sft", "--config", recipes("sft", lora=LORA))
    assert ran.code == 0, ran.err
    return tmp_path / "run"


def test_an_adapter_changes_replies_and_is_merged_as_it_was(trained, start):
    before, adapter, merged = (Cooper.from_pretrained(folder) for folder in (start, trained / "adapter", trained / "model"))
    assert replies(merged) == replies(adapter) != replies(before)
    torch.testing.assert_close(logits(merged), logits(adapter), atol=1e-5, rtol=1e-5)
    assert float((logits(merged) - logits(before)).abs().max()) > 1e-3
    old, new = load_file(start / "model.safetensors"), load_file(trained / "model" / "model.safetensors")
    moved = {name for name in old if not torch.equal(old[name], new[name])}
    assert old.keys() == new.keys() and moved
    ends = (".q.und.weight", ".o.und.weight", ".q.gen.weight", ".o.gen.weight", ".down_proj.weight", "fc1.weight", "fc2.weight")
    assert all(name.endswith(ends) and not name.startswith(("vit.", "vae.")) for name in moved)


def test_checkpoints_hold_adapters_only_and_are_gone_on_from(run, recipes, trained, tmp_path):
    last = trained / "checkpoint-3"
    for name in ("model.safetensors", "ema.safetensors"):
        assert all(".lora_" in weight for weight in load_file(last / name))
    finished = load_file(trained / "model" / "model.safetensors")
    shutil.rmtree(last)
    shutil.rmtree(trained / "model")
    ran = run("train", "sft", "--config", tmp_path / "sft.yaml")
    assert ran.code == 0, ran.err
    again = load_file(trained / "model" / "model.safetensors")
    assert all(torch.equal(weight, finished[name]) for name, weight in again.items())


def test_the_drawing_expert_alone_is_adapted_and_left_unmerged(run, recipes, start, tmp_path):
    lora = {"rank": 2, "experts": "gen", "merged": False}
    ran = run("train", "amg", "--config", recipes("amg", lora=lora))
    assert ran.code == 0, ran.err
    model = tmp_path / "run" / "model"
    names = load_file(model / "adapter_model.safetensors")
    assert names and all(".gen." in name for name in names) and not (model / "model.safetensors").exists()
    drawn, before = (Cooper.from_pretrained(folder).depth(picture(1)).reading.arrays["depth"] for folder in (model, start))
    assert abs(drawn - before).max() > 1e-4


@pytest.mark.parametrize(
    ("lora", "said"),
    [
        ("{rank: 0}", "lora.rank is 0; it must be at least 1"),
        ("{experts: all}", "lora.experts is 'all'; choose from und, gen, both"),
        ("{dropout: 1}", "lora.dropout is 1.0; it must be"),
        ("{alpha: -1}", "lora.alpha is -1.0; it must be above 0"),
        ("{targets: [nothing]}", "lora.targets names 'nothing', and no linear layer of the network ends so"),
        ("{targets: []}", "lora.targets must name at least one module"),
        ("{targets: [q.und], experts: gen}", "lora.targets names no layer of the expert gen"),
        ("{r: 8}", "lora: unknown key 'r'; known: rank"),
    ],
)
def test_wrong_values_are_named_by_key(run, recipes, lora, said):
    refused = run("train", "sft", "--config", recipes("sft"), f"lora={lora}")
    assert refused.code == 1 and said in " ".join(refused.err.split()), refused.err


def test_adapters_need_a_network_below_them(run, recipes):
    for changes, said in (({"init": None, "autoencoder": "a"}, "but init is not"), ({"vision": "b"}, "lora and vision")):
        refused = run("train", "amg", "--config", recipes("amg", lora=LORA, **changes))
        assert refused.code == 1 and said in " ".join(refused.err.split())
