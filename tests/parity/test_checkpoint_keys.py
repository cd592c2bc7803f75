"""The golden checkpoint of the published layout is read exactly and written back bit by bit."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cooper.model.checkpoints.export import export
from cooper.model.checkpoints.inspection import inspect
from cooper.model.checkpoints.names import network_entries, vae_entries
from cooper.model.checkpoints.opening import Family, is_published_layout, open_checkpoint
from cooper.model.checkpoints.published import read_published_config
from cooper.model.cooper import CooperModel


@pytest.fixture(scope="module")
def published(golden_dir: Path) -> Path:
    return golden_dir / "checkpoint"


@pytest.fixture(scope="module")
def bfloat16_copy(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As published weights are stored: the network in bfloat16, the autoencoder in float32."""
    copy = tmp_path_factory.mktemp("bfloat16")
    for path in published.iterdir():
        shutil.copyfile(path, copy / path.name)
    weights = {name: tensor.bfloat16() for name, tensor in load_file(copy / "ema.safetensors").items()}
    save_file(weights, copy / "ema.safetensors")
    return copy


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


def stored(directory: Path) -> dict[str, Tensor]:
    weights = load_file(directory / "ae.safetensors")
    for file in directory.glob("ema*.safetensors"):
        weights |= load_file(file)
    return weights


def test_the_table_is_the_published_list(golden_dir: Path, published: Path) -> None:
    listed = json.loads((golden_dir / "checkpoint_keys.json").read_text())
    config = read_published_config(published)
    for entries, file in ((network_entries(config), "ema.safetensors"), (vae_entries(config), "ae.safetensors")):
        assert {entry.published: list(entry.published_shape) for entry in entries} == listed[file]
        assert len({entry.ours for entry in entries}) == len(entries)


def test_table_sizes_come_from_the_tensors(published: Path, bfloat16_copy: Path, tmp_path: Path) -> None:
    stale = json.loads((published / "config.json").read_text()) | {"max_latent_size": 7, "something_new": [1]}
    shutil.copytree(bfloat16_copy, tmp_path, dirs_exist_ok=True)
    (tmp_path / "config.json").write_text(json.dumps(stale))
    config = read_published_config(tmp_path)
    assert config.latent_side**2 == len(load_file(published / "ema.safetensors")["latent_pos_embed.pos_embed"])
    assert config.dtype == torch.bfloat16


@pytest.mark.parametrize("kind", ["published", "bfloat16_copy"])
@pytest.mark.parametrize("max_shard_bytes", [10**9, 300_000])
def test_published_to_model_to_published(
    kind: str, max_shard_bytes: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    source: Path = request.getfixturevalue(kind)
    model = CooperModel.from_pretrained(source)
    assert same_bits(dict(open_checkpoint(source).state), dict(model.state_dict()))
    files = export(model, tmp_path / "out", max_shard_bytes)
    assert (len(files) > 2) == (max_shard_bytes < 10**9)
    assert same_bits(stored(tmp_path / "out"), stored(source))
    assert same_bits(dict(CooperModel.from_pretrained(tmp_path / "out").state_dict()), dict(model.state_dict()))


@pytest.mark.parametrize("kind", ["published", "bfloat16_copy"])
def test_ours_to_published_and_back(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    source: Path = request.getfixturevalue(kind)
    CooperModel.from_pretrained(source).save_pretrained(tmp_path / "ours")
    assert not is_published_layout(tmp_path / "ours")
    ours = load_file(tmp_path / "ours" / "model.safetensors")
    export(tmp_path / "ours", tmp_path / "theirs")
    assert same_bits(stored(tmp_path / "theirs"), stored(source))
    CooperModel.from_pretrained(tmp_path / "theirs").save_pretrained(tmp_path / "again")
    assert same_bits(load_file(tmp_path / "again" / "model.safetensors"), ours)


def test_any_type_on_a_device(published: Path) -> None:
    model = CooperModel.from_pretrained(published, dtype=torch.bfloat16, device_map="cpu")
    assert model.lm_head.weight.dtype == torch.bfloat16
    assert model.vae.encoder.conv_in.weight.dtype == torch.float32


def test_exported_files_keep_tokenizer_and_settings(published: Path, tmp_path: Path) -> None:
    export(published, tmp_path / "out")
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == (published / "tokenizer.json").read_bytes()
    before, after = read_published_config(published).to_dict(), read_published_config(tmp_path / "out").to_dict()
    assert after == before


def test_inspect_finds_no_fault(published: Path) -> None:
    report = inspect(published)
    assert report.family is Family.PUBLISHED
    assert report.is_loadable
    assert sum(amount.tensors for amount in report.amounts) == len(stored(published))
