"""ADE20K (Zhou et al. 2017): 2,000 validation pictures and those of training, as published for scene parsing or in full.

Scene parsing: 8-bit PNG, the class from 1 to 150, 0 for none, no objects. Full: RGB PNG, class = R // 10 * 256 + G and
object = B. H, W: height and width in pixels.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from cooper.data.examples import UNITS, Conventions, Example, ExampleSet
from cooper.data.sources.depth_pairs import pairs_of_rows, read_text, stored_pixels
from cooper.errors import CooperError
from cooper.files.pictures import read_image
from cooper.perception.components import connected
from cooper.perception.modality import Reading
from cooper.perception.palette import LabelMaps
from cooper.perception.segmentation import ade20k_maps

CLASSES = 150
VOID = 0
PICTURES = 2000
Split = Literal["training", "validation"]
TRAINING = ("training", "train")  # folders whose pictures are not for testing


def annotated(name: str, picture: Path, annotation: Path, maps: Callable[[Path], LabelMaps]) -> Example:
    """One picture and the file of its regions, which `maps` reads."""

    def reading() -> Reading:
        found, (width, height) = maps(annotation), read_image(picture).size
        if found.labels.shape != (height, width):
            rows, columns = found.labels.shape
            raise CooperError(f"{annotation} has {columns} x {rows} px, its picture {picture} {width} x {height} px")
        arrays = {"labels": found.labels, "instances": found.instances}
        return Reading(arrays, {key: UNITS[key] for key in arrays})

    known = frozenset({"labels", "instances"})
    return Example(name, lambda: read_image(picture), reading, lambda: (picture, annotation), known, VOID)


def _set(items: list[Example], regions: str, names: tuple[str, ...], split: Split) -> ExampleSet:
    conventions, expected = Conventions(names=names, void=VOID), PICTURES if split == "validation" else 0
    return ExampleSet(name="ade20k", items=items, conventions=conventions, regions=regions, expected=expected)


def read_ade20k(folder: Path, split: Split = "validation") -> ExampleSet:
    """Scene parsing: `images/SPLIT/N.jpg` with `annotations/SPLIT/N.png`, and `objectInfo150.txt` if it is there. Full:
    `N.jpg` with `N_seg.png` beside it, for training in folders of that name, for validation in any others; or the rows of a
    list of it in JSON Lines, `rgb_image` and `seg_image`. CooperError: neither, or one file of a pair."""
    if folder.is_file():
        items = _items(folder.parent, pairs_of_rows(folder, "seg_image"), full_maps, split)
        return _set(items, "objects of the full release", (), split)
    for root in (folder, *sorted(folder.glob("*/"))):
        if (root / "annotations" / split).is_dir():
            return _scene_parsing(folder, root, split)
    pairs = _beside(folder, split)
    if not pairs:
        raise CooperError(f"{folder} holds neither annotations/{split} (scene parsing) nor *_seg.png (the full release)")
    items = _items(folder, pairs, full_maps, split)
    return _set(items, "objects of the full release", (), split)


def _scene_parsing(folder: Path, root: Path, split: Split) -> ExampleSet:
    pictures, truths = root / "images" / split, root / "annotations" / split
    names = sorted({path.stem for path in (*_files(pictures, "*.jpg"), *_files(truths, "*.png"))})
    pairs = [(pictures / f"{name}.jpg", truths / f"{name}.png") for name in names]
    words = f"connected parts of the {CLASSES} classes of scene parsing"
    items = _items(folder, pairs, parsing_maps, split)
    return _set(items, words, class_names(root / "objectInfo150.txt"), split)


def _beside(folder: Path, split: Split) -> list[tuple[Path, Path]]:
    def chosen(pattern: str) -> list[Path]:
        wanted = split == "training"
        return [path for path in _files(folder, pattern) if _is_training(path.relative_to(folder)) == wanted]

    truths = chosen("**/*_seg.png")
    if not truths:
        return []
    places = {path.with_name(path.name.removesuffix("_seg.png")) for path in truths} | {
        path.with_suffix("") for path in chosen("**/*.jpg")
    }
    return [(place.with_name(f"{place.name}.jpg"), place.with_name(f"{place.name}_seg.png")) for place in sorted(places)]


def _files(folder: Path, pattern: str) -> list[Path]:
    return [path for path in folder.glob(pattern) if not path.name.startswith(".")]


def _is_training(path: Path) -> bool:
    return any(part in TRAINING for part in path.parts)


def _items(folder: Path, pairs: Sequence[tuple[Path, Path]], maps: Callable[[Path], LabelMaps], split: Split) -> list[Example]:
    if not pairs:
        raise CooperError(f"{folder} holds no pictures in images/{split}")
    for path in (path for pair in pairs for path in pair):
        if not path.is_file():
            raise CooperError(f"{path} is missing")
    return [
        annotated(picture.relative_to(folder).with_suffix("").as_posix(), picture, annotation, maps)
        for picture, annotation in pairs
    ]


def class_names(path: Path) -> tuple[str, ...]:
    """ "void" and the 150 names of `objectInfo150.txt`, a table with the class first and its name last; () without the file."""
    if not path.is_file():
        return ()
    lines = read_text(path).splitlines()[1:]  # behind the names of the columns
    cells = [[cell.strip() for cell in line.split("\t")] for line in lines if line.strip()]
    if [line[0] for line in cells] != [str(number) for number in range(1, CLASSES + 1)]:
        raise CooperError(f"{path} does not list the classes 1 to {CLASSES}, one a line, with tabs between the columns")
    return ("void", *(line[-1] for line in cells))


def parsing_maps(path: Path) -> LabelMaps:
    """Classes, and their connected parts from 1 in place of objects."""
    stored = _stored(path)
    if stored.ndim != 2 or stored.dtype != np.uint8:
        raise CooperError(f"{path} is no 8-bit picture of one channel")
    if stored.max() > CLASSES:
        raise CooperError(f"{path} holds class {stored.max()}; scene parsing has {CLASSES}")
    labels = stored.astype(np.int32)
    return LabelMaps(labels, connected(labels) + np.int32(1))


def full_maps(path: Path) -> LabelMaps:
    """Classes and objects of a `_seg.png`."""
    stored = _stored(path)
    if stored.ndim != 3 or stored.shape[2] != 3 or stored.dtype != np.uint8:
        raise CooperError(f"{path} is no picture of three 8-bit channels")
    return ade20k_maps(stored.astype(np.float32) / np.float32(255))


def _stored(path: Path) -> UInt8[np.ndarray, "H W ..."]:
    return stored_pixels(path, "regions")
