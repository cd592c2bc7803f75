"""What a picture tower is asked about each cell of a patch, and its answers.

S: cells of all pictures.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from cooper.scenes.room.catalogue import CLASS_NAMES, COLOURS, MATERIALS, SHAPES

NOT_ASKED = -100  # not asked, as cross-entropy ignores it
ANSWERS = (len(CLASS_NAMES), len(COLOURS), len(MATERIALS), 1)  # the last one is the logarithm of metres
FIRST_SHAPE = CLASS_NAMES.index(SHAPES[0])


@dataclass(frozen=True, eq=False)
class Cells:
    """What is true of each cell: ids, or NOT_ASKED where a picture of this kind cannot tell; `depth_S` is NaN there."""

    classes_S: Tensor
    colours_S: Tensor
    materials_S: Tensor
    depth_S: Tensor

    @property
    def objects_S(self) -> Tensor:
        return self.classes_S >= FIRST_SHAPE

    def to(self, device: torch.device) -> "Cells":
        return Cells(*(getattr(self, each.name).to(device) for each in fields(self)))


@dataclass(frozen=True, eq=False)
class VisionBatch:
    """Patches of all pictures, all of one size, and what is true of their cells."""

    patches_PK: Tensor
    position_P: Tensor
    lengths: tuple[int, ...]
    cells: Cells

    def to(self, device: torch.device) -> "VisionBatch":
        return VisionBatch(self.patches_PK.to(device), self.position_P.to(device), self.lengths, self.cells.to(device))


@dataclass(frozen=True)
class Shown:
    """One scene as a kind of picture: mirrored, moved by pixels (the edges repeat), made brighter; then of it the square of
    `side` pixels whose corner is at (`top`, `left`), all of it where `side` is 0."""

    scene: int
    kind: str = "rgb"
    mirrored: bool = False
    down: int = 0
    right: int = 0
    brightness: float = 1.0
    top: int = 0
    left: int = 0
    side: int = 0

    def of(self, array: np.ndarray) -> np.ndarray:
        """What is shown of a map [S, S, ...] of the scene."""
        side = len(array)
        rows, columns = ((np.arange(side) + by).clip(0, side - 1) for by in (-self.down, -self.right))
        seen = array[rows][:, columns[::-1] if self.mirrored else columns]
        return seen[self.top : self.top + self.side, self.left : self.left + self.side] if self.side else seen

    def sampled(self, array: np.ndarray, count: int) -> np.ndarray:
        """What is shown at the middle of `count` x `count` cells."""
        seen = self.of(array)
        places = ((np.arange(count) + 0.5) * len(seen) / count).astype(int)
        return seen[places][:, places]
