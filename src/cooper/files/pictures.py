"""Pictures on their way in, from files and from memory to upright RGB, checked: every picture that a user gives."""

import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, Union

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cooper.errors import CooperError
from cooper.files.arguments import brief, shown

if TYPE_CHECKING:
    from torch import Tensor

Picture = Union[Image.Image, str, Path, bytes, IO[bytes], np.ndarray, "Tensor"]
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")  # none of them starts another program
GREY = 127  # what a model that must not look is shown
MIN_SIDE = 8  # px; nothing can be seen in less
MAX_ASPECT = 50  # longer side over shorter side
MAX_PIXELS = 89_478_485  # px in a file; Pillow's own limit against decompression bombs
_MANY_FRAMES = 100
_FILTERING = Lock()  # filters of warnings belong to all threads
_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    TypeError,
    struct.error,
    OverflowError,
    MemoryError,
)  # what Pillow raises for broken files


def opened(image: Picture, name: str = "the picture") -> Image.Image:
    """A picture as upright RGB, checked: a path, the bytes of a file, a file object, a PIL image, an array or a tensor.

    Arrays are [H, W] or [H, W, C], tensors [C, H, W] as well, with 1, 3 or 4 channels: whole numbers of 8 or 16 bits, truth
    values, or floats in [0, 1]. Raises CooperError naming the file and what is wrong with it.
    """
    if isinstance(image, Image.Image):
        return checked_image(image, name)
    if isinstance(image, str | Path):
        return read_image(image)
    if isinstance(image, bytes | bytearray | memoryview):
        return _read(BytesIO(image), name)
    if isinstance(image, np.ndarray):
        return checked_image(_from_array(image, name), name)
    if callable(getattr(image, "is_floating_point", None)):
        return checked_image(_from_array(_array_of(image, name), name, channels_first=True), name)
    if callable(getattr(image, "read", None)) and callable(getattr(image, "seek", None)):
        return _read(image, getattr(image, "name", "") or name)  # pyright: ignore[reportArgumentType]
    raise CooperError(f"{name} must be a path, bytes, a file object, a PIL image, an array or a tensor, not {shown(image)}")


def pictures_of(image: Picture | Sequence[Picture]) -> list[Image.Image]:
    """One picture or several, opened. Several are a list or tuple. Raises CooperError naming the one at fault."""
    several: list[Any] = list(image) if isinstance(image, list | tuple) else [image]
    if not several:
        raise CooperError("a question needs at least one picture")
    return [opened(one, "the picture" if len(several) == 1 else f"picture {place}") for place, one in enumerate(several)]


def read_image(path: str | Path) -> Image.Image:
    """Read one picture file as upright RGB; `~` is the home directory. Raises CooperError naming the file and its fault."""
    try:
        file = Path(path).expanduser()
        file.stat()
    except (OSError, ValueError, RuntimeError) as error:
        raise CooperError(f"cannot read {brief(path)}: {_reason(error)}") from None
    return _read(_regular(file), str(path))


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


def grey_picture(like: Image.Image) -> Image.Image:
    """A mid-grey picture of the same size."""
    return Image.new("RGB", like.size, (GREY, GREY, GREY))


def png_bytes(image: Image.Image) -> bytes:
    """A picture as a PNG file."""
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def stored_picture(path: Path) -> Image.Image:
    """A picture file as it is, in its own mode and of any shape: one that this project wrote, or a data set's map.

    Raises CooperError naming the file and what is wrong with it.
    """
    with _unread(_regular(path), str(path)) as image:
        try:
            image.load()
            return image.copy()
        except _FAULTS as error:
            raise CooperError(f"{path} is a truncated or damaged picture: {_reason(error)}") from None


def _regular(path: Path) -> Path:
    """The same path. CooperError: it is a folder, or a pipe or device, which might never end."""
    if path.exists() and not path.is_file():
        raise CooperError(f"{path} is {'a folder' if path.is_dir() else 'no regular file'}, not a picture file")
    return path


def _read(source: Path | IO[bytes], name: str) -> Image.Image:
    with _unread(source, name) as image:
        return _first_frame(image, name)


def _unread(source: Path | IO[bytes], name: str) -> Image.Image:
    """A picture of which only the header was read."""
    Image.init()  # all formats of this Pillow; AVIF is not in every build
    try:
        with _FILTERING, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(source, formats=[kind for kind in FORMATS if kind in Image.OPEN])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise CooperError(f"{name} unpacks to more than the {MAX_PIXELS:,} px that a picture may have") from None
    except UnidentifiedImageError:
        raise CooperError(f"{name} is not a picture that can be read (formats: {', '.join(FORMATS)})") from None
    except OSError as error:
        raise CooperError(f"cannot read {name}: {_reason(error)}") from None
    except _FAULTS as error:
        raise CooperError(f"{name} is a damaged picture: {_reason(error)}") from None


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


def _array_of(tensor: Any, name: str) -> np.ndarray:
    """A tensor's values; types that NumPy does not know (bfloat16) as float32."""
    try:
        plain = tensor.detach().cpu()
        return (plain.float() if plain.is_floating_point() else plain).numpy()
    except (RuntimeError, TypeError, AttributeError, NotImplementedError) as error:
        raise CooperError(f"{name} is a tensor whose values cannot be read: {' '.join(str(error).split())}") from None


def _from_array(array: np.ndarray, name: str, channels_first: bool = False) -> Image.Image:
    """A picture of an array of pixels. CooperError: a shape, type or range that no picture has."""
    shape = list(array.shape)
    if array.ndim == 3 and shape[0] in (1, 3, 4) and (channels_first or shape[2] not in (1, 3, 4)):
        array = np.moveaxis(array, 0, 2)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        hint = "; give several pictures as a list" if array.ndim == 4 else ""
        raise CooperError(f"{name} has the shape {shape}; a picture is [H, W], [H, W, 3], [H, W, 4] or [3, H, W]{hint}")
    if min(array.shape[:2]) < 1:
        raise CooperError(f"{name} has the shape {shape}, which is empty")
    return Image.fromarray(_eight_bits(array, name))


def _eight_bits(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return (array / 257).round().astype(np.uint8)
    if np.issubdtype(array.dtype, np.integer) and array.min() >= 0 and array.max() <= 255:
        return array.astype(np.uint8)
    if np.issubdtype(array.dtype, np.floating) and array.min() >= 0 and array.max() <= 1:  # NaN is neither
        return (array * 255).round().astype(np.uint8)
    low, high = (array.min(), array.max()) if np.issubdtype(array.dtype, np.number) else ("?", "?")
    raise CooperError(
        f"{name} holds {array.dtype} values from {low} to {high}; a picture has whole numbers in 0..255 or floats in 0..1"
    )


def _reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text or type(error).__name__


@dataclass(frozen=True)
class LazyPicture:
    """A picture that is not decoded yet: a file, or the bytes of one. `place` names it in messages; `fault`: why there is
    none."""

    place: str
    source: Path | bytes = field(repr=False)
    fault: str = ""

    def open(self) -> Image.Image:
        """Decode it, upright and in RGB. CooperError names the place when that fails."""
        if self.fault:
            raise CooperError(self.fault)

        try:
            return opened(self.source)
        except (CooperError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise CooperError(f"{self.place}: {error}") from error

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored, of its head alone. CooperError names the place: there is no picture, or none of a format
        that is read."""
        try:
            if self.fault:
                raise CooperError(self.fault)
            if isinstance(self.source, Path):
                head = _unread(_regular(self.source), str(self.source))
            else:
                head = _unread(BytesIO(self.source), "the picture")
            with head:
                return head.size
        except CooperError as error:
            raise CooperError(f"{self.place}: {error}") from None
