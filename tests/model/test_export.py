"""`export` writes whole files or says why not."""

import errno
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer

from cooper.errors import CooperError
from cooper.files.hub import resolve
from cooper.model.checkpoints import tensor_files as weights
from cooper.model.checkpoints.export import checkpoint_of, export
from cooper.model.checkpoints.limits import unplaced_settings
from cooper.model.checkpoints.opening import open_checkpoint
from cooper.model.cooper import CooperModel


def test_a_directory_exports_without_building_the_model(tiny_model: CooperModel, ours: Path, tmp_path: Path) -> None:
    (ours / "prompts.json").write_text('{"reflection": "Look."}')
    export(ours, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "ae.safetensors",
        "config.json",
        "ema.safetensors",
        "llm_config.json",
        "prompts.json",
        "tokenizer.json",
        "vit_config.json",
    }
    state = open_checkpoint(tmp_path / "out").state
    assert all(torch.equal(tensor, state[name]) for name, tensor in tiny_model.state_dict().items())


def test_companions_of_a_model_in_memory(tiny_model: CooperModel, tmp_path: Path) -> None:
    (tmp_path / "prompts.json").write_text("{}")
    export(checkpoint_of(tiny_model, (tmp_path / "prompts.json",)), tmp_path / "out")
    assert (tmp_path / "out" / "prompts.json").read_text() == "{}"


def test_shards_and_index(tiny_model: CooperModel, tmp_path: Path) -> None:
    files = export(tiny_model, tmp_path / "out", max_shard_bytes=20_000)
    assert (tmp_path / "out" / "ema.safetensors.index.json").is_file()
    assert len(files) > 3
    state = open_checkpoint(tmp_path / "out").state
    assert all(torch.equal(tensor, state[name]) for name, tensor in tiny_model.state_dict().items())


def test_occupied_directory(tiny_model: CooperModel, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(CooperError, match="is not empty"):
        export(tiny_model, tmp_path)
    with pytest.raises(CooperError, match="cannot be made"):
        export(tiny_model, tmp_path / "mine.txt" / "below")


def test_full_disk_leaves_no_half_file(tiny_model: CooperModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str]) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(CooperError, match=r"ema.safetensors could not be written: .*No space left"):
        export(tiny_model, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_the_published_code_has_no_place_for_is_named():
    """nano differs in all that the published code holds as constants; the golden checkpoint in sizes alone."""
    notes = unplaced_settings(open_checkpoint(resolve("nano")))
    named = ("latent_patch_size", "autoencoder.norm_groups", "autoencoder.scale", "transforms.vae", "transforms.vit")
    named += (
        "drawing.num_timesteps",
        "modalities.depth",
        "modalities.segmentation",
        "prompts",
        "pre-tokenizer",
        "answer_prefix",
    )
    for name in named:
        assert any(note.startswith((name, f"the {name}")) for note in notes), name


def test_an_export_has_the_files_of_a_slow_tokenizer(tmp_path):
    from transformers import Qwen2Tokenizer

    export(resolve("nano"), tmp_path / "out")
    vocabulary = json.loads((tmp_path / "out" / "vocab.json").read_text())
    slow = Qwen2Tokenizer(str(tmp_path / "out" / "vocab.json"), str(tmp_path / "out" / "merges.txt"))
    fast = Tokenizer.from_file(str(resolve("nano") / "tokenizer.json"))
    assert vocabulary["a"] == fast.token_to_id("a") and slow("cube").input_ids == fast.encode("cube").ids


def test_a_full_disk_leaves_no_half_settings(tiny_model: CooperModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = os.replace

    def full(draft: Path, path: Path) -> None:  # stands for a disk that fills between the weights and their settings
        if Path(path).suffix == ".json":
            raise OSError(errno.ENOSPC, "No space left on device")
        honest(draft, path)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CooperError, match=r"cannot write .*llm_config.json: No space left"):
        export(tiny_model, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["ae.safetensors", "ema.safetensors"]
