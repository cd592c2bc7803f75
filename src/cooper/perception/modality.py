"""What an auxiliary map is: the Modality protocol and the registry that new modalities join.

H, W: height and width of a picture in pixels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float32
from PIL import Image

Drawn = Float32[np.ndarray, "H W 3"]


@dataclass(frozen=True)
class Reading:
    """What a drawn map means: named arrays of the picture's size, with their units.

    `arrays` holds, for example, `{"depth": float32 [H, W]}` or `{"labels": int32 [H, W], "instances": int32 [H, W]}`;
    `units` one entry per array (`"m"`, `"relative"`, `"class id"`); `names` the meaning of integer labels.
    """

    arrays: Mapping[str, np.ndarray]
    units: Mapping[str, str]
    names: Mapping[int, str] = field(default_factory=dict)


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


ModalityFactory = Callable[..., Modality]
_FACTORIES: dict[str, ModalityFactory] = {}


def register_modality(name: str, factory: ModalityFactory) -> None:
    """Make `factory(**settings)` available under `name`. Registering a taken name raises ValueError."""
    if name in _FACTORIES:
        raise ValueError(f"a modality named {name!r} is registered already")
    _FACTORIES[name] = factory


def build_modalities(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Modality]:
    """Build the modalities of a checkpoint: `{"depth": {"near": 0.0, "far": 10.0, ...}, ...}` -> name -> Modality."""
    unknown = sorted(set(settings) - set(_FACTORIES))
    if unknown:
        raise ValueError(f"unknown modality {unknown[0]!r}; registered: {', '.join(sorted(_FACTORIES))}")
    return {name: _FACTORIES[name](**options) for name, options in settings.items()}
