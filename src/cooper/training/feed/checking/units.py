"""A data set that is to be checked: its rows or pictures, and what looks at each of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol

from PIL import Image

from cooper.data.examples import ExampleSet
from cooper.data.sources.pictures import SETTINGS, PictureSettings
from cooper.data.sources.reasoning.question_rows import ID, pictures_beside
from cooper.data.sources.reasoning.trace_file import OF_TRACES, QUESTIONS, picture_folder
from cooper.data.sources.virtual_kitti import SKY
from cooper.errors import CooperError
from cooper.files.plain import read_plain
from cooper.files.rows import Line, line_places, read_line
from cooper.files.values import build
from cooper.perception.depth import DEPTH_ENCODINGS
from cooper.training.data import ADE20K, PICTURES
from cooper.training.feed.checking import listing
from cooper.training.feed.checking.lengths import LONGEST
from cooper.training.feed.faults.examples import ExampleCheck
from cooper.training.feed.faults.fault import Fault, told
from cooper.training.feed.faults.maps import FULL, LABELS, PARSING, MapCheck, MapFiles
from cooper.training.feed.faults.rows import RowCheck
from cooper.training.feed.faults.seen import Seen
from cooper.training.traces import RowLengths

PROBED = 32  # lines that tell the kind of a file


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """How data are checked. `kind`, `images` (`image_root`) and `limit` as in a recipe (`DataSource`). `longest`: tokens of a
    row. `thumbs`: whether small pictures are made."""

    lengths: RowLengths
    longest: int = LONGEST
    kind: str | None = None
    images: Path | None = None
    limit: int | None = None
    thumbs: bool = False


class Units(Protocol):
    """The place of each row or picture, and what looks at it. Some are read when their turn comes."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[tuple[str, Callable[[], Seen]]]: ...
    def __getitem__(self, number: int, /) -> tuple[str, Callable[[], Seen]]: ...


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One data set to be checked. `faults`: of the set itself. `filtered`: whether a list promises that hardly any depth is
    unknown. `alone`: whether one unit at a time may be read. `imported`: whether `cooper data import` must come before a
    training."""

    place: Path
    kind: str
    units: Units
    imported: bool = False
    faults: tuple[Fault, ...] = ()
    filtered: bool = False
    alone: bool = False


def rows_set(path: Path, kind: str, options: CheckOptions) -> Checked:
    places = list(islice(line_places(path), options.limit))
    first = next((line for _, line in islice(listing.rows_of(path), PROBED) if isinstance(line, Line)), None)
    published = kind == QUESTIONS and first is not None and ID in first.values and "type" not in first.values
    beside = _folder_beside(path) if kind in OF_TRACES else pictures_beside(path) if published else path.parent
    check = RowCheck(
        path=path,
        kind=kind,
        folder=options.images or beside,
        lengths=options.lengths,
        longest=options.longest,
        published=published,
        thumbs=options.thumbs,
    )
    faults = () if places else (nothing_in(path),)
    return Checked(
        place=path, kind=kind, units=[(place, partial(check, place, start)) for place, start in places], faults=faults
    )


def _folder_beside(path: Path) -> Path:
    """As `picture_folder`, of a file whose lines may be torn."""
    try:
        return picture_folder(path)
    except CooperError:
        return path.parent


def map_sets(
    path: Path, kind: str, files: Sequence[MapFiles], options: CheckOptions, done: set[tuple[Path, ...]] | None = None
) -> Iterator[Checked]:
    """Pictures of a published set; nothing if other lists have named all of them."""
    named = [tuple(place for place in (each.picture, *each.maps.values()) if place is not None) for each in files]
    left = [each for each, names in zip(files, named, strict=True) if not done or names not in done]
    if done is not None:
        done.update(named)
    if files and not left:
        return
    encoding = DEPTH_ENCODINGS.get(kind)
    labels = _release([each.maps[LABELS] for each in left if LABELS in each.maps]) if kind == ADE20K else ""
    check = MapCheck(
        lengths=options.lengths,
        longest=options.longest,
        encoding=encoding,
        sky=SKY if kind == "vkitti" else 0,
        labels=labels,
        thumbs=options.thumbs,
    )
    yield _pictures(path, kind, left[: options.limit], check)


def _pictures(place: Path, kind: str, files: Sequence[MapFiles], check: MapCheck, *faults: Fault) -> Checked:
    empty = () if files else (Fault(place=str(place), kind="empty", said="lists no pictures"),)
    units = [(each.place, partial(check, each)) for each in listing.shared_maps(files)]
    return Checked(place=place, kind=kind, units=units, faults=(*faults, *empty), filtered="filtered" in place.name)


def _release(paths: Sequence[Path]) -> str:
    """Which ADE20K files of regions belong to: by their names, else by what most of the first hold."""
    if any(path.name.endswith("_seg.png") for path in paths):
        return FULL
    if any("annotations" in path.parts for path in paths):
        return PARSING
    modes = [_mode(path) for path in paths[:PROBED]]
    return PARSING if sum(mode in ("L", "P") for mode in modes) > modes.count("RGB") else FULL


def _mode(path: Path) -> str:
    """The kind of pixels of a file, as Pillow calls it; "" where it cannot be read."""
    try:
        with Image.open(path) as image:
            return image.mode
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return ""


def own_set(place: Path, folder: Path, files: Sequence[MapFiles], options: CheckOptions) -> Checked:
    """Pictures of your own with the settings of their folder."""
    settings, faults, path = PictureSettings(), [], folder / SETTINGS
    if path.is_file():
        try:
            settings = build(PictureSettings, read_plain(path), str(path))
        except CooperError as error:
            faults.append(told(str(path), error))
    check = MapCheck(lengths=options.lengths, longest=options.longest, settings=settings, thumbs=options.thumbs)
    return _pictures(place, PICTURES, files[: options.limit], check, *faults)


def nothing_in(path: Path) -> Fault:
    return Fault(place=str(path), kind="empty", said="holds no row")


def unknown_rows(path: Path, options: CheckOptions) -> Checked:
    """A file whose first rows do not tell its kind: what is wrong with each line, and which fields there are."""
    places = list(islice(line_places(path), options.limit))
    if not places:
        return Checked(place=path, kind="unknown", units=(), faults=(nothing_in(path),))
    lines = [line for _, line in islice(listing.rows_of(path), PROBED) if isinstance(line, Line)]
    fields = ", ".join(list(dict.fromkeys(name for line in lines for name in line.values))[:PROBED]) or "none"
    said = f"no row of the first tells what the file holds (fields: {fields}); say its --kind"
    faults = (Fault(place=str(path), kind="form", said=said),) if lines else ()
    return Checked(
        place=path, kind="unknown", units=[(found[0], partial(_parsed, path, *found)) for found in places], faults=faults
    )


def _parsed(path: Path, place: str, start: int) -> Seen:
    """What is seen of a line of unknown kind: whether it is a row at all. CooperError: it is none."""
    read_line(path, place, start)
    return Seen(place=place)


def example_set(folder: Path, kind: str, found: ExampleSet, options: CheckOptions) -> Checked:
    """Examples that a reader gives, one at a time."""
    check = ExampleCheck(
        items=found.items, conventions=found.conventions, folder=folder, lengths=options.lengths, thumbs=options.thumbs
    )
    numbers = range(len(found.items))[: options.limit]
    units = [(f"{folder}, picture {number}", partial(check, number)) for number in numbers]
    return Checked(place=folder, kind=kind, units=units, alone=True)
