"""Pictures with measured depth: pairs of files, read when they are asked for.

H, W: height and width in pixels.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from PIL import Image
from PIL.ExifTags import Base

from cooper.data.examples import Box, Conventions, Example, ExampleSet
from cooper.errors import CooperError
from cooper.files.pictures import MAX_PIXELS, read_image
from cooper.files.rows import read_lines
from cooper.perception.depth import DEPTH_ENCODINGS
from cooper.perception.modality import Reading

Metres = Callable[[Path], Float32[np.ndarray, "H W"]]  # reads a file as metres, 0 where nothing was measured


def measured(name: str, picture: Path, depth: Path, metres: Metres, window: tuple[int, int] | None = None) -> Example:
    """One picture and its depth file. `metres` reads the file; `window` cuts both to so many pixels, at the bottom, in the
    middle."""

    def image() -> Image.Image:
        found = read_image(picture)
        if window is None:
            return found
        rows, columns = _window((found.height, found.width), window, picture)
        return found.crop((columns.start, rows.start, columns.stop, rows.stop))

    def reading() -> Reading:
        found, (width, height) = metres(depth), size_of(picture)
        if found.shape != (height, width):
            raise CooperError(f"{depth} has {found.shape[1]} x {found.shape[0]} px, its picture {picture} {width} x {height}")
        if window is not None:
            found = found[_window(found.shape, window, depth)]
        return Reading({"depth": found}, {"depth": "m"})

    return Example(name, image, reading, lambda: (picture, depth), frozenset({"depth"}))


def size_of(picture: Path) -> tuple[int, int]:
    """Width and height of a picture upright, without unpacking it. CooperError: it is none."""
    try:
        with Image.open(picture) as image:
            (width, height), turned = image.size, _is_turned(image)
            return (height, width) if turned else (width, height)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CooperError(f"cannot read {picture}: {error}") from None


def _is_turned(image: Image.Image) -> bool:
    """Whether a picture lies on its side, by its EXIF. Of a PNG only what stands before its pixels, which are not unpacked."""
    return (image.format != "PNG" or "exif" in image.info) and image.getexif().get(Base.Orientation, 1) in range(5, 9)


def _window(shape: tuple[int, ...], window: tuple[int, int], path: Path) -> tuple[slice, slice]:
    top, left = shape[0] - window[0], (shape[1] - window[1]) // 2
    if top < 0 or left < 0:
        raise CooperError(f"{path} has {shape[1]} x {shape[0]} px, less than the {window[1]} x {window[0]} px that are kept")
    return slice(top, shape[0]), slice(left, left + window[1])


def png_metres(per_metre: float, none: float = 0.0) -> Metres:
    """Reads a 16-bit PNG whose numbers are metres times `per_metre`; the number `none` (besides 0) means not measured."""

    def metres(path: Path) -> Float32[np.ndarray, "H W"]:
        stored = stored_pixels(path, "depth")
        if stored.ndim != 2 or stored.dtype.kind not in "iu" or stored.dtype.itemsize < 2:
            raise CooperError(f"{path} is no 16-bit picture of one channel")
        known = stored.astype(np.float32)
        known[known == none] = 0
        return known / np.float32(per_metre)

    return metres


def stored_pixels(path: Path, what: str) -> np.ndarray:
    """The numbers of a PNG as they are stored. CooperError: no PNG, a damaged one, or one of more pixels than a picture may
    have."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise CooperError(
                    f"the {what} {path} is {image.width} x {image.height} px, more than the {MAX_PIXELS:,} allowed"
                )
            return np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CooperError(f"cannot read the {what} {path}: {error}") from None


def read_text(path: Path) -> str:
    """A list that comes with a data set. CooperError: it cannot be read, or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CooperError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CooperError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None


def listed_pairs(place: Path) -> list[tuple[Path, Path]]:
    """Pairs of a list: the file `place` itself, or a `*.txt` in that folder. In a text picture and depth begin each line, and
    one without depth is left out; in JSON Lines they are `rgb_image` and `depth_image`. CooperError: a list that is
    neither."""
    if place.is_file():
        found = pairs_of_rows(place, "depth_image") if place.suffix == ".jsonl" else _pairs_of_lines(place)
        if not found:
            raise CooperError(f"{place} lists no picture with its depth")
        return found
    lists = (_pairs_of_lines(path) for path in sorted(place.glob("*.txt")))
    return next((found for found in lists if found and found[0][0].is_file()), [])


def _pairs_of_lines(path: Path) -> list[tuple[Path, Path]]:
    words = [line.split() for line in read_text(path).splitlines() if line.strip()]
    if not all(len(line) > 1 for line in words):
        return []
    return [(path.parent / line[0], path.parent / line[1]) for line in words if line[1] != "None"]


def pairs_of_rows(path: Path, field: str) -> list[tuple[Path, Path]]:
    """Pictures and the files of their maps, named by a field, of a published list in JSON Lines."""
    found = []
    for line in read_lines(path, last_is_whole=True):
        names = [line.values.get(name) for name in ("rgb_image", field)]
        if not all(isinstance(name, str) and name.strip() and "\0" not in name for name in names):
            raise CooperError(f"{line.place}: 'rgb_image' and {field!r} must be the paths of files")
        found.append((path.parent / str(names[0]), path.parent / str(names[1])))
    return found


def paired(folder: Path, pictures: str, depth_of: Callable[[Path], Path]) -> list[tuple[Path, Path]]:
    """Pictures that match a pattern and whose depth is there, in order of their paths."""
    return [(path, depth_of(path)) for path in sorted(folder.glob(pictures)) if depth_of(path).is_file()]


def items_of(
    folder: Path, pairs: Sequence[tuple[Path, Path]], metres: Metres, window: tuple[int, int] | None = None
) -> list[Example]:
    """The pairs as items, named by their picture's path. CooperError: there are none, or a file is missing."""
    folder = folder.parent if folder.is_file() else folder
    if not pairs:
        raise CooperError(f"{folder} holds no pictures with depth beside them, and no list of such pairs (*.txt)")
    for path in (path for pair in pairs for path in pair):
        if not path.is_file():
            raise CooperError(f"{path} is missing")
    return [
        measured(picture.relative_to(folder).with_suffix("").as_posix(), picture, depth, metres, window)
        for picture, depth in pairs
    ]


def depth_set(
    name: str,
    folder: Path,
    pairs: Sequence[tuple[Path, Path]],
    *,
    metres: Metres | None = None,
    none: float = 0.0,
    box: Box | None = None,
    expected: int = 0,
) -> ExampleSet:
    """The pairs as the data set of that name in `DEPTH_ENCODINGS`. `metres` reads its files where they are no PNG; `none`: the
    number of a PNG that means not measured. CooperError: as `items_of`."""
    encoding = DEPTH_ENCODINGS[name]
    items = items_of(folder, pairs, metres or png_metres(encoding.divisor, none), encoding.crop)
    conventions = Conventions(near=encoding.near, far=encoding.far, box=box)
    return ExampleSet(name=name, items=items, conventions=conventions, expected=expected)
