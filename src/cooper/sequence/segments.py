"""The four kinds of segment a sequence is made of (spec: text, ViT picture, clean latents, noised latents).

C: channels (3). H, W: pixels. z: latent channels. h, w: latent cells. N: latent tokens. D: width of a latent token.
Conventions: t = 1 is noise; the network predicts the velocity noise - x_0.
"""

from dataclasses import dataclass

from einops import rearrange
from torch import Tensor


@dataclass(frozen=True)
class TextSegment:
    """bos, `ids`, and eos unless the turn was cut off (`closed=False`). With `loss`, ids and eos are targets."""

    ids: tuple[int, ...]
    closed: bool = True
    loss: bool = False


@dataclass(frozen=True, eq=False)
class VitSegment:
    """A picture read through the ViT: normalised pixels [3, H, W] in [-1, 1], sides multiples of the patch."""

    pixels_CHW: Tensor


@dataclass(frozen=True, eq=False)
class LatentSegment:
    """A picture read as clean latents [z, h, w] (timestep 0)."""

    latent_zhw: Tensor


@dataclass(frozen=True, eq=False)
class NoisedSegment:
    """A picture being drawn: tokens x_t [N, D] at time `t` on an (h, w) grid of tokens; `velocity_ND` is the target, if any,
    and `known_N` says which tokens are learnt (all by default). `branch`: of a copy that guidance needs, see `Noising`."""

    tokens_ND: Tensor
    t: float
    grid: tuple[int, int]
    velocity_ND: Tensor | None = None
    known_N: Tensor | None = None
    branch: int = 0

    @property
    def learnt(self) -> slice | Tensor:
        """What chooses the tokens that are learnt."""
        return slice(None) if self.known_N is None else self.known_N


Segment = TextSegment | VitSegment | LatentSegment | NoisedSegment


def latent_tokens(latent_zhw: Tensor, patch: int) -> Tensor:
    """[z, h, w] -> [N, patch * patch * z], row major, channel fastest.

    >>> import torch
    >>> latent_tokens(torch.arange(8.0).reshape(2, 2, 2), 2).tolist()
    [[0.0, 4.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0]]
    """
    return rearrange(latent_zhw, "z (h p) (w q) -> (h w) (p q z)", p=patch, q=patch)


def tokens_latent(tokens_ND: Tensor, grid: tuple[int, int], patch: int) -> Tensor:
    """The inverse of `latent_tokens`: [N, patch * patch * z] on an (h, w) grid of tokens -> [z, h * patch, w * patch]."""
    return rearrange(
        tokens_ND,
        "(h w) (p q z) -> z (h p) (w q)",
        h=grid[0],
        w=grid[1],
        p=patch,
        q=patch,
    )


def pixel_patches(pixels_CHW: Tensor, patch: int) -> Tensor:
    """[3, H, W] -> [patches, patch * patch * 3], row major, channel fastest."""
    return rearrange(pixels_CHW, "c (h p) (w q) -> (h w) (p q c)", p=patch, q=patch)


def noised(latent_zhw: Tensor, noise_ND: Tensor, t: float, patch: int) -> NoisedSegment:
    """Mix a clean latent with noise for training: x_t = (1 - t) x_0 + t noise, target velocity noise - x_0."""
    clean_ND = latent_tokens(latent_zhw, patch)
    grid = (latent_zhw.shape[1] // patch, latent_zhw.shape[2] // patch)
    return NoisedSegment((1 - t) * clean_ND + t * noise_ND, t, grid, noise_ND - clean_ND)
