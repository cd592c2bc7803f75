"""Pictures on their way into the network: RGB to the sizes and values it reads.

C, H, W: channels, height and width in pixels. Sizes are written (width, height), as Pillow does.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from jaxtyping import Float32
    from torch import Tensor


Found = TypeVar("Found")


class Size(NamedTuple):
    """Pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class ImageTransform:
    """Brings a picture to a size the network takes: sides that are multiples of `stride` px, within bounds.

    `max_side` and `min_side` bound the longer and the shorter side in px, `max_pixels` the area. The bounds give way in
    this order, as published: the area rule scales *both* sides by the ratio of the areas, and the longer side wins over
    the shorter, which can therefore end below `min_side`.
    """

    max_side: int
    min_side: int
    stride: int
    max_pixels: int = 14 * 14 * 9 * 1024

    def size(self, width: int, height: int) -> Size:
        """The size that a picture of `width` x `height` px is brought to.

        `ImageTransform(1024, 512, 16).size(640, 480)` is `(688, 512)`: the shorter side grows to 512, the longer
        to 682.67, which snaps to 43 * 16.
        """
        scale = min(self.max_side / max(width, height), 1.0)
        scale = max(scale, self.min_side / min(width, height))
        size = self._snap(width * scale, height * scale)
        area = size.width * size.height
        if area > self.max_pixels:
            scale = self.max_pixels / area
            size = self._snap(size.width * scale, size.height * scale)
        if max(size) > self.max_side:
            scale = self.max_side / max(size)
            size = self._snap(size.width * scale, size.height * scale)
        return size

    def resize(self, image: Image.Image) -> Image.Image:
        """The RGB picture at its size, bicubic and antialiased."""
        size = self.size(*image.size)
        return image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)

    def _snap(self, width: float, height: float) -> Size:
        def side(value: float) -> int:
            return max(self.stride, int(round(round(value) / self.stride) * self.stride))

        return Size(side(width), side(height))


def pixels_CHW(image: Image.Image) -> Float32[Tensor, "C H W"]:
    """RGB as float32 in [-1, 1]: value 0 becomes -1, value 255 becomes 1."""
    import torch

    pixels_HWC = np.asarray(image, dtype=np.float32) / np.float32(255)
    return torch.from_numpy(((pixels_HWC - np.float32(0.5)) / np.float32(0.5)).transpose(2, 0, 1).copy())


def vit_pixels_CHW(
    image: Image.Image, vae: ImageTransform, vit: ImageTransform, vit_after_vae: bool
) -> Float32[Tensor, "C H W"]:
    """The ViT view as `pixels_CHW`; `vit_after_vae` makes it from the VAE-resized picture."""
    return pixels_CHW(vit.resize(vae.resize(image) if vit_after_vae else image))


@dataclass(frozen=True, eq=False)
class Remembered(Generic[Found]):
    """What `make` gives for a picture, kept by its pixels for the `most` pictures that were asked for last."""

    make: Callable[[Image.Image], Found]
    most: int = 64
    _known: OrderedDict[bytes, Found] = field(default_factory=OrderedDict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __call__(self, image: Image.Image) -> Found:
        key = hashlib.sha256(f"{image.mode} {image.size}".encode() + image.tobytes()).digest()
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        made = self.make(image)
        with self._lock:
            self._known[key] = made
            while len(self._known) > self.most:
                self._known.popitem(last=False)
        return made
