"""What is to be checked: the data sets in a folder or file, each with its kind, and the check of each of its rows."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Concatenate, ParamSpec

from cooper.data.sources.ade20k import class_names
from cooper.data.sources.imports.clear import is_restored
from cooper.data.sources.imports.kinds import KINDS
from cooper.data.sources.pictures import IMAGES, LIST, MAPS
from cooper.data.sources.reasoning.trace_file import COLUMNS, LLAVA
from cooper.errors import CooperError
from cooper.files.rows import Line
from cooper.perception.depth import DEPTH_ENCODINGS
from cooper.training.data import ADE20K, PICTURES, SCENES, DataSource, map_kinds, open_data
from cooper.training.feed.checking import listing
from cooper.training.feed.checking.tables import JSON, PARQUET, holds_conversations, import_kind, table_sets
from cooper.training.feed.checking.units import (
    PROBED,
    Checked,
    CheckOptions,
    example_set,
    map_sets,
    own_set,
    rows_set,
    unknown_rows,
)
from cooper.training.feed.faults.fault import Fault, told
from cooper.training.feed.faults.maps import LABELS, MapFiles

DEEPEST = 3  # folders below the one that is named, in which data sets are looked for
TELLING = (  # the set that a listed depth file belongs to, by its path
    ("hypersim", ("hypersim", "depth_plane")),
    ("vkitti", ("/frames/depth/", "vkitti")),
    ("kitti", ("kitti", "groundtruth", "image_02")),
    ("nyu", ("nyu", "/depth_0", "sync_depth")),
)
FAULTS = "faults.jsonl"  # what checks and imports write
P = ParamSpec("P")
VLM, CLEAR = "bagel-vlm", "clear"  # layouts whose rows are conversations
LISTS = "list"  # the kind of a published list whose set nothing tells yet


def sets_of(place: Path, options: CheckOptions) -> list[Checked]:
    """The data sets in a folder or file. CooperError: it is not there, or nothing in it is data that training reads."""
    if not place.exists():
        raise CooperError(f"{place}: not found")
    kinds = {*COLUMNS, *map_kinds(), *KINDS} if options.kind else set()
    if options.kind and options.kind not in kinds:
        raise CooperError(f"unknown kind of data {options.kind!r}; known: {', '.join(sorted(kinds))}")
    found = list(_of_file(place, options) if place.is_file() else _of_folder(place, options, DEEPEST))
    if not found and place.is_dir():
        found = list(_by_names(place, options))
    found += _closed(place)
    if not found:
        raise CooperError(f"{place} holds no data that training reads, as far as names and rows tell; say its --kind")
    return found


def _kept_going(find: Callable[Concatenate[Path, P], Iterator[Checked]]) -> Callable[Concatenate[Path, P], Iterator[Checked]]:
    """The same, where data that cannot be opened at all are a set with that fault."""

    @wraps(find)
    def finding(place: Path, *args: P.args, **kwargs: P.kwargs) -> Iterator[Checked]:
        try:
            yield from find(place, *args, **kwargs)
        except CooperError as error:
            yield Checked(place=place, kind="unknown", units=(), faults=(told(str(place), error),))

    return finding


@_kept_going
def _of_file(path: Path, options: CheckOptions, done: set[tuple[Path, ...]] | None = None) -> Iterator[Checked]:
    """The file as rows or as a list of pictures; nothing if it is neither. `done`: pictures of other lists, to be left out."""
    if path.suffix in (PARQUET, JSON):
        yield from table_sets([path], options, import_kind(options.kind, path))
        return
    if options.kind in KINDS and options.kind not in COLUMNS:
        yield from [rows_set(path, LLAVA, options)] if options.kind == VLM else table_sets([path], options, options.kind)
        return
    if path.suffix != ".jsonl" and options.kind not in COLUMNS:
        if path.suffix != ".txt":
            return
        kind = options.kind or _told_by(path, _beginning(path))
        if kind in DEPTH_ENCODINGS:
            yield from map_sets(path, kind, listing.text_list(path, options.images or path.parent), options, done)
        return
    named = LISTS if options.kind in (*DEPTH_ENCODINGS, ADE20K) else options.kind
    kind = named or _kind_of_file(path)
    if kind == CLEAR:
        yield from table_sets([path], options, CLEAR)
    elif kind in COLUMNS:
        yield rows_set(path, kind, options)
    elif kind == PICTURES:
        yield own_set(path, path.parent, listing.own_list(path, options.images or path.parent), options)
    elif kind == LISTS:
        files = listing.published_list(path, options.images or path.parent)
        yield from map_sets(path, options.kind or _set_of_list(path, files), files, options, done)
    elif kind == "":
        yield unknown_rows(path, options)


def _beginning(path: Path) -> str:
    """The first words of a file. CooperError: it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(4096).decode("utf-8", "replace")
    except OSError as error:
        raise CooperError(f"cannot read {path}: {error.strerror}") from None


def _kind_of_file(path: Path) -> str:
    """What most of the first rows hold, "" if none tells it."""
    found: Counter[str] = Counter()
    for _, line in islice(listing.rows_of(path), PROBED):
        if isinstance(line, Line):
            names = line.values.keys()
            kind = next((kind for kind, columns in COLUMNS.items() if any(name in names for name in columns)), "")
            kind = LISTS if "rgb_image" in names else CLEAR if kind == LLAVA and is_restored(line) else kind
            found[kind or (PICTURES if "image" in names and names & set(MAPS) else "")] += 1
    return max(found, key=lambda kind: (bool(kind), found[kind])) if found else ""


def _told_by(path: Path, names: str) -> str | None:
    """The published set whose files have such names."""
    text = f"{path.parent.name.lower()}/{names}"
    return next((kind for kind, words in TELLING if any(word in text for word in words)), None)


def _set_of_list(path: Path, files: Sequence[MapFiles]) -> str:
    if any(LABELS in each.maps for each in files):
        return ADE20K
    kind = _told_by(path, "\n".join(str(place) for each in files[:PROBED] for place in each.maps.values()))
    if kind is None:
        raise CooperError(f"{path}: its paths do not tell how depth is stored; say --kind {', '.join(DEPTH_ENCODINGS)}")
    return kind


def _of_folder(folder: Path, options: CheckOptions, deeper: int) -> Iterator[Checked]:
    """The sets that files and folders of known names tell, here or else in the folders below."""
    kind = options.kind
    if kind is not None and kind not in COLUMNS and kind not in KINDS:
        yield from _of_kind(folder, kind, options)
        return
    if (folder / "dataset.json").is_file() and kind is None:
        yield from _of_kind(folder, SCENES, options)
        return
    done: set[tuple[Path, ...]] = set()
    lists = sorted(
        (*folder.glob("*.jsonl"), *folder.glob("*.txt")), key=lambda path: (path.suffix, "filtered" not in path.name, path)
    )
    found = [
        each
        for path in lists
        if path.name[0] != "." and path.name not in (LIST, FAULTS) and path.is_file()
        for each in _of_file(path, options, done)
    ]
    found += _of_tables(folder, options)
    if kind is None and (folder / "annotations").is_dir() and (folder / IMAGES).is_dir():
        found += _of_kind(folder, ADE20K, options)
    elif kind is None and (
        (folder / LIST).is_file() or ((folder / IMAGES).is_dir() and any((folder / name).is_dir() for name in MAPS))
    ):
        found += _of_kind(folder, PICTURES, options)
    yield from found
    if not found and deeper:
        below = [(each, list(_of_folder(each, options, deeper - 1))) for each in _folders(folder)]
        for each, sets in below:
            yield from sets
            if not sets and kind is None and deeper == DEEPEST and any(others for _, others in below):
                yield from _by_names(each, options)


def _of_tables(folder: Path, options: CheckOptions) -> list[Checked]:
    """The parquet files of a folder, and its JSON files that hold conversations."""
    paths = sorted(path for path in folder.glob(f"*{PARQUET}") if path.name[0] != "." and path.is_file())
    paths += sorted(path for path in folder.glob(f"*{JSON}") if path.name[0] != "." and holds_conversations(path))
    return list(table_sets(paths, options, import_kind(options.kind, paths[0]))) if paths else []


def _closed(place: Path) -> list[Checked]:
    """The folders that cannot be opened, whatever they hold."""
    errors: list[OSError] = []
    for _ in os.walk(place, onerror=errors.append) if place.is_dir() else ():
        pass
    faults = [(Path(str(each.filename)), f"cannot be opened: {each.strerror}") for each in errors]
    return [
        Checked(place=path, kind="unknown", units=(), faults=(Fault(place=str(path), kind="form", said=said),))
        for path, said in faults
    ]


def _folders(folder: Path) -> list[Path]:
    """Those in a folder; none where it cannot be opened, which `_closed` says."""
    try:
        return [each for each in sorted(folder.iterdir()) if _is_open(each)]
    except OSError:
        return []


def _is_open(place: Path) -> bool:
    return place.is_dir() and not place.is_symlink() and not place.name.startswith(".")


def _by_names(folder: Path, options: CheckOptions) -> Iterator[Checked]:
    """The published set whose files lie in a folder without a list."""
    if options.kind is not None:
        return
    if next(folder.rglob("*_seg.png"), None) is not None:
        yield from _of_kind(folder, ADE20K, options)
        return
    patterns = {kind: layout.depth for kind, layout in listing.LAYOUTS.items()}
    for kind, pattern in (("hypersim", listing.RAW.depth), *patterns.items()):
        if next(folder.glob(pattern), None) is not None:
            yield from _of_kind(folder, kind, options)
            return


@_kept_going
def _of_kind(folder: Path, kind: str, options: CheckOptions) -> Iterator[Checked]:
    if kind == PICTURES:
        table = folder / LIST
        files = listing.own_list(table, folder) if table.is_file() else listing.own_folder_files(folder)
        yield own_set(table if table.is_file() else folder, folder, files, options)
    elif kind == ADE20K:
        yield from _ade20k(folder, options)
    elif kind in listing.LAYOUTS:
        done: set[tuple[Path, ...]] = set()
        lists = sorted(folder.glob("*.jsonl"), key=lambda path: ("filtered" not in path.name, path))
        found = [each for path in (*lists, *sorted(folder.glob("*.txt"))) for each in _of_file(path, options, done)]
        raw = kind == "hypersim" and next(folder.glob(listing.RAW.depth), None) is not None
        if raw and find_spec("h5py") is None:
            raise CooperError(f"{folder} holds raw Hypersim files, which need h5py: pip install h5py")
        files = [] if found else listing.folder_files(folder, listing.RAW if raw else listing.LAYOUTS[kind])
        yield from found or map_sets(folder, kind, files, options)
    else:
        yield example_set(folder, kind, open_data(DataSource(kind=kind, path=folder), 10**9, ()), options)


def _ade20k(folder: Path, options: CheckOptions) -> Iterator[Checked]:
    """Scene parsing, each split a set of its own; or the full release."""
    root = next((root for root in (folder, *sorted(folder.glob("*/"))) if (root / "annotations").is_dir()), None)
    if root is None:
        regions = {path.with_name(path.name.removesuffix("_seg.png")).as_posix(): path for path in folder.rglob("*_seg.png")}
        pictures = {path.with_suffix("").as_posix(): path for path in folder.rglob("*.jpg")}
        files = listing.pairs_by_name(pictures, regions)
        yield from map_sets(folder, ADE20K, files, options)
        return
    faults = _names_fault(root)
    for place in sorted((root / "annotations").glob("*/")):
        files = listing.pairs_by_name(_stems(root / IMAGES / place.name, "*.jpg"), _stems(place, "*.png"))
        yield from _with(faults, map_sets(place, ADE20K, files, options))
        faults = ()


def _with(faults: tuple[Fault, ...], sets: Iterator[Checked]) -> Iterator[Checked]:
    for each in sets:
        yield Checked(place=each.place, kind=each.kind, units=each.units, faults=(*faults, *each.faults))


def _names_fault(root: Path) -> tuple[Fault, ...]:
    path = root / "objectInfo150.txt"
    try:
        class_names(path)
    except CooperError as error:
        return (told(str(path), error),)
    return ()


def _stems(folder: Path, pattern: str) -> dict[str, Path]:
    return {path.stem: path for path in folder.glob(pattern) if not path.name.startswith(".")}
