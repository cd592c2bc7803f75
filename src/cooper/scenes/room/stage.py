"""Builds Mitsuba's own scene from ours. Mitsuba is loaded at the first use and kept to one thread."""

import math
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from cooper.errors import CooperError
from cooper.scenes.room.catalogue import COLOURS
from cooper.scenes.room.meshes import Mesh, furniture_mesh, object_mesh
from cooper.scenes.room.scene import Furniture, Room, Scene, SceneObject, Surface

FRONT = -4.0  # floor and side walls run this far behind the camera, in metres
WALL_HEIGHT = 4.5
TEXELS = 64
TILE = 0.4  # metres: patterns have one real size, so that a picture tells how far things are
BOARD = 0.2
PATCH = 3.2  # side of the bitmap of a pattern, a whole number of pairs of tiles and of boards


@lru_cache(maxsize=1)
def mitsuba() -> ModuleType:
    """The renderer's module, single-threaded so that processes do not fight. CooperError when it is not installed."""
    try:
        import drjit
        import mitsuba as module
    except ImportError as error:
        raise CooperError("rendering scenes needs Mitsuba: pip install mitsuba") from error
    module.set_variant("scalar_rgb")
    module.set_log_level(module.LogLevel.Error)
    drjit.set_thread_count(1)
    return module


def mitsuba_scene(mi: ModuleType, scene: Scene) -> Any:
    """Room, furniture, objects and lights; each part's id is its class name, or `object-N`."""
    parts = {"type": "scene", **_room(mi, scene.room), **mitsuba_objects(mi, scene.objects)}
    return mi.load_dict(parts, parallel=False, optimize=False)  # optimising would merge shapes that share a material


def mitsuba_objects(mi: ModuleType, objects: tuple[SceneObject, ...]) -> dict[str, Any]:
    """The countable objects alone."""
    return {f"object-{item.id}": _object(mi, item) for item in objects}


def _object(mi: ModuleType, item: SceneObject) -> Any:
    bsdf = _object_bsdf(item.material, item.colour)
    if item.shape == "ball":
        centre = item.centre.array()
        return mi.load_dict(
            {"type": "sphere", "id": f"object-{item.id}", "center": centre, "radius": item.size.x / 2, "bsdf": bsdf}
        )
    mesh = _stand(object_mesh(item.shape, item.size.array()), item.yaw, item.centre.array())
    return _mesh(mi, f"object-{item.id}", mesh, bsdf)


@lru_cache(maxsize=64)
def _object_bsdf(material: str, colour: str) -> Any:
    """Kept between scenes: building a rough plastic takes longer than tracing an object."""
    return mitsuba().load_dict(_material(material, COLOURS[colour]))


def _material(material: str, colour: tuple[float, float, float]) -> dict[str, Any]:
    rgb = {"type": "rgb", "value": list(colour)}
    if material == "matte":
        return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": rgb}}
    if material == "glossy":
        return {"type": "twosided", "bsdf": {"type": "roughplastic", "diffuse_reflectance": rgb, "alpha": 0.12}}
    bright = {"type": "rgb", "value": [min(1.0, 0.08 + 1.05 * value) for value in colour]}
    metal = {"type": "roughconductor", "material": "none", "specular_reflectance": bright, "alpha": 0.22}
    base = {"type": "diffuse", "reflectance": rgb}
    return {"type": "twosided", "bsdf": {"type": "blendbsdf", "weight": 0.6, "first": base, "second": metal}}


def _stand(mesh: Mesh, yaw: float, centre: np.ndarray) -> Mesh:
    turn = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
    moved = mesh.vertices @ turn.T + centre
    return Mesh(moved.astype(np.float32), (mesh.normals @ turn.T).astype(np.float32), mesh.faces)


def _mesh(mi: ModuleType, name: str, mesh: Mesh, bsdf: Any) -> Any:
    props = mi.Properties()
    props.set_id(name)
    props["mesh_bsdf"] = bsdf
    built = mi.Mesh(name, len(mesh.vertices), len(mesh.faces), props=props, has_vertex_normals=True)
    params = mi.traverse(built)
    params["vertex_positions"] = np.ascontiguousarray(mesh.vertices).ravel()
    params["vertex_normals"] = np.ascontiguousarray(mesh.normals).ravel()
    params["faces"] = np.ascontiguousarray(mesh.faces).ravel()
    params.update()
    return built


def _room(mi: ModuleType, room: Room) -> dict[str, Any]:
    half, long = room.width / 2, (room.depth - FRONT) / 2
    middle = (room.depth + FRONT) / 2
    floor = _paint(mi, room.floor, (room.width, 2 * long))
    back, side = _paint(mi, room.wall, (room.width, WALL_HEIGHT)), _paint(mi, room.wall, (2 * long, WALL_HEIGHT))
    place = mi.ScalarTransform4f
    upright = WALL_HEIGHT / 2
    parts: dict[str, Any] = {
        "floor": _sheet(place().translate([0, middle, 0]).scale([half, long, 1]), floor),
        "wall-1": _sheet(place().translate([0, room.depth, upright]).rotate([1, 0, 0], 90).scale([half, upright, 1]), back),
        "wall-2": _sheet(
            place().translate([-half, middle, upright]).rotate([0, 0, 1], 90).rotate([1, 0, 0], 90).scale([long, upright, 1]),
            side,
        ),
        "wall-3": _sheet(
            place().translate([half, middle, upright]).rotate([0, 0, 1], -90).rotate([1, 0, 0], 90).scale([long, upright, 1]),
            side,
        ),
        "lamp": {
            "type": "rectangle",
            "to_world": place().translate(room.light.array()).rotate([1, 0, 0], 180).scale(room.light_side / 2),
            "emitter": {"type": "area", "radiance": {"type": "rgb", "value": _warm(room)}},
        },
    }
    for number, piece in enumerate(room.furniture):
        parts[f"{piece.kind}-{number}"] = _furniture(mi, piece, number)
    return parts


def _warm(room: Room) -> list[float]:
    radiance = room.light_power / (room.light_side**2 * math.pi)
    return [radiance, radiance * 0.95, radiance * 0.87]


def _sheet(transform: Any, bsdf: Any) -> dict[str, Any]:
    return {"type": "rectangle", "to_world": transform, "bsdf": bsdf}


def _furniture(mi: ModuleType, piece: Furniture, number: int) -> Any:
    size = piece.size.array()
    if piece.kind == "rug":  # a sheet carries the texture; its edge is too thin to see
        place = mi.ScalarTransform4f().translate([piece.centre.x, piece.centre.y, piece.size.z])
        place = place.rotate([0, 0, 1], math.degrees(piece.yaw)).scale([size[0] / 2, size[1] / 2, 1])
        return {**_sheet(place, _paint(mi, piece.surface, (size[0], size[1]))), "id": f"rug-{number}"}
    plain = {"type": "rgb", "value": list(piece.surface.first.array())}
    bsdf = mi.load_dict({"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": plain}})
    mesh = _stand(furniture_mesh(piece.kind, size), piece.yaw, piece.centre.array())
    return _mesh(mi, f"{piece.kind}-{number}", mesh, bsdf)


def _paint(mi: ModuleType, surface: Surface, metres: tuple[float, float]) -> Any:
    """A two-sided diffuse material with the surface's pattern as a bitmap, repeated over a sheet of this size."""
    texture: dict[str, Any] = {"type": "rgb", "value": list(surface.first.array())}
    if surface.pattern != "plain":
        patches = [side / PATCH for side in metres]
        bitmap = {"type": "bitmap", "bitmap": mi.Bitmap(texels(surface)), "raw": True, "filter_type": "bilinear"}
        texture = {**bitmap, "to_uv": mi.ScalarTransform3f().scale(patches)}
    return mi.load_dict({"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": texture}})


def texels(surface: Surface) -> np.ndarray:
    """One patch of a pattern, `PATCH` metres square: float32 [T, T, 3], linear. It continues without a seam."""
    side = TEXELS * 4
    across, along = np.meshgrid(np.arange(side) / side * PATCH, np.arange(side) / side * PATCH)
    if surface.pattern == "checker":
        mix = (np.floor(across / TILE) + np.floor(along / TILE)) % 2
    elif surface.pattern == "stripes":
        mix = (np.floor(across / BOARD) % 2) * 0.8
    else:
        rng = np.random.default_rng(surface.seed)
        mix = np.zeros((side, side))
        for cells in (8, 32, 64):
            coarse = rng.random((cells, cells))
            mix += np.kron(coarse, np.ones((side // cells, side // cells))) / 3
    first, second = surface.first.array(), surface.second.array()
    return (first + (second - first) * mix[..., None]).astype(np.float32)
