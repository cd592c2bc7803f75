"""A picture with what is known of it: what stages of training learn from, exams draw, and benchmarks of maps compare with.

H, W: height and width in pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float32, Int
from PIL import Image, ImageOps

from cooper.data.filling import filled
from cooper.perception.modality import Drawn, Modality, Reading
from cooper.trace.trace import Trace

MOST_BAD = 0.01  # of rows or pictures that cannot be read; more, and a run stops
UNITS = {"depth": "m", "labels": "class id", "instances": "instance id"}
PLANES = {"depth": ("depth",), "segmentation": ("labels", "instances")}  # by map, the arrays that it is drawn from


@dataclass(frozen=True, eq=False)
class Example:
    """A picture of any size and what is known of each pixel of it, both read when they are asked for.

    `picture` reads it upright in RGB. `truth` reads arrays [H, W] of its size, as far as they are known: `depth` (plane depth
    in metres, 0 where it is not known), `labels` (class ids) and `instances` (instance ids). `sources`: the files that both
    are read from, or their bytes, for digests. `arrays`: the names of those that `truth` will read. `void`: the class of
    pixels whose class is not known. Reading raises CooperError naming the file at fault.
    """

    id: str
    picture: Callable[[], Image.Image]
    truth: Callable[[], Reading]
    sources: Callable[[], tuple[Path | bytes, ...]]
    arrays: frozenset[str] = frozenset(UNITS)
    void: int | None = None

    @property
    def image(self) -> Image.Image:
        return self.picture()

    @property
    def reading(self) -> Reading:
        return self.truth()

    @property
    def depth_m(self) -> Float32[np.ndarray, "H W"]:
        return self.reading.plane("depth", "real")

    @property
    def labels(self) -> Int[np.ndarray, "H W"]:
        return self.reading.plane("labels", "whole")

    @property
    def instances(self) -> Int[np.ndarray, "H W"]:
        return self.reading.plane("instances", "whole")

    def has(self, kind: str) -> bool:
        """Whether there is a true map of a kind: `depth` or `segmentation`; colours (`rgb`) are always there."""
        return kind == "rgb" or PLANES[kind][0] in self.arrays

    def known(self, kind: str) -> Bool[np.ndarray, "H W"]:
        """Where a true map is known: depth that is measured, classes other than `void`."""
        return self._known(self.reading, kind)

    def drawn(self, kind: str, modalities: Mapping[str, Modality], size: tuple[int, int] | None = None) -> Drawn:
        """The example as a picture [H, W, 3] in [0, 1]: its colours (`rgb`), or the true map as the modality `kind` draws it.
        Pixels that are not known are drawn as their nearest known neighbour.

        `size`: width and height in px, by default those of the picture.
        """
        if kind == "rgb":
            image = self.image if size is None else self.image.resize(size, Image.Resampling.BICUBIC)
            return np.asarray(image, dtype=np.float32) / np.float32(255)
        reading = self.reading
        known = self._known(reading, kind)
        if not known.all():
            planes = {name: filled(reading.arrays[name], known) for name in PLANES[kind] if name in reading.arrays}
            reading = replace(reading, arrays={**reading.arrays, **planes})
        return modalities[kind].encode(reading if size is None else reading.resized(*size))

    def drawn_as_published(self, kind: str, modalities: Mapping[str, Modality], size: tuple[int, int]) -> Drawn:
        """As `drawn`, but as the published training makes its targets: depth that is not known is 0, and so the nearest there
        is; depth is resized bicubically, and so are regions after they were painted, which blends colours at their borders."""
        reading = self.reading
        if kind == "depth":
            depth = np.where(self._known(reading, kind), reading.plane("depth", "real"), 0).astype(np.float32)
            resized = np.asarray(Image.fromarray(depth).resize(size, Image.Resampling.BICUBIC))
            return modalities[kind].encode(replace(reading, arrays={**reading.arrays, "depth": resized}))
        painted = (modalities[kind].encode(reading) * 255).round().astype(np.uint8)
        return np.asarray(Image.fromarray(painted).resize(size, Image.Resampling.BICUBIC), dtype=np.float32) / np.float32(255)

    def _known(self, reading: Reading, kind: str) -> Bool[np.ndarray, "H W"]:
        if kind == "depth":
            depth = reading.plane("depth", "real")
            return np.isfinite(depth) & (depth > 0)
        labels = reading.plane("labels", "whole")
        return np.full(labels.shape, True) if self.void is None else labels != self.void

    def kept(self) -> "Example":
        """The same, read once and then kept in memory."""
        return replace(self, picture=cache(self.picture), truth=cache(self.truth))

    def mirrored(self) -> "Example":
        """The same with left and right exchanged."""
        return replace(self, picture=lambda: ImageOps.mirror(self.image), truth=lambda: _mirrored(self.reading))


Examples = Sequence[Example]


@dataclass(frozen=True, eq=False)
class TraceGroup:
    """Traces about the same pictures, which share them in a row of training. `targets`: whether their maps may be learnt."""

    traces: tuple[Trace, ...]
    targets: bool = True


class TraceSource(Protocol):
    """Where stage 2 finds its traces."""

    def count(self, kind: str) -> int:
        """How many pictures or rows there are for a mode or a kind of lesson."""
        ...

    def pick(self, order: int, kind: str) -> int:
        """Which of them row number `order` takes."""
        ...

    def name(self, index: int, kind: str) -> str:
        """What one of them is called."""
        ...

    def group(self, number: int, index: int, kind: str, count: int) -> TraceGroup:
        """`count` traces about picture `index`, of a mode or a kind of lesson; row `number` of the run decides which."""
        ...


def _mirrored(reading: Reading) -> Reading:
    arrays = {name: np.ascontiguousarray(array[:, ::-1]) for name, array in reading.arrays.items()}
    return replace(reading, arrays=arrays)


def example_of(name: str, image: Image.Image, **arrays: np.ndarray) -> Example:
    """An example that is in memory already, with `depth`, `labels` and `instances` as far as they are known."""
    reading = Reading(arrays, {key: UNITS[key] for key in arrays})
    sources = (image.tobytes(), *(array.tobytes() for array in arrays.values()))
    return Example(name, lambda: image, lambda: reading, lambda: sources, frozenset(arrays))


@dataclass(frozen=True)
class Box:
    """A part of a picture, in fractions of its height and width."""

    top: float
    bottom: float
    left: float
    right: float

    def mask(self, shape: tuple[int, ...]) -> np.ndarray:
        """True inside, for a picture of [H, W].

        >>> Box(0.0, 0.5, 0.5, 1.0).mask((2, 4)).astype(int).tolist()
        [[0, 0, 1, 1], [0, 0, 0, 0]]
        """
        inside = np.zeros(shape[:2], dtype=bool)
        rows, columns = shape[0], shape[1]
        inside[int(self.top * rows) : int(self.bottom * rows), int(self.left * columns) : int(self.right * columns)] = True
        return inside


@dataclass(frozen=True, kw_only=True)
class Conventions:
    """How maps of a data set are judged: its depth range in metres and the part of each picture whose depth counts (all of it
    by default); its classes by id, those whose instances are objects, and the class that counts nowhere. Without `names` only
    regions are judged."""

    near: float = 0.0
    far: float = 0.0
    box: Box | None = None
    names: tuple[str, ...] = ()
    things: frozenset[int] = frozenset()
    void: int | None = None


@dataclass(frozen=True, kw_only=True)
class ExampleSet:
    """A data set of pictures with maps. `regions` says in words what a region is; `expected`: pictures of the published set, 0
    where that is open."""

    name: str
    items: Examples
    conventions: Conventions
    regions: str = ""
    expected: int = 0
