"""`cooper merge`: plain models of adapters, of checkpoints on the way, and of checkpoints in shards."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cooper.reasoning.cooper import Cooper


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def close(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, weight in first.items():
        torch.testing.assert_close(second[name], weight, atol=1e-6, rtol=1e-6, msg=name)
    companions = ("prompts.json", "tokenizer.json", "config.json")
    assert all((one / name).read_bytes() == (other / name).read_bytes() for name in companions)


@pytest.mark.parametrize("sharding", [{}, {"sharding": {"fsdp": True}}], ids=["plain", "in shards"])
@pytest.mark.parametrize("lora", [None, {"rank": 2}], ids=["all weights", "adapters"])
def test_a_checkpoint_becomes_the_model_that_the_run_left(run, recipes, tmp_path, lora, sharding):
    ran = run("train", "sft", "--config", recipes("sft", lora=lora, **sharding))
    assert ran.code == 0, ran.err
    assert (tmp_path / "run" / "checkpoint-3" / "shards").exists() == bool(sharding)
    merged = run("merge", tmp_path / "run" / "checkpoint-3", tmp_path / "merged")
    assert merged.code == 0 and merged.out == f"Model: {tmp_path / 'merged'}\n", merged.err
    close(tmp_path / "run" / "model", tmp_path / "merged")
    if lora is not None:
        merged = run("merge", tmp_path / "run" / "adapter", tmp_path / "again")
        assert merged.code == 0, merged.err
        close(tmp_path / "run" / "model", tmp_path / "again")


def test_an_adapter_alone_takes_what_it_lacks_from_its_network(run, recipes, start, tmp_path):
    half = {name: tensor if name.startswith("vae.") else tensor.bfloat16() for name, tensor in weights(start).items()}
    shutil.copytree(start, tmp_path / "half")
    save_file(half, tmp_path / "half" / "model.safetensors", metadata={"format": "pt"})
    ran = run("train", "amg", "--config", recipes("amg", init=str(tmp_path / "half"), lora={"rank": 2, "merged": False}))
    assert ran.code == 0, ran.err
    adapter = tmp_path / "run" / "model"
    for name in ("tokenizer.json", "tokenizer_config.json", "prompts.json"):
        (adapter / name).unlink()
    merged = run("merge", adapter, tmp_path / "merged")
    assert merged.code == 0, merged.err
    found = weights(tmp_path / "merged")
    assert found["layers.0.attention.q.gen.weight"].dtype == torch.bfloat16, "a merged model keeps the type of its network"
    assert not torch.equal(found["layers.0.attention.q.gen.weight"], half["layers.0.attention.q.gen.weight"])
    assert torch.equal(found["lm_head.weight"], half["lm_head.weight"])
    door, before = Cooper.from_pretrained(tmp_path / "merged"), Cooper.from_pretrained(start)
    assert door.engine.parts.prompts == before.engine.parts.prompts


def test_what_cannot_be_merged_is_named(run, recipes, start, tmp_path):
    ran = run("train", "sft", "--config", recipes("sft"), "optimiser.steps=1", "mixture={interleaved: 1}")
    assert ran.code == 0, ran.err
    last = tmp_path / "run" / "checkpoint-1"

    def refused(source: Path, out: str, said: str) -> None:
        ended = run("merge", source, tmp_path / out)
        assert ended.code == 1 and said in " ".join(ended.err.split()), ended.err

    refused(start, "a", "neither an adapter in the form of peft nor a checkpoint of a training")
    refused(last, "run", "is not empty; name a new directory")
    (last / "ema.safetensors").write_bytes(b"")
    refused(last, "b", "is damaged (ema.safetensors is not as it was written)")
    shutil.copytree(last, tmp_path / "elsewhere" / "checkpoint-1")
    (tmp_path / "elsewhere" / "checkpoint-1" / "manifest.json").write_text("{}")
    refused(tmp_path / "elsewhere" / "checkpoint-1", "c", "holds no recipe.yaml")
    (tmp_path / "elsewhere" / "recipe.yaml").write_text(json.dumps({"out": "x", "group": 4}))
    refused(tmp_path / "elsewhere" / "checkpoint-1", "d", "is of another stage than amg and sft")
