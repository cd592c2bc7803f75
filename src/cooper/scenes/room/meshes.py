"""Triangle meshes of the object shapes and the furniture, in a unit box centred on the origin unless said otherwise.

The ball is not here: the renderer's own sphere is exact.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt32

STEPS = 40  # facets of a full turn


@dataclass(frozen=True)
class Mesh:
    """Triangles with a normal per vertex; vertices are shared only where the surface is smooth."""

    vertices: Float32[np.ndarray, "V 3"]
    normals: Float32[np.ndarray, "V 3"]
    faces: UInt32[np.ndarray, "F 3"]

    def stretched(self, size: np.ndarray) -> "Mesh":
        """The same shape with its unit box stretched to `size` (width, depth, height)."""
        normals = self.normals / size
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return Mesh((self.vertices * size).astype(np.float32), normals.astype(np.float32), self.faces)

    def moved(self, by: np.ndarray) -> "Mesh":
        return Mesh((self.vertices + by).astype(np.float32), self.normals, self.faces)


def joined(parts: list[Mesh]) -> Mesh:
    """All parts as one mesh."""
    starts = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.normals for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=True)]).astype(np.uint32),
    )


def flat(polygon: np.ndarray) -> Mesh:
    """A convex polygon [N, 3], counter-clockwise as seen from outside, with one normal."""
    normal = np.cross(polygon[1] - polygon[0], polygon[2] - polygon[0])
    normal = normal / np.linalg.norm(normal)
    faces = [(0, place, place + 1) for place in range(1, len(polygon) - 1)]
    return Mesh(polygon.astype(np.float32), np.tile(normal, (len(polygon), 1)).astype(np.float32), np.array(faces, np.uint32))


def box() -> Mesh:
    """The unit cube."""
    faces = []
    for axis in range(3):
        for side in (-0.5, 0.5):
            square = np.zeros((4, 3))
            square[:, axis] = side
            ring = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]
            square[:, [(axis + 1) % 3, (axis + 2) % 3]] = ring if side > 0 else ring[::-1]
            faces.append(flat(square))
    return joined(faces)


def pyramid() -> Mesh:
    """A square base and four sides that meet above its middle."""
    base = np.array([(-0.5, -0.5, -0.5), (0.5, -0.5, -0.5), (0.5, 0.5, -0.5), (-0.5, 0.5, -0.5)])
    top = np.array([0.0, 0.0, 0.5])
    sides = [flat(np.array([base[place], base[(place + 1) % 4], top])) for place in range(4)]
    return joined([flat(base[::-1]), *sides])


def turned(profile: np.ndarray, normals: np.ndarray) -> Mesh:
    """A surface of revolution about z: `profile` and `normals` are [P, 2] in (radius, height), from low to high."""
    angles = np.linspace(0, 2 * math.pi, STEPS, endpoint=False)
    rim = np.stack([np.cos(angles), np.sin(angles)], axis=1)

    def sweep(curve: np.ndarray) -> np.ndarray:
        around = curve[:, None, :1] * rim[None]
        return np.concatenate([around, np.broadcast_to(curve[:, None, 1:], (*around.shape[:2], 1))], axis=2)

    faces = []
    for row in range(len(profile) - 1):
        for step in range(STEPS):
            a, b = row * STEPS + step, row * STEPS + (step + 1) % STEPS
            faces += [(a, b, b + STEPS), (a, b + STEPS, a + STEPS)]
    vertices, directions = sweep(profile).reshape(-1, 3), sweep(normals).reshape(-1, 3)
    return Mesh(vertices.astype(np.float32), directions.astype(np.float32), np.array(faces, np.uint32))


def disc(height: float, up: bool) -> Mesh:
    """A round cap of diameter 1."""
    angles = np.linspace(0, 2 * math.pi, STEPS, endpoint=False) * (1 if up else -1)
    return flat(np.stack([np.cos(angles) / 2, np.sin(angles) / 2, np.full(STEPS, height)], axis=1))


def cylinder() -> Mesh:
    side = turned(np.array([(0.5, -0.5), (0.5, 0.5)]), np.array([(1.0, 0.0), (1.0, 0.0)]))
    return joined([side, disc(-0.5, False), disc(0.5, True)])


def cone() -> Mesh:
    slope = np.array([1.0, 0.5]) / math.hypot(1.0, 0.5)
    return joined([turned(np.array([(0.5, -0.5), (0.0, 0.5)]), np.tile(slope, (2, 1))), disc(-0.5, False)])


def capsule(height: float) -> Mesh:
    """A cylinder with round ends, 1 wide and `height` >= 1 high: its ends stay round, so it is made to measure."""
    angles = np.linspace(-math.pi / 2, math.pi / 2, 18)
    normals = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    profile = 0.5 * normals
    profile[:, 1] += np.where(angles < 0, -1, 1) * (height - 1) / 2
    return turned(profile, normals)


def ring(height: float) -> Mesh:
    """A torus lying flat, 1 wide; `height` is the thickness of its tube."""
    angles = np.linspace(0, 2 * math.pi, 25)
    normals = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    profile = normals * height / 2
    profile[:, 0] += 0.5 - height / 2
    return turned(profile, normals)


def arch(opening: float = 0.3, spring: float = 0.0) -> Mesh:
    """A gate: a block with an opening of half-width `opening`, straight up to height `spring`, then round."""
    angles = np.linspace(0, math.pi, 15)
    curve = np.stack([opening * np.cos(angles), spring + opening * np.sin(angles)], axis=1)
    inner = np.concatenate([[(opening, -0.5)], curve, [(-opening, -0.5)]])
    reach = np.maximum(np.abs(curve[:, 0]) / 0.5, np.abs(curve[:, 1] - spring) / (0.5 - spring))
    spread = np.array([0.0, spring]) + (curve - [0.0, spring]) / reach[:, None]
    outer = np.concatenate([[(0.5, -0.5)], spread, [(-0.5, -0.5)]])
    parts = []
    for place in range(len(inner) - 1):
        quad = np.array([outer[place], outer[place + 1], inner[place + 1], inner[place]])
        front = np.insert(quad, 1, -0.5, axis=1)
        back = np.insert(quad, 1, 0.5, axis=1)
        parts += [flat(front[::-1]), flat(back)]
        parts.append(flat(np.array([front[1], front[0], back[0], back[1]])))
        parts.append(flat(np.array([front[3], front[2], back[2], back[3]])))
    feet = [box().stretched(np.array([0.5 - opening, 1.0, 1e-3])) for _ in range(2)]
    side = (0.5 + opening) / 2
    return joined([*parts, *(foot.moved(np.array([x, 0, -0.4995])) for foot, x in zip(feet, (-side, side), strict=True))])


def object_mesh(shape: str, size: np.ndarray) -> Mesh:
    """The mesh of a shape other than the ball, at its full size in metres and centred on the origin."""
    made_to_measure = {"capsule": capsule, "ring": ring}
    if shape in made_to_measure:
        return made_to_measure[shape](size[2] / size[0]).stretched(np.full(3, size[0]))
    return {"cube": box, "cylinder": cylinder, "cone": cone, "pyramid": pyramid, "arch": arch}[shape]().stretched(size)


def block(size: np.ndarray, centre: np.ndarray) -> Mesh:
    return box().stretched(size).moved(centre)


def furniture_mesh(kind: str, size: np.ndarray) -> Mesh:
    """A rug (flat block), a table (top and four legs) or a shelf (frame, back and two boards), centred on the origin."""
    width, depth, height = size
    if kind == "rug":
        return block(size, np.zeros(3))
    if kind == "table":
        top = block(np.array([width, depth, 0.05]), np.array([0, 0, height / 2 - 0.025]))
        legs = [
            block(np.array([0.06, 0.06, height - 0.05]), np.array([x * (width / 2 - 0.05), y * (depth / 2 - 0.05), -0.025]))
            for x in (-1, 1)
            for y in (-1, 1)
        ]
        return joined([top, *legs])
    sides = [block(np.array([0.04, depth, height]), np.array([x * (width / 2 - 0.02), 0, 0])) for x in (-1, 1)]
    heights = (-height / 2 + 0.02, 0.0, height / 2 - 0.02)
    boards = [block(np.array([width - 0.08, depth, 0.04]), np.array([0, 0, z])) for z in heights]
    back = block(np.array([width - 0.08, 0.02, height - 0.08]), np.array([0, depth / 2 - 0.012, 0]))
    return joined([*sides, *boards, back])
