"""Pictures of your own, with depth, class labels or both as PNG files: a folder, or a list in JSON Lines.

    FOLDER/images/NAME.jpg        a picture of any size and format, in any folders below
    FOLDER/depth/NAME.png         16 bits, one channel: plane depth in counts, 0 where it is not known
    FOLDER/labels/NAME.png        8 or 16 bits, one channel: class ids
    FOLDER/instances/NAME.png     8 or 16 bits, one channel: object ids, 0 where nothing is counted; only beside labels
    FOLDER/data.yaml              unit, range and class names, where they are not the defaults

In place of the folders, FOLDER/data.jsonl may list files, one JSON object a line: `image`, and as far as there are any
`depth`, `labels`, `instances` (paths from FOLDER) and `id`. A picture needs a depth map, labels or both, of its own size.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import numpy as np
from PIL import Image

from cooper.data.examples import UNITS, Conventions, Example, ExampleSet
from cooper.data.sources.depth_pairs import png_metres, size_of, stored_pixels
from cooper.errors import CooperError
from cooper.files.pictures import read_image
from cooper.files.plain import read_plain
from cooper.files.rows import read_lines
from cooper.files.values import AtLeast, AtMost, Positive, Weight, build
from cooper.perception.modality import Reading

IMAGES, LIST, SETTINGS = "images", "data.jsonl", "data.yaml"
MAPS = ("depth", "labels", "instances")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".jp2", ".avif")
DEPTH_MODES, ID_MODES = ("I;16", "I;16B", "I"), ("L", "P", "I;16", "I;16B", "I")  # of PNG files, as Pillow calls them
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class PictureSettings:
    """The keys of `data.yaml`. `metres_per_count`: what one count of a depth PNG means (0.001: it holds millimetres).
    `near`, `far`: the depth in metres that counts; without `far` all that is known. `names`: the classes by id, from 0.
    `void`: the id of pixels whose class is not known. `things`: the classes whose instances are objects, by default all but
    void."""

    metres_per_count: Positive = 0.001
    near: Weight = 0.0
    far: Positive | None = None
    names: tuple[str, ...] = ()
    void: Annotated[int, AtLeast(0), AtMost(65535)] | None = None
    things: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.far is not None and self.far <= self.near:
            raise CooperError(f"far is {self.far:g} m, which must be more than near, {self.near:g} m")
        if len(set(self.names)) < len(self.names):
            raise CooperError("names holds a class twice")
        for name in self.things or ():
            if name not in self.names:
                raise CooperError(f"things names {name!r}, which is not among names")

    @property
    def conventions(self) -> Conventions:
        """How maps of these pictures are judged; `far` is infinite where none is said."""
        counted = [name for place, name in enumerate(self.names) if place != self.void] if self.things is None else self.things
        things = frozenset(self.names.index(name) for name in counted)
        far = math.inf if self.far is None else self.far
        return Conventions(near=self.near, far=far, names=self.names, things=things, void=self.void)


@dataclass(frozen=True)
class PictureFiles:
    """A row of `data.jsonl`: the files of one picture."""

    image: Path
    depth: Path | None = None
    labels: Path | None = None
    instances: Path | None = None
    id: str = ""

    @property
    def maps(self) -> dict[str, Path]:
        """By name, the files of what is known."""
        found = {name: getattr(self, name) for name in MAPS}
        return {name: path for name, path in found.items() if path is not None}


def read_pictures(place: Path, changes: Mapping[str, Any] = NOTHING, maps: Sequence[str] = ()) -> ExampleSet:
    """The pictures of a folder, or of a list elsewhere (`place` is a JSON Lines file). `changes` are laid over `data.yaml`.
    `maps`: leave out pictures that have none of these (`depth`, `segmentation`).

    Sizes and kinds of all files are checked here, pixels when they are read. CooperError names the file at fault.
    """
    folder, table = (place.parent, place) if place.is_file() else (place, place / LIST)
    path = folder / SETTINGS
    said = read_plain(path) if path.is_file() else {}
    where = path if path.is_file() else place
    build(PictureSettings, said, str(where))
    beside = f", with {' and '.join(sorted(changes))} as set beside it" if changes else ""
    settings = build(PictureSettings, {**said, **changes}, f"{where}{beside}")
    found = _listed(table, folder) if table.is_file() else _beside(folder)
    for files in found:
        _check(files)
    items = [_example(files, settings) for files in found]
    kept = [item for item in items if not maps or any(map(item.has, maps))]
    if not kept:
        raise CooperError(f"no picture of {place} has {' or '.join('labels' if name != 'depth' else name for name in maps)}")
    words = "objects where instances are given, and each other class as one"
    return ExampleSet(name="pictures", items=kept, conventions=settings.conventions, regions=words)


def is_pictures(place: Path) -> bool:
    """Whether this looks like such a folder or list."""
    return (place / IMAGES).is_dir() or (place / LIST).is_file() or (place.suffix == ".jsonl" and place.is_file())


def _listed(table: Path, folder: Path) -> list[PictureFiles]:
    found: dict[str, PictureFiles] = {}
    for line in read_lines(table, last_is_whole=True):
        row = line.as_a(PictureFiles)
        maps = {name: folder / path for name, path in row.maps.items()}
        row = PictureFiles(folder / row.image, **maps, id=row.id or row.image.with_suffix("").as_posix())
        if row.id in found:
            raise CooperError(f"{line.place}: the id {row.id!r} stands there twice")
        if row.depth is None and row.labels is None:
            raise CooperError(f"{line.place}: nothing is known of {row.image}; name its depth, its labels or both")
        found[row.id] = row
    if not found:
        raise CooperError(f"{table} lists no pictures")
    return list(found.values())


def _beside(folder: Path) -> list[PictureFiles]:
    """The pictures of `images` with the maps of the same names in the folders beside it."""
    images = _by_name(folder / IMAGES, SUFFIXES)
    maps = {name: _by_name(folder / name, (".png",)) for name in MAPS}
    if not images:
        raise CooperError(f"{folder / IMAGES} holds no pictures ({', '.join(SUFFIXES)})")
    for name, path in ((name, path) for paths in maps.values() for name, path in paths.items()):
        if name not in images:
            raise CooperError(f"{path} has no picture: {folder / IMAGES / name}.* is missing")
    kinds = [kind for kind in ("depth", "labels") if maps[kind]] or ["depth", "labels"]
    if not maps["depth"] and not maps["labels"]:
        raise CooperError(f"nothing is known of any picture of {folder}: it has neither depth/NAME.png nor labels/NAME.png")
    for name, image in images.items():
        if not any(name in maps[kind] for kind in kinds):
            missing = " and ".join(f"{folder / kind / name}.png" for kind in kinds)
            raise CooperError(f"nothing is known of {image}: {missing} {'is' if len(kinds) == 1 else 'are'} missing")
    return [
        PictureFiles(image, **{kind: paths[name] for kind, paths in maps.items() if name in paths}, id=name)
        for name, image in images.items()
    ]


def _by_name(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file():
            name = path.relative_to(folder).with_suffix("").as_posix()
            if name in found:
                raise CooperError(f"{found[name]} and {path} have the same name; keep one of them")
            found[name] = path
    return found


def _check(files: PictureFiles) -> None:
    """CooperError: a file that is missing, torn, or of another kind or size than it must be, as far as its head tells."""
    if not files.image.is_file():
        raise CooperError(f"{files.image} is missing")
    size = size_of(files.image)
    if files.instances is not None and files.labels is None:
        raise CooperError(f"{files.instances} has no labels beside it")
    for name, path in files.maps.items():
        if not path.is_file():
            raise CooperError(f"{path}, the {name} of {files.image}, is missing")
        try:
            with Image.open(path, formats=("PNG",)) as image:
                mode, own = image.mode, image.size
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            raise CooperError(f"{path} is no PNG file that can be read") from None
        if mode not in (DEPTH_MODES if name == "depth" else ID_MODES):
            wanted = "16 bits in one channel" if name == "depth" else "class or object ids of 8 or 16 bits in one channel"
            bits = "8 bits in one channel" if mode in ("L", "P") else f"pixels of the kind {mode}"
            raise CooperError(f"{path} has {bits}; {name} must be a PNG of {wanted}")
        if own != size:
            raise CooperError(f"{path} has {own[0]} x {own[1]} px, its picture {files.image} {size[0]} x {size[1]} px")


def _example(files: PictureFiles, settings: PictureSettings) -> Example:
    known = ([] if files.depth is None else ["depth"]) + ([] if files.labels is None else ["labels", "instances"])

    def reading() -> Reading:
        arrays: dict[str, np.ndarray] = {}
        if files.depth is not None:
            arrays["depth"] = _depth(files.depth, settings)
        if files.labels is not None:
            labels = arrays["labels"] = _labels(files.labels, settings)
            ids = np.zeros_like(labels) if files.instances is None else _ids(files.instances, "instances")
            arrays["instances"] = ids
        width, height = size_of(files.image)
        for path, array in zip(files.maps.values(), (arrays[name] for name in files.maps), strict=True):
            if array.shape != (height, width):
                raise CooperError(f"{path} has {array.shape[1]} x {array.shape[0]} px, its picture {width} x {height} px")
        return Reading(arrays, {name: UNITS[name] for name in arrays})

    sources = (files.image, *files.maps.values())
    plain = Example(files.id, lambda: read_image(files.image), reading, lambda: sources)
    return replace(plain, arrays=frozenset(known), void=settings.void)


def _depth(path: Path, settings: PictureSettings) -> np.ndarray:
    metres = png_metres(1 / settings.metres_per_count)(path)
    known = metres[metres > 0]
    if not known.size:
        raise CooperError(f"{path}: no pixel has a depth, all are 0; leave the file out if nothing was measured")
    check_range(
        (float(known.min()), float(known.max())),
        settings.conventions,
        f"{path} (metres_per_count is {settings.metres_per_count:g})",
    )
    return metres


def check_range(found: tuple[float, float], wanted: Conventions, what: str) -> None:
    """CooperError: the nearest and farthest depth in metres lie both before or both beyond what is wanted."""
    if found[1] < wanted.near or found[0] > wanted.far:
        raise CooperError(
            f"{what}: its depth goes from {found[0]:.4g} to {found[1]:.4g} m, none of it within {wanted.near:g} to "
            f"{wanted.far:g} m; is the unit right?"
        )


def _labels(path: Path, settings: PictureSettings) -> np.ndarray:
    labels = _ids(path, "labels")
    known = labels if settings.void is None else labels[labels != settings.void]
    if not known.size:
        raise CooperError(f"{path}: every pixel is void ({settings.void}); leave the file out if nothing is known")
    if settings.names and known.max() >= len(settings.names):
        count = len(settings.names)
        raise CooperError(f"{path} holds class {known.max()}, and {count} classes have names, 0 to {count - 1}")
    return labels


def _ids(path: Path, what: str) -> np.ndarray:
    stored = stored_pixels(path, what)
    if stored.ndim != 2:
        raise CooperError(f"{path} is no picture of one channel")
    return stored.astype(np.int32)


def listed_sizes(place: Path) -> Iterable[bytes]:
    """What tells these pictures from others, in little time: settings and list, names and sizes of the files beside them."""
    folder, table = (place.parent, place) if place.is_file() else (place, place / LIST)
    for path in (folder / SETTINGS, table):
        if path.is_file():
            yield path.read_bytes()
    if not table.is_file():
        for name in (IMAGES, *MAPS):
            for path in sorted((folder / name).rglob("*")):
                if path.is_file() and not path.name.startswith("."):
                    yield f"{path.relative_to(folder).as_posix()} {path.stat().st_size}".encode()
