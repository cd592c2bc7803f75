"""What an auxiliary map is: the Modality protocol and the registry that new modalities join.

H, W: height and width of a picture in pixels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from jaxtyping import Float32
from PIL import Image

from cooper.errors import CooperError
from cooper.files.arguments import short
from cooper.files.equality import same_arrays
from cooper.files.plugins import load_plugins, register

Drawn = Float32[np.ndarray, "H W 3"]


@dataclass(frozen=True, eq=False, repr=False)
class Reading:
    """What a drawn map means: named arrays of the picture's size, with their units.

    `arrays` holds, for example, `{"depth": float32 [H, W]}` or `{"labels": int32 [H, W], "instances": int32 [H, W]}`;
    `units` one entry per array (`"m"`, `"relative"`, `"class id"`); `names` the meaning of integer labels.
    """

    arrays: Mapping[str, np.ndarray]
    units: Mapping[str, str]
    names: Mapping[int, str] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same arrays, units and names."""
        if not isinstance(other, Reading):
            return NotImplemented
        told = dict(self.units) == dict(other.units) and dict(self.names) == dict(other.names)
        alike = self.arrays.keys() == other.arrays.keys()
        return told and alike and all(same_arrays(array, other.arrays[name]) for name, array in self.arrays.items())

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.arrays)))

    def __repr__(self) -> str:
        told = [f"{name} {array.dtype} {list(array.shape)} {self.units.get(name, '')}" for name, array in self.arrays.items()]
        return short(f"<Reading: {', '.join(text.rstrip() for text in told) or 'no arrays'}>")

    def plane(self, name: str, numbers: Literal["real", "whole"]) -> np.ndarray:
        """The array of a name, a non-empty [H, W] of real or whole numbers. CooperError says what it is instead."""
        if name not in self.arrays:
            raise CooperError(f"it holds no array {name!r}, only {', '.join(map(repr, self.arrays)) or 'none'}")
        array = np.asarray(self.arrays[name])
        fits = np.issubdtype(array.dtype, np.integer) or (numbers == "real" and np.issubdtype(array.dtype, np.floating))
        if not fits:
            raise CooperError(f"its array {name!r} must hold {numbers} numbers, not {array.dtype}")
        if array.ndim != 2 or array.size == 0:
            raise CooperError(f"its array {name!r} must be one non-empty [H, W], not {list(array.shape)}")
        return array

    def resized(self, width: int, height: int) -> "Reading":
        """The same at another size in pixels: real numbers between their neighbours (bilinear), whole ones from the nearest."""
        if all(array.shape == (height, width) for array in self.arrays.values()):
            return self
        arrays = {name: _resized(array, width, height) for name, array in self.arrays.items()}
        return Reading(arrays, self.units, self.names)


class Modality(Protocol):
    """One kind of map the model can draw. Pictures the network sees are float32 in [0, 1], shape [H, W, 3]."""

    @property
    def name(self) -> str:
        """How recipes and traces call it, e.g. "depth"."""
        ...

    @property
    def tag(self) -> str:
        """The element the model writes to ask for it, e.g. "depth-estimation"."""
        ...

    def encode(self, truth: Reading) -> Drawn:
        """The picture the model learns to draw for this truth."""
        ...

    def decode(self, drawn: Drawn) -> Reading:
        """The meaning of a picture the model drew."""
        ...

    def render(self, drawn: Drawn) -> Image.Image:
        """The RGB picture shown to people and read back by the model."""
        ...


def _resized(array: np.ndarray, width: int, height: int) -> np.ndarray:
    whole = np.issubdtype(array.dtype, np.integer)
    picture = Image.fromarray(array.astype(np.int32 if whole else np.float32))
    rule = Image.Resampling.NEAREST if whole else Image.Resampling.BILINEAR
    return np.asarray(picture.resize((width, height), rule)).astype(array.dtype)


ModalityFactory = Callable[..., Modality]
_FACTORIES: dict[str, ModalityFactory] = {}


def register_modality(name: str, factory: ModalityFactory) -> None:
    """Make `factory(**settings)` available under `name`. Registering a taken name raises ValueError."""
    register(_FACTORIES, "modality", name, factory)


def build_modalities(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Modality]:
    """Build the modalities of a checkpoint: `{"depth": {"near": 0.0, "far": 10.0, ...}, ...}` -> name -> Modality."""
    load_plugins()
    unknown = sorted(set(settings) - set(_FACTORIES))
    if unknown:
        raise CooperError(f"unknown modality {unknown[0]!r}; registered: {', '.join(sorted(_FACTORIES))}")
    return {name: _FACTORIES[name](**options) for name, options in settings.items()}
