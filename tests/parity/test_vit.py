"""The picture tower and its connector give the published numbers (group 03)."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from cooper.errors import CooperError
from cooper.model.config import VitGeometry
from cooper.model.vit import Connector, Vit

SMALL = VitGeometry(hidden_size=16, num_layers=2, num_attention_heads=2, intermediate_size=24, patch_size=2, position_side=8)
PREFIX = "vit_model.vision_model."


@pytest.fixture(scope="module")
def numbers(golden_dir: Path) -> dict[str, Tensor]:
    return load_file(golden_dir / "03_vit.safetensors")


@pytest.fixture(scope="module")
def weights(golden_dir: Path) -> dict[str, Tensor]:
    return load_file(golden_dir / "checkpoint" / "ema.safetensors")


@pytest.fixture(scope="module")
def tower(golden_dir: Path, weights: dict[str, Tensor]) -> Vit:
    stored = json.loads((golden_dir / "checkpoint" / "vit_config.json").read_text())
    vit = Vit(
        VitGeometry(
            hidden_size=stored["hidden_size"],
            num_layers=stored["num_hidden_layers"] - 1,
            num_attention_heads=stored["num_attention_heads"],
            intermediate_size=stored["intermediate_size"],
            patch_size=stored["patch_size"],
            position_side=stored["image_size"] // stored["patch_size"],
        )
    )
    names = {
        name.removeprefix(PREFIX).removeprefix("embeddings.").removeprefix("encoder."): tensor
        for name, tensor in weights.items()
        if name.startswith(PREFIX)
    }
    vit.load_state_dict(names)
    return vit.eval()


def lengths_of(numbers: dict[str, Tensor]) -> tuple[int, ...]:
    return tuple(numbers["cu_seqlens"].diff().tolist())


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-4)


@torch.no_grad()
def test_tower_and_connector(tower: Vit, weights: dict[str, Tensor], numbers: dict[str, Tensor]) -> None:
    features = tower(numbers["packed_pixel_values"], numbers["position_ids"], lengths_of(numbers))
    close(features, numbers["vit_out"])
    connector = Connector(features.shape[1], numbers["connector_out"].shape[1])
    start = "connector."
    connector.load_state_dict({k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)})
    embedded = connector(features)
    close(embedded, numbers["connector_out"])
    close(embedded + weights["vit_pos_embed.pos_embed"][numbers["position_ids"]], numbers["connector_plus_pos"])


def small_tower() -> Vit:
    torch.manual_seed(0)
    vit = Vit(SMALL)
    nn.init.normal_(vit.position_embedding.weight)
    return vit.eval()


def packed(*lengths: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    total = sum(lengths)
    return torch.randn(total, 12, generator=generator), torch.randint(64, (total,), generator=generator)


@torch.no_grad()
@pytest.mark.parametrize("lengths", [(5,), (4, 4), (3, 7, 1)])
def test_packed_pictures_equal_each_alone(lengths: tuple[int, ...]) -> None:
    vit = small_tower()
    patches, places = packed(*lengths)
    alone = [vit(p, i, (len(p),)) for p, i in zip(patches.split(lengths), places.split(lengths), strict=True)]
    torch.testing.assert_close(vit(patches, places, lengths), torch.cat(alone), rtol=0, atol=1e-5)


def test_every_weight_gets_a_gradient() -> None:
    vit = small_tower()
    patches, places = packed(3, 5)
    vit(patches, places, (3, 5)).square().sum().backward()
    assert [name for name, weight in vit.named_parameters() if weight.grad is None] == []


def test_no_pictures_and_wrong_lengths() -> None:
    vit = small_tower()
    patches, places = packed(4)
    assert vit(patches[:0], places[:0], ()).shape == (0, 16)
    with pytest.raises(CooperError, match="add up to 3"):
        vit(patches, places, (1, 2))
