"""What a scene may contain: class ids, object shapes, colours, materials and the pairs that training never sees.

Class ids are written into label maps, so their order is part of the scene format (docs/reference/scenes.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

CLASS_NAMES: tuple[str, ...] = (
    "void",
    "floor",
    "wall",
    "table",
    "shelf",
    "rug",
    "cube",
    "ball",
    "cylinder",
    "cone",
    "pyramid",
    "ring",
    "capsule",
    "arch",
)
"""Name of each class; the index is the id in a label map (uint8). 0 is never seen in an accepted scene."""

CLASS_IDS: Mapping[str, int] = MappingProxyType({name: index for index, name in enumerate(CLASS_NAMES)})

FURNITURE: tuple[str, ...] = CLASS_NAMES[3:6]
SHAPES: tuple[str, ...] = CLASS_NAMES[6:]
"""Shapes of the countable objects; every one of them is an instance (thing), all else is background (stuff)."""

COLOURS: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "red": (0.78, 0.05, 0.05),
        "orange": (0.92, 0.32, 0.02),
        "yellow": (0.90, 0.74, 0.05),
        "green": (0.06, 0.46, 0.08),
        "cyan": (0.06, 0.66, 0.70),
        "blue": (0.04, 0.12, 0.72),
        "purple": (0.30, 0.06, 0.52),
        "white": (0.88, 0.88, 0.88),
    }
)
"""Linear reflectance of each object colour."""

MATERIALS: tuple[str, ...] = ("matte", "glossy", "metal")


@dataclass(frozen=True, order=True)
class Pair:
    """A shape in a colour."""

    shape: str
    colour: str


ALL_PAIRS: tuple[Pair, ...] = tuple(Pair(shape, colour) for shape in SHAPES for colour in COLOURS)

HELD_OUT: frozenset[Pair] = frozenset(
    Pair(shape, tuple(COLOURS)[(3 * index + 1) % len(COLOURS)]) for index, shape in enumerate(SHAPES)
)
"""One colour per shape and one shape per colour, never in train, val or test; every compositional scene has one."""

NEW_SPLITS: tuple[str, ...] = ("light", "dark", "hidden")
"""Splits of format 3 only: bright and dark rooms, and rooms in which objects hide each other."""

SPLITS: tuple[str, ...] = ("train", "val", "test", "compositional", *NEW_SPLITS)
"""The order is part of the format: the index is a part of a scene's seed."""
