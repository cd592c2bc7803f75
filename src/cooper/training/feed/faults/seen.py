"""What was seen of one row or picture: its faults, and what the figures of the whole are made of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from PIL import Image

from cooper.training.feed.faults.fault import Fault


@dataclass(frozen=True)
class DepthSeen:
    """Depth of one file in metres: of the known pixels the 5th, 50th and 95th percentile. `unknown`: the share of pixels
    without depth. `scale`: metres of one count, 0 where the file holds none. `file`: its path, where the place is another."""

    near: float
    middle: float
    far: float
    unknown: float
    scale: float = 0.0
    file: str = ""


@dataclass(frozen=True)
class Thumb:
    """A small picture for the page, and what it is."""

    name: str
    image: Image.Image


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One row or picture. `place`: where it is. `sizes`: width and height of its pictures. `counts`: what is counted, such as
    `map depth` or `flag positive`. `tokens`: its length, 0 where it could not be had. `id`: its own, "" for none. `digest`:
    of its content. `asked`: of a question and its picture. `answered`: whether words that are learned end in an answer, None
    where there are none."""

    place: str
    faults: tuple[Fault, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    tokens: int = 0
    id: str = ""
    digest: bytes = b""
    asked: bytes = b""
    answered: bool | None = None
    reasons: bool = False
    depth: DepthSeen | None = None
    thumbs: tuple[Thumb, ...] = ()


def counted(names: Iterable[str]) -> dict[str, int]:
    """How often each name occurs."""
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return found
