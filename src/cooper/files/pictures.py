"""Pictures on their way in, from files and from memory to upright RGB, checked: every picture that a user gives."""

import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cooper.errors import CooperError

Picture = Image.Image | str | Path
GREY = 127  # what a model that must not look is shown
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


def opened(image: Picture) -> Image.Image:
    """A picture from a path or from memory, checked. Raises CooperError naming the file."""
    return checked_image(image) if isinstance(image, Image.Image) else read_image(image)


def grey_picture(like: Image.Image) -> Image.Image:
    """A mid-grey picture of the same size."""
    return Image.new("RGB", like.size, (GREY, GREY, GREY))


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
