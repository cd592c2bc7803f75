"""The scenes codec: classes and instances as well separated flat colours that survive a small, blurring autoencoder.

H, W: height and width of the map in pixels. K: number of colours in the palette.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8

from cooper.perception.components import connected, sizes

VARIANTS = 3  # colours per countable class, so that neighbours of one class differ
LEVELS = range(0, 256, 15)  # channel values the palette chooses from

# Found on rendered scenes, blurred and with noise: the best mean IoU and panoptic quality over all of them.
NEAR = 0.6  # of the palette's separation: a pixel farther from every colour is a blend
TRUE = 0.3  # of the separation: mean distance of a thin region that is no blend
SOLID = 2  # pixels whose 3x3 neighbourhood is of one colour that a region must have


@dataclass(frozen=True)
class Swatch:
    """One colour of the palette: class id, and which of its variants (0 for a class without instances)."""

    label: int
    variant: int
    rgb: tuple[int, int, int]


@cache
def spread_colours(count: int) -> tuple[tuple[int, int, int], ...]:
    """`count` colours far from one another: black, then each time the colour farthest from those already taken.

    Exact integer arithmetic over `LEVELS`, ties to the smallest (red, green, blue), so the list never changes, and a
    longer list begins with the shorter one. 14 colours lie at least 150 apart, 30 at least 95, 42 at least 75.
    """
    grid = np.array(list(product(LEVELS, repeat=3)), dtype=np.int64)
    chosen = [grid[0]]
    gap = ((grid - chosen[0]) ** 2).sum(axis=1)
    while len(chosen) < count:
        chosen.append(grid[int(gap.argmax())])
        gap = np.minimum(gap, ((grid - chosen[-1]) ** 2).sum(axis=1))
    return tuple((int(red), int(green), int(blue)) for red, green, blue in chosen)


def build_palette(names: Sequence[str], stuff: Sequence[str]) -> tuple[Swatch, ...]:
    """One colour per class, stuff first, then a second and a third for each countable class.

    The first colours are the farthest apart, so scenes without repeated shapes use the safest part of the palette.
    """
    uncountable = [label for label, name in enumerate(names) if name in stuff]
    countable = [label for label, name in enumerate(names) if name not in stuff]
    pairs = [(label, 0) for label in uncountable]
    pairs += [(label, variant) for variant in range(VARIANTS) for label in countable]
    colours = spread_colours(len(pairs))
    return tuple(Swatch(label, variant, rgb) for (label, variant), rgb in zip(pairs, colours, strict=True))


@dataclass(frozen=True, eq=False)
class LabelMaps:
    """Class ids, and instance ids that are 0 where nothing is counted; both int32 [H, W]."""

    labels: Int32[np.ndarray, "H W"]
    instances: Int32[np.ndarray, "H W"]


def variants_of(maps: LabelMaps, things: Sequence[int]) -> Int32[np.ndarray, "H W"]:
    """The variant of every pixel: its instance's rank from left to right within its class, modulo `VARIANTS`.

    The rank goes by the mean column of the visible pixels, ties by instance id.
    """
    variants = np.zeros(maps.labels.shape, dtype=np.int32)
    columns = np.broadcast_to(np.arange(maps.labels.shape[1]), maps.labels.shape)
    for label in things:
        mask = maps.labels == label
        ids = np.unique(maps.instances[mask])
        masks = [mask & (maps.instances == instance) for instance in ids]
        order = np.argsort([columns[own].mean() for own in masks], kind="stable")
        for rank, index in enumerate(order):
            variants[masks[index]] = rank % VARIANTS
    return variants


def paint(maps: LabelMaps, palette: Sequence[Swatch]) -> UInt8[np.ndarray, "H W 3"]:
    """The flat colours of a label map; every label must be in the palette."""
    table = np.zeros((max(swatch.label for swatch in palette) + 1, VARIANTS, 3), dtype=np.uint8)
    counted = {swatch.label for swatch in palette if swatch.variant}
    for swatch in palette:
        table[swatch.label, swatch.variant] = swatch.rgb
    return table[maps.labels, variants_of(maps, sorted(counted))]


def read(drawn: Float32[np.ndarray, "H W 3"], palette: Sequence[Swatch], speck: int) -> LabelMaps:
    """Classes and instances of a drawn picture in [0, 1].

    Only regions that are certain (see `_certain`) keep their colour. They grow over all other pixels, each taking the
    closest colour among those within two pixels, so that the blend between two regions is not read as a third.
    """
    colours = np.array([swatch.rgb for swatch in palette], dtype=np.float32)
    pixels = drawn.astype(np.float32) * np.float32(255)
    cost = np.stack([((pixels - colour) ** 2).sum(axis=2) for colour in colours])
    nearest = cost.argmin(axis=0).astype(np.int32)
    error = np.sqrt(cost.min(axis=0)) / separation(palette)
    index = _grow(_certain(nearest, error, speck), cost, reach=2)
    small = sizes(connected(index)) < speck
    index = _grow(np.where(small[connected(index)], -1, index), cost, reach=1)
    index = np.where(index < 0, nearest, index)
    labels = np.array([swatch.label for swatch in palette], dtype=np.int32)[index]
    return LabelMaps(labels, _instances(index, palette))


def separation(palette: Sequence[Swatch]) -> float:
    """The least distance between two colours of a palette, in RGB steps of 0..255."""
    colours = np.array([swatch.rgb for swatch in palette], dtype=np.float64)
    gaps = np.linalg.norm(colours[:, None] - colours[None], axis=2)
    return float(gaps[~np.eye(len(colours), dtype=bool)].min(initial=255.0))


def _certain(nearest: Int32[np.ndarray, "H W"], error: Float32[np.ndarray, "H W"], speck: int) -> Int32[np.ndarray, "H W"]:
    """`nearest` where it can be trusted, else -1. `error`: distance to that colour in units of the palette's separation.

    A pixel must lie near its colour and agree with at least 5 of the 9 pixels around it. Its region must have `speck`
    pixels and a solid inside, or else colours so true that they are no blend: thin parts of a ring or an arch.
    """
    near = np.where(error < NEAR, nearest, -1)
    core = np.where(_agreeing(near) >= 5, near, -1)
    regions = connected(core)
    area = sizes(regions)
    solid = np.bincount(regions[_agreeing(regions) == 9], minlength=len(area))
    blur = np.bincount(regions.ravel(), error.ravel()) / area
    kept = (area >= speck) & ((solid >= SOLID) | ((area >= 2 * speck) & (blur < TRUE)))
    return np.where(kept[regions], core, -1)


def _agreeing(index: Int[np.ndarray, "H W"]) -> Int[np.ndarray, "H W"]:
    """How many of the 3x3 pixels around each pixel, itself included, are equal to it; edges repeat."""
    height, width = index.shape
    padded = np.pad(index, 1, mode="edge")
    around = [padded[row : row + height, column : column + width] for row in range(3) for column in range(3)]
    return np.sum([part == index for part in around], axis=0)


def _grow(index: np.ndarray, cost: np.ndarray, reach: int) -> np.ndarray:
    """Fill the pixels that are -1, `reach` pixels a round, with the cheapest colour among those within reach."""
    colours = np.arange(len(cost))[:, None, None]
    while (index < 0).any():
        near = index == colours
        for _ in range(reach):
            near = _dilate(near)
        best = np.where(near, cost, np.inf).argmin(axis=0)
        fill = (index < 0) & near.any(axis=0)
        if not fill.any():
            break  # nothing certain anywhere
        index = np.where(fill, best, index)
    return index


def _dilate(masks: np.ndarray) -> np.ndarray:
    """Each of the [K, H, W] masks grown by one pixel in all eight directions."""
    grown = masks.copy()
    grown[:, 1:] |= masks[:, :-1]
    grown[:, :-1] |= masks[:, 1:]
    tall = grown.copy()
    grown[:, :, 1:] |= tall[:, :, :-1]
    grown[:, :, :-1] |= tall[:, :, 1:]
    return grown


@dataclass(frozen=True)
class _Piece:
    component: int
    variant: int
    column: float


def _instances(index: Int[np.ndarray, "H W"], palette: Sequence[Swatch]) -> Int32[np.ndarray, "H W"]:
    """Instance ids from 1: per class, pieces of one colour are one object unless the other variants lie between."""
    counted = {swatch.label for swatch in palette if swatch.variant}
    regions = connected(index)
    area = sizes(regions)
    columns = np.bincount(regions.ravel(), np.tile(np.arange(index.shape[1]), index.shape[0])) / area
    first = np.unique(regions, return_index=True)[1]
    pieces: dict[int, list[_Piece]] = {}
    for component, position in enumerate(first):
        swatch = palette[int(index.ravel()[position])]
        if swatch.label in counted:
            piece = _Piece(component, swatch.variant, float(columns[component]))
            pieces.setdefault(swatch.label, []).append(piece)
    ids = np.zeros(len(area), dtype=np.int32)
    following = 1
    for label in sorted(pieces):
        for group in _group(pieces[label]):
            ids[group] = following
            following += 1
    return ids[regions]


def _group(pieces: list[_Piece]) -> list[list[int]]:
    """Components that make one object each: the pieces from left to right, cut where a variant comes round again.

    The variants follow the objects from left to right (0, 1, 2, 0, ...), so a piece continues the last object of its
    own variant unless objects of both other variants began after that one.
    """
    groups: list[list[int]] = []
    latest: dict[int, int] = {}
    for piece in sorted(pieces, key=lambda piece: piece.column):
        last = latest.get(piece.variant)
        newer = {variant for variant, group in latest.items() if last is not None and group > last}
        if last is None or len(newer) == VARIANTS - 1:
            latest[piece.variant] = len(groups)
            groups.append([piece.component])
        else:
            groups[last].append(piece.component)
    return groups
