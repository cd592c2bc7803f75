"""Checkpoints are found, checked and refused with a sentence that names what is wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from torch import Tensor

from cooper.errors import CooperError
from cooper.files.hub import resolve
from cooper.model.checkpoints import loading
from cooper.model.checkpoints.names import CONV_PATCHES
from cooper.model.checkpoints.opening import Family, family_of, own_entries
from cooper.model.cooper import CooperModel


def change(file: Path, edit: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
    save_file(edit(tensors), file)


def without(*starts: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda tensors: {name: tensor for name, tensor in tensors.items() if not name.startswith(starts)}


def same(one: CooperModel, other: CooperModel) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_the_table_is_the_model(tiny_model: CooperModel) -> None:
    table = {entry.ours: entry.shape for entry in own_entries(tiny_model.config)}
    assert table == {name: tensor.shape for name, tensor in tiny_model.state_dict().items()}


def test_both_layouts_load(tiny_model: CooperModel, ours: Path, theirs: Path) -> None:
    assert family_of(ours) is Family.OURS
    assert family_of(theirs) is Family.PUBLISHED
    assert same(CooperModel.from_pretrained(ours), tiny_model)
    loaded = CooperModel.from_pretrained(theirs)
    assert same(loaded, tiny_model)
    assert loaded.config.name_or_path == str(theirs)
    assert loaded.config.drawing == tiny_model.config.drawing
    assert loaded.config.transforms == tiny_model.config.transforms


def test_weights_and_base_in_two_places(tiny_model: CooperModel, theirs: Path, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (theirs / "ema.safetensors").rename(tmp_path / "weights" / "model.safetensors")
    assert same(CooperModel.from_pretrained(tmp_path / "weights", base=theirs), tiny_model)
    with pytest.raises(CooperError, match="name the base BAGEL directory"):
        CooperModel.from_pretrained(tmp_path / "weights")


def test_sharded_own_layout(tiny_model: CooperModel, tmp_path: Path) -> None:
    tiny_model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert same(CooperModel.from_pretrained(tmp_path), tiny_model)
    next(tmp_path.glob("model-00002-*")).unlink()
    with pytest.raises(CooperError, match=r"model-00002-.* is missing; the download is incomplete"):
        CooperModel.from_pretrained(tmp_path)


def test_convolutional_patch_embedding(tiny_model: CooperModel, theirs: Path) -> None:
    def as_convolution(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        flat = tensors[CONV_PATCHES]
        image = flat.reshape(len(flat), 2, 2, 3).permute(0, 3, 1, 2).contiguous()
        return tensors | {CONV_PATCHES: image}

    change(theirs / "ema.safetensors", as_convolution)
    assert same(CooperModel.from_pretrained(theirs), tiny_model)


def test_another_position_table(theirs: Path) -> None:
    change(theirs / "ema.safetensors", lambda t: t | {"latent_pos_embed.pos_embed": torch.ones(36, 16)})
    model = CooperModel.from_pretrained(theirs)
    assert model.config.latent_side == 6
    assert model.latent_pos.table.shape == (36, 16)


def test_loose_llm_config_and_stale_size(theirs: Path) -> None:
    path = theirs / "llm_config.json"
    kept = json.loads(path.read_text())
    for name in ("qk_norm", "layer_module", "freeze_und", "is_causal", "tie_word_embeddings"):
        del kept[name]
    path.write_text(json.dumps(kept | {"brand_new": True}))
    CooperModel.from_pretrained(theirs)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (without("connector.fc1.bias"), "connector.fc1.bias is missing"),
        (without("language_model.model.layers.0.mlp."), r"is missing \(and 2 more"),
        (lambda t: t | {"head.weight": torch.ones(2)}, "head.weight is not part of the model"),
        (lambda t: t | {"vae2llm.bias": torch.ones(3)}, r"vae2llm.bias has shape \[3\], the configuration asks for \[16\]"),
        (lambda t: t | {"vit_pos_embed.pos_embed": torch.ones(24, 16)}, "has 24 rows, which is no square"),
        (lambda t: t | {"llm2vae.weight": torch.ones(15, 16)}, "no square of 4 channels"),
    ],
)
def test_wrong_tensors(theirs: Path, edit: Callable[[dict[str, Tensor]], dict[str, Tensor]], message: str) -> None:
    change(theirs / "ema.safetensors", edit)
    with pytest.raises(CooperError, match=message):
        CooperModel.from_pretrained(theirs)


def test_weights_that_cannot_draw(theirs: Path) -> None:
    def understanding_only(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        drawing = ("vae2llm", "llm2vae", "time_embedder", "latent_pos_embed")
        return {n: t for n, t in without(*drawing)(tensors).items() if "_moe_gen" not in n}

    change(theirs / "ema.safetensors", understanding_only)
    with pytest.raises(CooperError, match="can understand pictures but not draw"):
        CooperModel.from_pretrained(theirs)


@pytest.mark.parametrize("layout", ["ours", "theirs"])
@pytest.mark.parametrize("kept", [4, 100, 0.9])
def test_half_downloaded(layout: str, kept: float, request: pytest.FixtureRequest) -> None:
    directory: Path = request.getfixturevalue(layout)
    file = next(iter([*directory.glob("ema.safetensors"), *directory.glob("model.safetensors")]))
    content = file.read_bytes()
    file.write_bytes(content[: int(kept if kept > 1 else kept * len(content))])
    with pytest.raises(CooperError, match=f"{file.name} is cut short"):
        CooperModel.from_pretrained(directory)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<html>this is no weight file at all</html>", "is no safetensors file"),
        (b"\x02\0\0\0\0\0\0\0[]", "is no safetensors file"),
    ],
)
def test_something_else_in_place_of_weights(theirs: Path, content: bytes, message: str) -> None:
    (theirs / "ema.safetensors").write_bytes(content)
    with pytest.raises(CooperError, match=message):
        CooperModel.from_pretrained(theirs)


@pytest.mark.parametrize("name", ["ae.safetensors", "vit_config.json", "llm_config.json"])
def test_missing_file_of_the_published_layout(theirs: Path, name: str) -> None:
    (theirs / name).unlink()
    with pytest.raises(CooperError, match=f"holds no {name}"):
        CooperModel.from_pretrained(theirs)


def test_broken_configuration(ours: Path, theirs: Path) -> None:
    (theirs / "llm_config.json").write_text('{"hidden_size": "big"}')
    with pytest.raises(CooperError, match=r"llm_config.json: num_attention_heads is None"):
        CooperModel.from_pretrained(theirs)
    (ours / "config.json").write_text("{")
    with pytest.raises(CooperError, match=r"config.json: not JSON"):
        CooperModel.from_pretrained(ours)
    (ours / "config.json").write_text('{"model_type": "cooper", "vae": {"colour": 3}}')
    with pytest.raises(CooperError, match=r"config.json makes no configuration: .*colour"):
        CooperModel.from_pretrained(ours)


def test_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(CooperError, match="is not a checkpoint"):
        CooperModel.from_pretrained(tmp_path)


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(tmp_path) == tmp_path
    (tmp_path / "file").write_text("")
    for name, message in (
        (str(tmp_path / "file"), "is a file"),
        (str(tmp_path / "nowhere"), "is no directory"),
        ("nanoo", "neither 'nano' nor a hub id"),
    ):
        with pytest.raises(CooperError, match=message):
            resolve(name)

    def offline(name: str, **_: object) -> str:
        raise LocalEntryNotFoundError("cannot reach the hub")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(CooperError, match="owner/name: no file or folder here, and it could not be fetched"):
        resolve("owner/name")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **_: str(tmp_path))
    assert resolve("owner/name") == tmp_path


def test_devices_without_accelerate(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "is_accelerate_available", lambda: False)
    assert CooperModel.from_pretrained(theirs, device_map="cpu").device.type == "cpu"
    with pytest.raises(CooperError, match="needs accelerate"):
        CooperModel.from_pretrained(theirs, device_map="auto")
