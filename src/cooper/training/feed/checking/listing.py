"""The pictures of a data set with their maps, as lists and folders name them, with what is wrong already there."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cooper.data.sources import hypersim, kitti, nyu, virtual_kitti
from cooper.data.sources.pictures import IMAGES, MAPS, SUFFIXES, PictureFiles
from cooper.errors import CooperError
from cooper.files.rows import Line, line_places, read_line
from cooper.files.values import shown
from cooper.training.feed.faults.fault import Fault, told
from cooper.training.feed.faults.maps import DEPTH, INSTANCES, LABELS, MapFiles

LISTED = {"rgb_image": "picture", "depth_image": DEPTH, "seg_image": LABELS}  # fields of a published list
IDS = ("data_id", "data_idx", "id")


@dataclass(frozen=True)
class FolderLayout:
    """Where a folder has its pictures and their depth, as patterns, and the depth of a picture."""

    pictures: str
    depth: str
    beside: Callable[[Path, Path], Path]  # of the folder and a picture


LAYOUTS: Mapping[str, FolderLayout] = MappingProxyType(
    {
        "hypersim": FolderLayout(hypersim.PICTURES, "**/depth_plane_*.png", lambda folder, path: hypersim.plane_beside(path)),
        "vkitti": FolderLayout(
            virtual_kitti.PICTURES, "**/frames/depth/*/depth_*.png", lambda folder, path: virtual_kitti.depth_beside(path)
        ),
        "kitti": FolderLayout(kitti.PICTURES, "**/groundtruth/image_02/*.png", kitti.depth_beside),
        "nyu": FolderLayout(nyu.PICTURES, "**/depth_*.png", lambda folder, path: nyu.depth_beside(path)),
    }
)
RAW = FolderLayout(hypersim.RAW_PICTURES, "**/*.depth_meters.hdf5", lambda folder, path: hypersim.distance_beside(path))


def rows_of(path: Path) -> Iterator[tuple[str, Line | Fault]]:
    """The lines of a JSON Lines file, and what is wrong with those that cannot be read, by their place."""
    for place, start in line_places(path):
        try:
            yield place, read_line(path, place, start)
        except CooperError as error:
            yield place, told(place, error)


def published_list(path: Path, root: Path) -> list[MapFiles]:
    """The rows of a published list in JSON Lines, with paths from `root`."""
    found = []
    for place, line in rows_of(path):
        if isinstance(line, Fault):
            found.append(MapFiles(place=place, faults=(line,)))
            continue
        said, files = [], dict[str, Path]()
        for field, name in LISTED.items():
            value = line.values.get(field)
            if isinstance(value, str) and value.strip() and "\0" not in value:
                files[name] = root / value
            elif field in line.values or field == "rgb_image":
                said.append(f"the field {field!r} is {shown(value) if field in line.values else 'missing'}")
        if not {"depth_image", "seg_image"} & line.values.keys():
            said.append("neither the field 'depth_image' nor 'seg_image' is there")
        faults = tuple(Fault(place=place, kind="field", said=each) for each in said)
        picture = files.pop("picture", None)
        found.append(MapFiles(place=place, picture=picture, maps=files, id=_id(line.values), faults=faults))
    return found


def text_list(path: Path, root: Path) -> list[MapFiles]:
    """The lines `PICTURE DEPTH` of a list, with paths from `root`; a line whose depth is None is passed over. CooperError: it
    cannot be read."""
    found = []
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    except OSError as error:
        raise CooperError(f"cannot read {path}: {error.strerror}") from None
    for number, line in enumerate(lines, start=1):
        place = f"{path}, line {number}"
        try:
            words = line.decode("utf-8").split()
        except UnicodeDecodeError as error:
            said = f"not UTF-8 text: {error.reason} at byte {error.start}"
            found.append(MapFiles(place=place, faults=(Fault(place=place, kind="not_utf8", said=said),)))
            continue
        if len(words) == 1:
            fault = Fault(place=place, kind="field", said="names a picture and no depth")
            found.append(MapFiles(place=place, picture=root / words[0], faults=(fault,)))
        elif words and words[1] != "None":
            found.append(MapFiles(place=place, picture=root / words[0], maps={DEPTH: root / words[1]}))
    return found


def own_list(path: Path, root: Path) -> list[MapFiles]:
    """The rows of a `data.jsonl`, with paths from `root`."""
    found = []
    for place, line in rows_of(path):
        if isinstance(line, Fault):
            found.append(MapFiles(place=place, faults=(line,)))
            continue
        try:
            row = line.as_a(PictureFiles)
        except CooperError as error:
            found.append(MapFiles(place=place, faults=(told(place, error),)))
            continue
        maps = {name: root / file for name, file in row.maps.items()}
        found.append(_judged(MapFiles(place=place, picture=root / row.image, maps=maps, id=row.id)))
    return found


def own_folder_files(folder: Path) -> list[MapFiles]:
    """The pictures of `images` with the maps of the same names in the folders beside it; maps without a picture, too."""
    images = _by_name(folder / IMAGES, SUFFIXES)
    maps = {name: _by_name(folder / name, (".png",)) for name in MAPS}
    wrong = {name: _by_name(folder / name, tuple(set(SUFFIXES) - {".png"})) for name in MAPS}
    found = []
    for name, paths in images.items():
        known = {kind: files[name][0] for kind, files in maps.items() if name in files}
        faults = []
        if len(paths) > 1:
            faults.append(Fault(place=str(paths[1]), kind="same_id", said=f"has the name of {paths[0]}"))
        for kind, files in wrong.items():
            if name in files:
                what = "blended" if kind != DEPTH else "bits"
                faults.append(Fault(place=str(files[name][0]), kind=what, said=f"is no PNG file; {kind} must be one"))
        missing = " and ".join(
            f"{folder / kind / name}.png" for kind in (DEPTH, LABELS) if maps[kind] or not any(maps.values())
        )
        files = MapFiles(place=str(paths[0]), picture=paths[0], maps=known, faults=tuple(faults))
        found.append(_judged(files, f"nothing is known of it: {missing} not there") if not faults else files)
    for path in (path for each in (IMAGES, *MAPS) for path in _links_to_nothing(folder / each)):
        fault = Fault(place=str(path), kind="missing", said="is a link that leads to no file")
        found.append(MapFiles(place=str(path), faults=(fault,)))
    for kind, files in maps.items():
        for path in (paths[0] for name, paths in files.items() if name not in images):
            fault = Fault(place=str(path), kind="alone", said=f"is the {kind} of no picture in {folder / IMAGES}")
            found.append(MapFiles(place=str(path), faults=(fault,)))
    return found


def folder_files(folder: Path, layout: FolderLayout) -> list[MapFiles]:
    """The pictures of a folder with their depth, and depth without a picture."""
    found, used = [], set()
    for picture in sorted(folder.glob(layout.pictures)):
        depth = layout.beside(folder, picture)
        used.add(depth)
        files = MapFiles(place=str(picture), picture=picture, maps={DEPTH: depth})
        if not depth.is_file():
            files = _judged(replace(files, maps={}), f"has no depth: {depth} is not there")
        found.append(files)
    return found + [_orphan(depth) for depth in sorted(set(folder.glob(layout.depth)) - used)]


def pairs_by_name(pictures: Mapping[str, Path], regions: Mapping[str, Path]) -> list[MapFiles]:
    """Pictures and files of regions that have the same names, and those that stand alone."""
    found = []
    for name in sorted({*pictures, *regions}):
        if name not in pictures:
            found.append(_orphan(regions[name]))
            continue
        maps = {LABELS: regions[name]} if name in regions else {}
        found.append(_judged(MapFiles(place=str(pictures[name]), picture=pictures[name], maps=maps), "has no file of regions"))
    return found


def shared_maps(files: Iterable[MapFiles]) -> list[MapFiles]:
    """The same with a fault where a map is also that of another picture."""
    first: dict[Path, MapFiles] = {}
    found = []
    for each in files:
        faults = []
        for name, path in each.maps.items():
            other = first.setdefault(path, each)
            if other.picture != each.picture:
                said = f"its {name}, {path}, is also that of {other.place}"
                faults.append(Fault(place=each.place, kind="same_file", said=said))
        found.append(replace(each, faults=(*each.faults, *faults)) if faults else each)
    return found


def _orphan(path: Path) -> MapFiles:
    return MapFiles(place=str(path), faults=(Fault(place=str(path), kind="alone", said="is the map of no picture"),))


def _judged(files: MapFiles, alone: str = "nothing is known of its picture: it names neither depth nor labels") -> MapFiles:
    """The same with the faults of which files there are."""
    faults = list(files.faults)
    if DEPTH not in files.maps and LABELS not in files.maps:
        faults.append(Fault(place=files.place, kind="alone", said=alone))
    elif INSTANCES in files.maps and LABELS not in files.maps:
        faults.append(Fault(place=files.place, kind="alone", said=f"{files.maps[INSTANCES]} has no labels beside it"))
    return replace(files, faults=tuple(faults))


def _by_name(folder: Path, suffixes: tuple[str, ...]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file():
            found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    return found


def _links_to_nothing(folder: Path) -> list[Path]:
    """Links with the name of a picture that lead to no file."""
    found = sorted(folder.rglob("*")) if folder.is_dir() else []
    return [path for path in found if path.suffix.lower() in SUFFIXES and path.is_symlink() and not path.exists()]


def _id(values: Mapping[str, Any]) -> str:
    return next((str(values[field]) for field in IDS if isinstance(values.get(field), str | int)), "")
