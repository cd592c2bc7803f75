"""Pictures on their way in: files to RGB, and RGB to the sizes and values the network reads.

C, H, W: channels, height and width in pixels. Sizes are written (width, height), as Pillow does.
"""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cooper.errors import CooperError

if TYPE_CHECKING:
    from jaxtyping import Float32
    from torch import Tensor

MIN_SIDE = 8  # px; nothing can be seen in less
MAX_ASPECT = 50  # longer side over shorter side
MAX_PIXELS = 89_478_485  # px in a file; Pillow's own limit against decompression bombs
_MANY_FRAMES = 100
_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
)  # what Pillow raises for broken files


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


def to_rgb(image: Image.Image) -> Image.Image:
    """An RGB picture: transparency lies on white, 16 bits are scaled to 8, everything else is converted."""
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    if image.mode.startswith("I"):  # "I;16", or "I" as some readers open 16-bit files
        wide = np.asarray(image).astype(np.float64).clip(0, 65535)
        return Image.fromarray((wide / 257).round().astype(np.uint8)).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def checked_image(image: Image.Image, name: str = "the picture") -> Image.Image:
    """The picture upright (EXIF) and in RGB. Raises CooperError when it is too small, too long or of unknown range."""
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        raise CooperError(f"{name} is {width} x {height} px; a picture needs at least {MIN_SIDE} px on each side")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise CooperError(f"{name} is {width} x {height} px; the longer side may be at most {MAX_ASPECT} times the shorter")
    if width * height > MAX_PIXELS:
        raise CooperError(f"{name} is {width} x {height} px, more than the {MAX_PIXELS:,} that a picture may have")
    if image.mode == "F":
        raise CooperError(f"{name} holds floating-point pixels without a known range; save it as 8 or 16 bits")
    try:
        return to_rgb(ImageOps.exif_transpose(image))
    except _FAULTS as error:
        raise CooperError(f"{name} cannot be decoded: {_reason(error)}") from None


def read_image(path: str | Path) -> Image.Image:
    """Read one picture file as upright RGB. Raises CooperError naming the file and what is wrong with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise CooperError(f"{path} unpacks to more than the {MAX_PIXELS:,} px that a picture may have") from None
    except UnidentifiedImageError:
        raise CooperError(f"{path} is not a picture that can be read") from None
    except OSError as error:
        raise CooperError(f"cannot read {path}: {_reason(error)}") from None
    except _FAULTS as error:
        raise CooperError(f"{path} is a damaged picture: {_reason(error)}") from None
    with image:
        return _first_frame(image, str(path))


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


def _first_frame(image: Image.Image, name: str) -> Image.Image:
    try:
        frames = _count_frames(image)
        if frames == 1:
            image.load()
    except _FAULTS as error:
        raise CooperError(f"{name} is a truncated or damaged picture: {_reason(error)}") from None
    if frames > 1:
        many = f"{frames} or more" if frames == _MANY_FRAMES else str(frames)
        raise CooperError(f"{name} is animated or has pages ({many} frames); save the frame you mean as one picture")
    return checked_image(image, name)


def _count_frames(image: Image.Image) -> int:
    """Frames or pages, counted to `_MANY_FRAMES`. A phone's MPO file is one photograph with extras."""
    if image.format == "MPO":
        return 1
    for index in range(1, _MANY_FRAMES):
        try:
            image.seek(index)
        except EOFError:
            image.seek(0)
            return index
    return _MANY_FRAMES


def _reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text or type(error).__name__
