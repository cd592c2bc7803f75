"""Draws scenes from seeds: numpy only. A draw is a proposal; `render.accept` looks at it before it counts."""

import math
from dataclasses import dataclass

import numpy as np

from cooper.errors import CooperError
from cooper.scenes.room.catalogue import ALL_PAIRS, COLOURS, HELD_OUT, MATERIALS, SHAPES, SPLITS, Pair
from cooper.scenes.room.ranges import FORMATS, Ranges, ranges_of
from cooper.scenes.room.scene import SEEDS_PER_FORMAT, Camera, Furniture, Room, Scene, SceneObject, Surface, Vec

SEEDS_PER_SPLIT = 1 << 52
SCENES_PER_SEED = 1 << 26
MARGIN = 0.012  # objects stay this far inside the picture, as a fraction of its width
WIDTHS = (0.12, 0.45)  # how wide an object's box may look, as a fraction of the picture
FOV_DEGREES = 55.0  # one camera, known to the model by habit: depth in metres needs known intrinsics
PATTERNS = ("plain", "checker", "stripes", "noise")

# Ranges of (width, height); shapes other than the arch are as deep as wide.
SIZES: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "cube": ((0.4, 0.66), (1.0, 1.0)),
    "ball": ((0.4, 0.7), (1.0, 1.0)),
    "cylinder": ((0.36, 0.54), (0.5, 0.9)),
    "cone": ((0.46, 0.66), (0.54, 0.9)),
    "pyramid": ((0.5, 0.72), (0.44, 0.76)),
    "ring": ((0.58, 0.84), (0.17, 0.23)),
    "capsule": ((0.3, 0.4), (0.62, 0.94)),
    "arch": ((0.58, 0.84), (0.48, 0.7)),
}


@dataclass(frozen=True)
class SceneKey:
    """Which scene of which set: `seed` is the data set's seed, below 2**26, and so is `index`; `form` is the set's format."""

    split: str
    seed: int
    index: int
    form: int = 2

    @property
    def ranges(self) -> Ranges:
        """What the scene is drawn from. CooperError: a split that is not known, or not in this format."""
        return ranges_of(self.split, self.form)

    @property
    def scene_seed(self) -> int:
        """The scene's own seed; those of two splits or formats never meet."""
        ranges_of(self.split, self.form)
        for field, value in (("seed", self.seed), ("index", self.index)):
            if not 0 <= value < SCENES_PER_SEED:
                raise CooperError(f"{field}: {value} is not in 0..{SCENES_PER_SEED - 1}")
        start = FORMATS.index(self.form) * SEEDS_PER_FORMAT + SPLITS.index(self.split) * SEEDS_PER_SPLIT
        return start + self.seed * SCENES_PER_SEED + self.index


def propose(key: SceneKey, attempt: int) -> Scene | None:
    """The scene of `key` at this attempt, or None when its objects found no room."""
    rng = np.random.default_rng([key.scene_seed, attempt])
    camera, room = _camera_and_room(rng, key.ranges)
    objects = _place_all(rng, room, camera, _pairs(rng, key.split), key.ranges)
    if objects is None:
        return None
    return Scene(
        split=key.split,
        index=key.index,
        seed=key.scene_seed,
        attempt=attempt,
        room=room,
        camera=camera,
        objects=objects,
        render_seed=int(rng.integers(1 << 31)),
    )


def corners(centre: Vec, size: Vec, yaw: float) -> np.ndarray:
    """The eight corners of a box that was turned by `yaw` about its upright axis: float64 [8, 3]."""
    signs = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    local = signs * size.array()
    turned = np.stack(
        [
            local[:, 0] * math.cos(yaw) - local[:, 1] * math.sin(yaw),
            local[:, 0] * math.sin(yaw) + local[:, 1] * math.cos(yaw),
            local[:, 2],
        ],
        axis=1,
    )
    return turned + centre.array()


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 4)


def _pick(rng: np.random.Generator, items: tuple[str, ...]) -> str:
    return items[int(rng.integers(len(items)))]


def _pairs(rng: np.random.Generator, split: str) -> tuple[Pair, ...]:
    """Two to seven different pairs. Often from few shapes and colours, so that counting has something to count."""
    count = int(rng.integers(2, 8))
    few = rng.random() < 0.6
    shapes = set(rng.choice(SHAPES, size=max(2, (count + 2) // 2) if few else len(SHAPES), replace=False))
    colours = set(rng.choice(list(COLOURS), size=max(2, (count + 3) // 2) if few else len(COLOURS), replace=False))
    known = [pair for pair in ALL_PAIRS if pair not in HELD_OUT]
    pool = [pair for pair in known if pair.shape in shapes and pair.colour in colours]
    if len(pool) < count:
        pool = known
    chosen = [pool[int(place)] for place in rng.permutation(len(pool))[:count]]
    if split == "compositional":
        held_out = sorted(HELD_OUT)
        novel = rng.permutation(len(held_out))[: int(rng.integers(1, min(3, count) + 1))]
        chosen[: len(novel)] = [held_out[int(place)] for place in novel]
    return tuple(chosen)


def _surface(rng: np.random.Generator, level: tuple[float, float], tint: float, patterns: tuple[str, ...]) -> Surface:
    """Two muted colours of similar hue, so that the saturated objects stand out."""
    base = rng.uniform(*level) * (1 + tint * np.array([1.0, 0.2, -1.0]) * rng.uniform(-0.6, 1.0))
    other = base * rng.uniform(0.55, 0.8)
    first, second = (Vec(*(round(float(value), 4) for value in colour)) for colour in (base, other))
    return Surface(_pick(rng, patterns), first, second, int(rng.integers(1 << 31)))


def _camera_and_room(rng: np.random.Generator, ranges: Ranges) -> tuple[Camera, Room]:
    width, depth = _uniform(rng, *ranges.room), _uniform(rng, *ranges.deep)
    position = Vec(_uniform(rng, -0.33, 0.33) * width, _uniform(rng, -0.8, 0.2), _uniform(rng, *ranges.camera_height))
    position = Vec(round(position.x, 4), position.y, position.z)
    target = Vec(_uniform(rng, -0.5, 0.5), _uniform(rng, *ranges.aim_away), _uniform(rng, *ranges.aim_height))
    along, across = target.y - position.y, target.x - position.x
    camera = Camera(
        position=position,
        yaw=round(-math.atan2(across, along), 5),
        pitch=round(math.atan2(position.z - target.z, math.hypot(along, across)), 5),
        fov_degrees=FOV_DEGREES,
    )
    room = Room(
        width=width,
        depth=depth,
        floor=_surface(rng, (0.28, 0.6), 0.35, PATTERNS[1:]),
        wall=_surface(rng, (0.38, 0.7), 0.2, ("plain", "plain", "stripes", "noise")),
        furniture=_furniture(rng, width, depth),
        light=Vec(_uniform(rng, -1.2, 1.2), _uniform(rng, *ranges.lamp_away), _uniform(rng, 3.2, 3.8)),
        light_side=_uniform(rng, 0.6, 1.3),
        light_power=_uniform(rng, *ranges.lamp_power),
        ambient=_uniform(rng, *ranges.ambient),
    )
    return camera, room


def _furniture(rng: np.random.Generator, width: float, depth: float) -> tuple[Furniture, ...]:
    pieces = []
    if rng.random() < 0.5:
        size = Vec(_uniform(rng, 1.4, 2.2), _uniform(rng, 1.2, 1.8), 0.012)
        centre = Vec(_uniform(rng, -0.6, 0.6), _uniform(rng, 1.6, 2.8), 0.006)
        pieces.append(Furniture("rug", centre, size, _uniform(rng, -0.4, 0.4), _surface(rng, (0.1, 0.2), 0.6, PATTERNS)))
    if rng.random() < 0.45:
        size = Vec(_uniform(rng, 0.9, 1.4), 0.32, _uniform(rng, 0.8, 1.3))
        reach = width / 2 - size.x / 2 - 0.05
        centre = Vec(_uniform(rng, -reach, reach), round(depth - 0.17, 4), round(size.z / 2, 4))
        pieces.append(Furniture("shelf", centre, size, 0.0, _surface(rng, (0.25, 0.5), 0.45, ("plain", "noise"))))
    if rng.random() < 0.45:
        size = Vec(_uniform(rng, 1.0, 1.5), _uniform(rng, 0.65, 0.9), _uniform(rng, 0.3, 0.48))
        centre = Vec(_uniform(rng, -1.1, 1.1), _uniform(rng, 1.9, depth - 0.9), round(size.z / 2, 4))
        surface = _surface(rng, (0.25, 0.5), 0.45, ("plain", "stripes", "noise"))
        pieces.append(Furniture("table", centre, size, _uniform(rng, -0.5, 0.5), surface))
    return tuple(pieces)


def _size(rng: np.random.Generator, shape: str, scale: float) -> Vec:
    widths, heights = SIZES[shape]
    width = _uniform(rng, *widths) * scale
    height = width if heights == (1.0, 1.0) else _uniform(rng, *heights) * scale
    depth = width * (0.45 if shape == "arch" else 1.0)
    return Vec(round(width, 4), round(depth, 4), round(height, 4))


def _place_all(
    rng: np.random.Generator, room: Room, camera: Camera, pairs: tuple[Pair, ...], ranges: Ranges
) -> tuple[SceneObject, ...] | None:
    placed: list[SceneObject] = []
    for pair in pairs:
        for _ in range(60):
            found = _place(rng, room, camera, pair, placed, ranges)
            if found is not None:
                placed.append(found)
                break
        else:
            return None
    return tuple(placed)


def _place(
    rng: np.random.Generator, room: Room, camera: Camera, pair: Pair, placed: list[SceneObject], ranges: Ranges
) -> SceneObject | None:
    """One try for one object: on the table, behind another object as the camera sees it, or anywhere on the floor."""
    tables = [piece for piece in room.furniture if piece.kind == "table"]
    on_table = bool(tables) and rng.random() < 0.35
    scale = 1.0
    if ranges.scale is not None:
        least, most = ranges.scale
        scale = math.exp(rng.uniform(math.log(least), math.log(most)))
    size = _size(rng, pair.shape, scale * (0.72 if on_table else 1.0))
    if on_table:
        table, top = tables[0], tables[0].size.z
        local = np.array([rng.uniform(-0.5, 0.5) * table.size.x, rng.uniform(-0.5, 0.5) * table.size.y]) * 0.8
        turn = np.array([[math.cos(table.yaw), -math.sin(table.yaw)], [math.sin(table.yaw), math.cos(table.yaw)]])
        x, y = turn @ local + [table.centre.x, table.centre.y]
    elif placed and rng.random() < ranges.behind:
        top, other = 0.0, placed[int(rng.integers(len(placed)))]
        away = np.array([other.centre.x - camera.position.x, other.centre.y - camera.position.y])
        away /= np.linalg.norm(away)
        x, y = [other.centre.x, other.centre.y] + away * rng.uniform(0.45, 1.3)
        x, y = x + away[1] * rng.uniform(-0.4, 0.4), y - away[0] * rng.uniform(-0.4, 0.4)
    else:
        top, x, y = 0.0, rng.uniform(-0.5, 0.5) * room.width, rng.uniform(0.6, room.depth)
    centre = Vec(round(float(x), 4), round(float(y), 4), round(top + size.z / 2, 4))
    yaw = _uniform(rng, -math.pi / 2, math.pi / 2)
    if pair.shape == "arch":  # seen from its end it would look like a block
        yaw = round(camera.yaw + 0.5 * yaw, 4)
    found = SceneObject(
        id=len(placed) + 1,
        shape=pair.shape,
        colour=pair.colour,
        material=_pick(rng, MATERIALS),
        centre=centre,
        size=size,
        yaw=yaw,
        support="table" if on_table else "floor",
    )
    return found if _fits(found, room, camera, placed) else None


def _fits(candidate: SceneObject, room: Room, camera: Camera, placed: list[SceneObject]) -> bool:
    radius = _radius(candidate)
    if abs(candidate.centre.x) + radius > room.width / 2 or candidate.centre.y + radius > room.depth:
        return False
    seen = camera.project(corners(candidate.centre, candidate.size, candidate.yaw))
    low, high = seen.min(axis=0), seen.max(axis=0)
    if low[2] < 1.1 or min(low[:2]) < MARGIN or max(high[:2]) > 1 - MARGIN:
        return False
    if not WIDTHS[0] <= high[0] - low[0] <= WIDTHS[1]:
        return False
    for other in placed:
        apart = math.hypot(candidate.centre.x - other.centre.x, candidate.centre.y - other.centre.y)
        if apart < radius + _radius(other) + 0.03:
            return False
    return candidate.support == "table" or all(
        _clear_of(candidate, piece, radius) for piece in room.furniture if piece.kind != "rug"
    )


def _radius(item: SceneObject) -> float:
    """Of a circle round the footprint."""
    if item.shape in ("cube", "pyramid", "arch"):
        return math.hypot(item.size.x, item.size.y) / 2
    return item.size.x / 2


def _clear_of(item: SceneObject, piece: Furniture, radius: float) -> bool:
    x, y = item.centre.x - piece.centre.x, item.centre.y - piece.centre.y
    along = x * math.cos(piece.yaw) + y * math.sin(piece.yaw)
    across = -x * math.sin(piece.yaw) + y * math.cos(piece.yaw)
    return abs(along) > piece.size.x / 2 + radius + 0.02 or abs(across) > piece.size.y / 2 + radius + 0.02
