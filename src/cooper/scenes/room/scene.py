"""The values that describe a scene. Lengths in metres, angles in radians unless a name says otherwise.

World axes: x to the right, y away into the room, z up; the floor is z = 0. Picture axes: u to the right and v down, both
as fractions of the picture from its upper left corner. Depth is plane depth: the distance along the camera's axis.
"""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from cooper.errors import CooperError
from cooper.files.rows import parsed
from cooper.files.values import build

SEEDS_PER_FORMAT = 1 << 56  # of scenes; format 2 has the first ones


@dataclass(frozen=True)
class Vec:
    """A point or a size: (x, y, z) or (width, depth, height)."""

    x: float
    y: float
    z: float

    def array(self) -> np.ndarray:
        return np.array([self.x, self.y, self.z])


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with square pixels. Yaw turns it to the left, pitch tilts it down; no roll."""

    position: Vec
    yaw: float
    pitch: float
    fov_degrees: float  # horizontal, and vertical too: pictures are square

    @property
    def focal(self) -> float:
        """Focal length as a fraction of the picture's width."""
        return 0.5 / math.tan(math.radians(self.fov_degrees) / 2)

    @property
    def axes(self) -> Float64[np.ndarray, "3 3"]:
        """Rows: right, down and forward of the camera in world coordinates."""
        sin_yaw, cos_yaw = math.sin(self.yaw), math.cos(self.yaw)
        sin_pitch, cos_pitch = math.sin(self.pitch), math.cos(self.pitch)
        forward = (-sin_yaw * cos_pitch, cos_yaw * cos_pitch, -sin_pitch)
        down = (sin_yaw * sin_pitch, -cos_yaw * sin_pitch, -cos_pitch)
        return np.array([(cos_yaw, sin_yaw, 0.0), down, forward])

    def project(self, points: Float64[np.ndarray, "N 3"]) -> Float64[np.ndarray, "N 3"]:
        """World points to (u, v, plane depth)."""
        local = (points - self.position.array()) @ self.axes.T
        return np.stack(
            [
                0.5 + self.focal * local[:, 0] / local[:, 2],
                0.5 + self.focal * local[:, 1] / local[:, 2],
                local[:, 2],
            ],
            axis=1,
        )


@dataclass(frozen=True)
class Surface:
    """How a surface of the room looks: `plain`, `checker`, `stripes` or `noise` in two linear colours."""

    pattern: str
    first: Vec
    second: Vec
    seed: int


@dataclass(frozen=True)
class Furniture:
    """A table, shelf or rug. `centre` is the middle of its box."""

    kind: str
    centre: Vec
    size: Vec
    yaw: float
    surface: Surface


@dataclass(frozen=True)
class Room:
    """Floor and three walls, open to the camera's back and to the sky; the back wall stands at y = `depth`."""

    width: float
    depth: float
    floor: Surface
    wall: Surface
    furniture: tuple[Furniture, ...]
    light: Vec  # middle of the square lamp, which shines straight down
    light_side: float
    light_power: float
    ambient: float


@dataclass(frozen=True)
class View:
    """What the picture shows of one object. `box` is (left, top, right, bottom) in pixels, right and bottom exclusive."""

    pixels: int
    fraction: float  # visible pixels / pixels it would cover if nothing stood before it
    box: tuple[int, int, int, int]
    depth: float  # median plane depth of the visible pixels


@dataclass(frozen=True)
class SceneObject:
    """A countable object. `id` is its number in the instance map; `size` is (width, depth, height) before the turn."""

    id: int
    shape: str
    colour: str
    material: str
    centre: Vec
    size: Vec
    yaw: float
    support: str  # "floor" or "table"
    view: View | None = None  # known once the geometry was rendered

    @property
    def name(self) -> str:
        """Colour and shape: unique within a scene."""
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """One room with its objects and camera. `seed` made it; `attempt` counts the rejected draws before it."""

    split: str
    index: int
    seed: int
    attempt: int
    room: Room
    camera: Camera
    objects: tuple[SceneObject, ...]
    render_seed: int

    @property
    def form(self) -> int:
        """The format of the set that it belongs to, which its seed tells."""
        return 2 + self.seed // SEEDS_PER_FORMAT

    def to_json(self) -> str:
        """One line of JSON with sorted keys; floats as written by `repr`, so reading it back is exact."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def scene_from_json(text: Any, source: str = "scene") -> Scene:
    """Read `Scene.to_json`. CooperError names `source` when a field is missing or of the wrong kind."""
    if not isinstance(text, str):
        raise CooperError(f"{source}: not a scene description, but {type(text).__name__}")
    data = parsed(text.encode("utf-8", "surrogatepass"), source)
    if not isinstance(data, dict):
        raise CooperError(f"{source}: not a scene description, which is an object")
    try:
        return build(Scene, data, source)
    except CooperError as error:
        raise CooperError(f"{source}: not a scene description ({str(error).removeprefix(f'{source}: ')})") from None


def scene_id(scene: Scene) -> str:
    """The name of a scene, with which the ids of its questions begin."""
    return f"{scene.split}-{scene.seed}"
