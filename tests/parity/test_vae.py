"""The autoencoder gives the published numbers (group 04)."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cooper.errors import CooperError
from cooper.model.checkpoints.names import from_published, published_vae_name, to_published
from cooper.model.config import VaeGeometry
from cooper.model.vae import Autoencoder

NANO = VaeGeometry(base_channels=32, channel_multipliers=(1, 2, 2, 4), blocks_per_level=1)


def golden_geometry(golden_dir: Path) -> VaeGeometry:
    stored = json.loads((golden_dir / "checkpoint" / "config.json").read_text())["vae_config"]
    return VaeGeometry(
        base_channels=stored["ch"],
        channel_multipliers=tuple(stored["ch_mult"]),
        blocks_per_level=stored["num_res_blocks"],
        latent_channels=stored["z_channels"],
        scale=stored["scale_factor"],
        shift=stored["shift_factor"],
    )


@pytest.fixture(scope="module")
def numbers(golden_dir: Path) -> dict[str, Tensor]:
    return load_file(golden_dir / "04_vae.safetensors")


@pytest.fixture(scope="module")
def autoencoder(golden_dir: Path) -> Autoencoder:
    geometry = golden_geometry(golden_dir)
    vae = Autoencoder(geometry)
    vae.load_state_dict(from_published(load_file(golden_dir / "checkpoint" / "ae.safetensors"), geometry))
    return vae.eval().requires_grad_(False)


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-4)


def names_of_images(numbers: dict[str, Tensor]) -> list[str]:
    return sorted({name.split(".")[0] for name in numbers if name.endswith(".moments")})


def test_encoder_moments_and_latents(autoencoder: Autoencoder, numbers: dict[str, Tensor]) -> None:
    for image in names_of_images(numbers):
        moments = autoencoder.encode(numbers[f"{image}.x"])
        close(torch.cat((moments.mean, moments.logvar), dim=1), numbers[f"{image}.moments"])
        close(autoencoder.latents(numbers[f"{image}.x"]), numbers[f"{image}.latent_mean"])
        close(autoencoder.scaled(moments.sample(numbers[f"{image}.eps"])), numbers[f"{image}.latent_sampled"])


def as_stored(pictures: Tensor, expected: Tensor) -> Tensor:
    return pictures if expected.min() < 0 else (pictures / 2 + 0.5).clamp(0, 1)


def test_decoder(autoencoder: Autoencoder, numbers: dict[str, Tensor]) -> None:
    for image in names_of_images(numbers):
        expected = numbers[f"{image}.decoded_from_mean"]
        close(as_stored(autoencoder.reconstruct(numbers[f"{image}.latent_mean"]), expected), expected)
    close(as_stored(autoencoder.reconstruct(numbers["free.z"]), numbers["free.decoded"]), numbers["free.decoded"])


def test_a_batch_of_one_size_equals_each_alone(autoencoder: Autoencoder, numbers: dict[str, Tensor]) -> None:
    batch = numbers["padded_batch.x"]
    close(autoencoder.latents(batch), numbers["padded_batch.latent_mean"])
    close(autoencoder.latents(batch), torch.cat([autoencoder.latents(row[None]) for row in batch]))


def test_decode_is_clamped(autoencoder: Autoencoder, numbers: dict[str, Tensor]) -> None:
    pixels = autoencoder.decode(numbers["free.z"] * 10)
    assert pixels.min() >= 0 and pixels.max() <= 1


def test_published_names_both_ways(golden_dir: Path) -> None:
    geometry = golden_geometry(golden_dir)
    published = load_file(golden_dir / "checkpoint" / "ae.safetensors")
    back = to_published(from_published(published, geometry), geometry)
    assert back.keys() == published.keys()
    assert all(torch.equal(back[name], published[name]) and back[name].shape == published[name].shape for name in back)


def test_up_levels_count_from_the_finest() -> None:
    assert published_vae_name("decoder.up_blocks.0.upsamplers.0.conv.bias", 4) == "decoder.up.3.upsample.conv.bias"


def test_faults_name_the_tensor() -> None:
    state = to_published(Autoencoder(NANO).state_dict(), NANO)
    missing = {name: tensor for name, tensor in state.items() if name != "decoder.conv_in.bias"}
    with pytest.raises(CooperError, match=r"decoder.conv_in.bias is missing"):
        from_published(missing, NANO)
    with pytest.raises(CooperError, match=r"quant_conv.weight is not part"):
        from_published(state | {"quant_conv.weight": torch.zeros(1)}, NANO)
    with pytest.raises(CooperError, match=r"decoder.conv_in.bias has shape \[3\]"):
        from_published(state | {"decoder.conv_in.bias": torch.zeros(3)}, NANO)


def test_small_geometry_trains() -> None:
    vae = Autoencoder(NANO)
    picture = torch.rand(1, 3, 16, 24) * 2 - 1
    (vae.reconstruct(vae.latents(picture)) - picture).square().mean().backward()
    untouched = [name for name, weight in vae.named_parameters() if weight.grad is None]
    assert untouched == []


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(CooperError, match="multiples of 8"):
        Autoencoder(NANO).encode(torch.zeros(1, 3, 33, 40))
    with pytest.raises(CooperError, match="does not divide 48"):
        Autoencoder(VaeGeometry(base_channels=48))
