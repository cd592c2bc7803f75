"""Segmentation: labels and instances to the colours the model draws, and back.

H, W: height and width of a picture in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Int32, UInt8
from PIL import Image

from cooper.errors import CooperError
from cooper.files.values import AtLeast
from cooper.perception.components import connected, sizes
from cooper.perception.modality import Drawn, Reading, register_modality
from cooper.perception.palette import LabelMaps, Swatch, build_palette, paint, read, spread_colours

Codec = Literal["scenes", "colours", "ade20k"]
CODECS: tuple[Codec, ...] = ("scenes", "colours", "ade20k")
STUFF = ("void", "floor", "wall", "ceiling", "table", "shelf", "rug")
REGION_COLOURS = 40  # colours that the raw-colour codec cycles through when it paints region ids
REGION_RADIUS = 48.0  # distance in RGB (0..255) within which pixels are taken for one flat colour


@dataclass(frozen=True)
class SegmentationModality:
    """Segmentation drawn as an RGB picture.

    `codec` says what the colours mean. `scenes`: the well separated palette of `palette.py`, for `names` (the index
    is the class id); classes named in `stuff` are not counted. `colours`: flat colours without a legend, as the
    published checkpoints draw them; reading gives class-agnostic regions. `ade20k`: the ADE20K full-release format,
    class = R // 10 * 256 + G and instance = B. `speck`: regions of fewer pixels are taken for noise.
    """

    codec: Codec
    names: Sequence[str] = ()
    name: str = "segmentation"
    tag: str = "segmentation"
    stuff: Sequence[str] = STUFF
    speck: Annotated[int, AtLeast(0)] = 8

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise CooperError(f"unknown segmentation codec {self.codec!r}; known: {', '.join(CODECS)}")
        if self.codec == "scenes" and not self.names:
            raise CooperError("segmentation codec 'scenes' needs the class names")

    @property
    def palette(self) -> tuple[Swatch, ...]:
        """Class, variant and colour of every flat colour of the scenes codec."""
        return build_palette(tuple(self.names), tuple(self.stuff))

    def encode(self, truth: Reading) -> Drawn:
        """`labels` and, where things are counted, `instances` (both [H, W], integers) as a picture in [0, 1]."""
        maps = _maps_of(truth)
        match self.codec:
            case "scenes":
                self._check(maps)
                colours = paint(maps, self.palette)
            case "colours":
                table = np.array(spread_colours(REGION_COLOURS), dtype=np.uint8)
                colours = table[maps.labels % REGION_COLOURS]
            case "ade20k":
                colours = ade20k_colours(maps)
        return colours.astype(np.float32) / np.float32(255)

    def decode(self, drawn: Drawn) -> Reading:
        """`labels` and `instances`, int32 [H, W]; instance 0 is "not counted". `colours`: `labels` are region ids."""
        picture = np.clip(np.asarray(drawn, dtype=np.float32), 0, 1)
        names = dict(enumerate(self.names))
        match self.codec:
            case "scenes":
                maps = read(picture, self.palette, self.speck)
            case "colours":
                return Reading({"labels": colour_regions(picture, self.speck)}, {"labels": "region id"})
            case "ade20k":
                maps = ade20k_maps(picture)
        arrays = {"labels": maps.labels, "instances": maps.instances}
        return Reading(arrays, {"labels": "class id", "instances": "instance id"}, names)

    def render(self, drawn: Drawn) -> Image.Image:
        """The drawn colours as they are: 255 x, truncated."""
        return Image.fromarray((np.clip(np.asarray(drawn, dtype=np.float32), 0, 1) * np.float32(255)).astype(np.uint8))

    def _check(self, maps: LabelMaps) -> None:
        low, high = int(maps.labels.min()), int(maps.labels.max())
        if low < 0 or high >= len(self.names):
            raise CooperError(f"label {low if low < 0 else high} is outside the {len(self.names)} named classes")


def _maps_of(truth: Reading) -> LabelMaps:
    labels = truth.plane("labels", "whole").astype(np.int32)
    counted = "instances" in truth.arrays
    instances = truth.plane("instances", "whole").astype(np.int32) if counted else np.zeros_like(labels)
    if labels.shape != instances.shape:
        raise CooperError(f"labels {labels.shape} and instances {instances.shape} must be of one size")
    return LabelMaps(labels, instances)


def ade20k_colours(maps: LabelMaps) -> UInt8[np.ndarray, "H W 3"]:
    """Class and instance ids in the ADE20K full-release format. CooperError: ids beyond what it can hold."""
    if maps.labels.min() < 0 or maps.labels.max() >= 26 * 256 or maps.instances.min() < 0 or maps.instances.max() > 255:
        raise CooperError("the ADE20K format holds classes 0..6655 and instances 0..255")
    channels = [maps.labels // 256 * 10, maps.labels % 256, maps.instances]
    return np.stack(channels, axis=2).astype(np.uint8)


def ade20k_maps(picture: Drawn) -> LabelMaps:
    """Class = R // 10 * 256 + G, instance = B, of a picture in [0, 1]."""
    red, green, blue = np.moveaxis(np.rint(picture * 255).astype(np.int32), 2, 0)
    return LabelMaps((red // 10 * 256 + green).astype(np.int32), blue.astype(np.int32))


def colour_regions(picture: Drawn, speck: int) -> Int32[np.ndarray, "H W"]:
    """Connected regions of roughly one colour, numbered from 0; class-agnostic.

    The most frequent colour (16 levels per channel) is taken, with all pixels within `REGION_RADIUS` of it, until
    fewer than `speck` pixels are left; every pixel then goes to the nearest of these colours.
    """
    pixels = picture.reshape(-1, 3) * np.float32(255)
    centres = _flat_colours(pixels, speck)
    cost = np.stack([((pixels - centre) ** 2).sum(axis=1) for centre in centres])
    regions = connected(cost.argmin(axis=0).reshape(picture.shape[:2]))
    return connected(_absorb(regions, speck))


def _flat_colours(pixels: np.ndarray, speck: int) -> list[np.ndarray]:
    """The flat colours of a picture, [3] each in 0..255, the most frequent first."""
    centres: list[np.ndarray] = []
    while len(pixels) >= max(1, speck) or not centres:
        bins = (pixels // 16).astype(np.int32) @ np.array([256, 16, 1], dtype=np.int32)
        commonest = np.bincount(bins).argmax()
        centre = pixels[bins == commonest].mean(axis=0)
        far = ((pixels - centre) ** 2).sum(axis=1) > REGION_RADIUS**2
        centres.append(centre)
        pixels = pixels[far]
    return centres


def _absorb(regions: np.ndarray, speck: int) -> np.ndarray:
    """Give every region of fewer than `speck` pixels the id of a larger neighbour, from the outside in."""
    keep = sizes(regions)[regions] >= speck
    if not keep.any():
        return regions
    ids = np.where(keep, regions, -1)
    while (ids < 0).any():
        padded = np.pad(ids, 1, constant_values=-1)
        around = [padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]]
        ids = np.where(ids < 0, np.maximum.reduce(around), ids)
    return ids


register_modality("segmentation", SegmentationModality)
