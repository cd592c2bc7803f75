"""What is known of a picture in a data set of maps; files are read when they are asked for.

H, W: height and width in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float32, Int
from PIL import Image


class Pictured(Protocol):
    """A picture with a name of its own."""

    @property
    def id(self) -> str: ...

    @property
    def image(self) -> Image.Image: ...

    @property
    def sources(self) -> tuple[Path | bytes, ...]:
        """The files that the picture and its truth are read from, or their bytes."""
        ...


class DepthTruth(Pictured, Protocol):
    """A picture whose depth is known: plane depth in metres, 0 where it is not."""

    @property
    def depth_m(self) -> Float32[np.ndarray, "H W"]: ...


class SegmentationTruth(Pictured, Protocol):
    """A picture whose regions are known: a region is the pixels of one class and one instance."""

    @property
    def labels(self) -> Int[np.ndarray, "H W"]: ...

    @property
    def instances(self) -> Int[np.ndarray, "H W"]: ...


@dataclass(frozen=True)
class SegmentationSet:
    """A data set of regions. `regions` says in words what one is; `names`: its classes by id, () if it does not name them;
    `things`: the classes whose instances are objects; `void`: the class that counts nowhere; `expected`: pictures of the
    published set, 0 where that is open."""

    name: str
    items: Sequence[SegmentationTruth]
    regions: str
    names: tuple[str, ...] = ()
    things: frozenset[int] = frozenset()
    void: int | None = None
    expected: int = 0
