"""Whether a picture is whole: decoded to its last pixel, and of a PNG file the checksums of its parts."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

from PIL import Image

from cooper.errors import CooperError
from cooper.files.pictures import LazyPicture
from cooper.training.feed.faults.fault import Fault, told


def opened_or_told(picture: LazyPicture, place: str) -> tuple[Image.Image | None, list[Fault]]:
    """The picture upright and in RGB, or why there is none."""
    what = picture.place.removeprefix(place).lstrip(", ")
    if not picture.fault and _is_empty(picture.source):
        bare = isinstance(picture.source, bytes)
        said = f"{what}{': ' if what else ''}{'the picture' if bare else picture.source} has 0 bytes"
        return None, [Fault(place=place, kind="no_picture" if bare else "torn_picture", said=said)]
    try:
        image = picture.open()
    except CooperError as error:
        return None, [told(place, error)]
    try:
        checksums(picture.source)
    except CooperError as error:
        return image, [told(place, f"{what}: {error}" if what else error)]
    return image, []


def absent(path: Path) -> str:
    """Why there is no file at a path, "" where there is one."""
    if path.is_file():
        return ""
    if path.is_dir():
        return "is a folder, and no file"
    if path.is_symlink():
        return "is a link that leads to no file"
    return "is no regular file" if path.exists() else "is missing"


def checksums(source: Path | bytes) -> None:
    """CooperError: a PNG file whose parts are not those that were written, though its pixels can be unpacked."""
    try:
        with Image.open(source if isinstance(source, Path) else BytesIO(source)) as image:
            if image.format == "PNG":
                image.verify()
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        name = str(source) if isinstance(source, Path) else "the picture"
        raise CooperError(f"{name} is a damaged picture: {error}") from None


def _is_empty(source: Path | bytes) -> bool:
    return not source if isinstance(source, bytes) else source.is_file() and not source.stat().st_size


def is_deep(source: Path) -> bool:
    """Whether a file holds one channel of 16 bits or more, as depth does and no photograph. False: it cannot be read."""
    try:
        with Image.open(source) as image:
            return image.mode.startswith("I") or image.mode == "F"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
