"""What the colours of a map mean: the ends of a scale of depth, the names of classes. All is read off the map itself.

H, W: height and width of the map in pixels.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from cooper.perception.depth import colourise
from cooper.trace.steps import MapStep

Colour = tuple[int, int, int]

STOPS = 24  # colours of a scale; between them a page blends
MOST = 4  # colours shown of one class
ALIKE = 60.0  # distance in RGB (0..255) below which two colours of one class are shown as one


@dataclass(frozen=True)
class Scale:
    """The colours from the least to the greatest depth of a map, and what stands at the two ends."""

    colours: tuple[Colour, ...]
    low: str
    high: str


@dataclass(frozen=True)
class Key:
    """A class that a map shows, with the colours it has there: objects of one class may have several."""

    name: str
    colours: tuple[Colour, ...]


def depth_scale(step: MapStep) -> Scale | None:
    """The scale of a depth map in its own colours; None for other maps."""
    reading = step.reading
    if step.modality != "depth" or reading is None or "depth" not in reading.arrays or step.drawn.ndim != 3:
        return None
    depth = reading.arrays["depth"]
    finite = depth[np.isfinite(depth)]
    if not finite.size:
        return None
    grey = np.clip(np.nan_to_num(step.drawn), 0, 1).mean(axis=2, dtype=np.float32)
    shades = np.linspace(grey.min(), grey.max(), STOPS, dtype=np.float32)[None]
    unit = reading.units.get("depth", "")
    low, high = (f"{value:.2f} {unit}".rstrip() for value in (finite.min(), finite.max()))
    return Scale(_colours(colourise(shades)[0]), f"{low} (nearest)", f"{high} (farthest)")


def class_keys(step: MapStep) -> tuple[Key, ...]:
    """The classes that a map shows, in order of their numbers; none where its labels have no names."""
    reading = step.reading
    labels = None if reading is None else reading.arrays.get("labels")
    if reading is None or labels is None or labels.ndim != 2 or reading.units.get("labels") != "class id":
        return ()
    instances = reading.arrays.get("instances")
    instances = instances if instances is not None and instances.shape == labels.shape else np.zeros_like(labels)
    height, width = labels.shape
    picture = np.asarray(step.image.convert("RGB").resize((width, height), Image.Resampling.NEAREST))
    present = [int(label) for label in np.unique(labels) if int(label) in reading.names]
    return tuple(Key(reading.names[label], _colours_of(picture, labels == label, instances)) for label in present)


def _colours_of(picture: UInt8[np.ndarray, "H W 3"], mask: np.ndarray, instances: Int[np.ndarray, "H W"]) -> tuple[Colour, ...]:
    """The middle colour of each object of a class, those that look alike once."""
    found: list[np.ndarray] = []
    for instance in np.unique(instances[mask]):
        colour = np.median(picture[mask & (instances == instance)], axis=0)
        if len(found) < MOST and all(np.linalg.norm(colour - other) >= ALIKE for other in found):
            found.append(colour)
    return _colours(np.array(found))


def _colours(table: np.ndarray) -> tuple[Colour, ...]:
    return tuple((int(red), int(green), int(blue)) for red, green, blue in table)
