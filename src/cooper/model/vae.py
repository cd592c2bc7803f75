"""The picture autoencoder: diffusers' ``AutoencoderKL`` with the latent scale and shift of a checkpoint.

Letters: B batch, C picture channels (3), H W picture height and width in pixels (multiples of ``downsampling``),
Z latent channels, h w latent height and width.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cooper.errors import CooperError
from cooper.model.config import VaeGeometry


@dataclass(frozen=True)
class Moments:
    """Mean and log-variance of the posterior, unscaled."""

    mean: Float[Tensor, "B Z h w"]
    logvar: Float[Tensor, "B Z h w"]

    def sample(self, noise: Float[Tensor, "B Z h w"]) -> Float[Tensor, "B Z h w"]:
        """One draw from the posterior, with the caller's standard normal noise."""
        return self.mean + torch.exp(0.5 * self.logvar) * noise


class Autoencoder(nn.Module):
    """Pictures to latents and back, where its weights are. Pictures of one call share their size: nothing is padded."""

    def __init__(self, geometry: VaeGeometry) -> None:
        super().__init__()
        widths = tuple(geometry.base_channels * multiplier for multiplier in geometry.channel_multipliers)
        for width in widths:
            if width % geometry.norm_groups:
                raise CooperError(f"vae: norm_groups {geometry.norm_groups} does not divide {width} channels")
        from diffusers import AutoencoderKL  # takes seconds, which reading a checkpoint's headers need not wait for

        parts = AutoencoderKL.from_config(
            {
                "down_block_types": ("DownEncoderBlock2D",) * len(widths),
                "up_block_types": ("UpDecoderBlock2D",) * len(widths),
                "block_out_channels": widths,
                "layers_per_block": geometry.blocks_per_level,
                "latent_channels": geometry.latent_channels,
                "norm_num_groups": geometry.norm_groups,
                "use_quant_conv": False,
                "use_post_quant_conv": False,
            }
        )
        assert isinstance(parts, AutoencoderKL)
        self.geometry = geometry
        self.encoder = parts.encoder
        self.decoder = parts.decoder

    def encode(self, pixels_BCHW: Float[Tensor, "B C H W"]) -> Moments:
        """Posterior of pictures with values in [-1, 1].

        Raises CooperError if a side is no multiple of ``downsampling``.
        """
        height, width = pixels_BCHW.shape[-2:]
        stride = self.geometry.downsampling
        if height % stride or width % stride:
            raise CooperError(f"vae: picture of {width}x{height} pixels, both sides must be multiples of {stride}")
        mean, logvar = self.encoder(pixels_BCHW.to(self.encoder.conv_in.weight)).chunk(2, dim=1)
        return Moments(mean, logvar)

    def scaled(self, sample_BZhw: Float[Tensor, "B Z h w"]) -> Float[Tensor, "B Z h w"]:
        """A posterior sample or mean as the latent that the transformer sees."""
        return self.geometry.scale * (sample_BZhw - self.geometry.shift)

    def latents(self, pixels_BCHW: Float[Tensor, "B C H W"]) -> Float[Tensor, "B Z h w"]:
        """Latents of pictures in [-1, 1]: the posterior mean, scaled. Deterministic."""
        return self.scaled(self.encode(pixels_BCHW).mean)

    def reconstruct(self, latents_BZhw: Float[Tensor, "B Z h w"]) -> Float[Tensor, "B C H W"]:
        """Pictures around [-1, 1] of scaled latents, not clamped: what a training loss compares."""
        return self.decoder(latents_BZhw.to(self.decoder.conv_in.weight) / self.geometry.scale + self.geometry.shift)

    def decode(self, latents_BZhw: Float[Tensor, "B Z h w"]) -> Float[Tensor, "B C H W"]:
        """Pictures in [0, 1] of scaled latents."""
        return (self.reconstruct(latents_BZhw) / 2 + 0.5).clamp(0, 1)
