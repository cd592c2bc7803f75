"""Turns a scene into arrays with Mitsuba: colour, exact plane depth, classes and instances.

Depth and labels come from one ray through each pixel's centre, so nothing is averaged across an edge.
S: side of the square picture in pixels.
"""

from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from cooper.errors import CooperError
from cooper.scenes.room.catalogue import CLASS_IDS
from cooper.scenes.room.ranges import Ranges
from cooper.scenes.room.sampling import SceneKey, corners, propose
from cooper.scenes.room.scene import Scene, SceneObject, View
from cooper.scenes.room.stage import mitsuba, mitsuba_objects, mitsuba_scene

NEAR, FAR = 0.3, 8.0  # every depth of an accepted scene lies between these, in metres
MIN_AREA = 1 / 200  # of the picture: the least an object may show
PARTLY = 0.85  # of an object: with less than that it counts as partly hidden
ATTEMPTS = 200


@dataclass(frozen=True, eq=False)
class PixelTruth:
    """What each pixel sees: plane depth in metres, class id and object id (0 where no object is)."""

    depth_m: Float32[np.ndarray, "S S"]
    labels: UInt8[np.ndarray, "S S"]
    instances: UInt8[np.ndarray, "S S"]


@dataclass(frozen=True, eq=False)
class Staged:
    """An accepted scene with its geometry; `scene.objects` carry their views."""

    scene: Scene
    geometry: PixelTruth


@dataclass(frozen=True, eq=False)
class SceneRecord:
    """One finished scene: colour beside everything that is known about it."""

    rgb: UInt8[np.ndarray, "S S 3"]
    depth_m: Float32[np.ndarray, "S S"]
    labels: UInt8[np.ndarray, "S S"]
    instances: UInt8[np.ndarray, "S S"]
    scene: Scene


def stage_scene(key: SceneKey, size: int = 128) -> Staged:
    """The first acceptable draw of `key`, with geometry but no colour: about ten times as fast as a full record.

    Depth is rounded to millimetres, as the store keeps it. CooperError when no draw is acceptable.
    """
    for attempt in range(ATTEMPTS):
        scene = propose(key, attempt)
        if scene is None:
            continue
        geometry = geometry_of(scene, size)
        if not _in_range(geometry) or not _large_enough(scene, geometry):
            continue
        viewed = replace(scene, objects=tuple(_viewed(item, scene, geometry) for item in scene.objects))
        if _seen_enough(viewed, key.ranges):
            return Staged(viewed, geometry)
    raise CooperError(f"scene {key.index} of split {key.split}, seed {key.seed}: no acceptable draw in {ATTEMPTS}")


def render_record(key: SceneKey, size: int = 128, spp: int = 16) -> SceneRecord:
    """A finished scene. The same key, size and samples per pixel give the same bytes."""
    staged = stage_scene(key, size)
    geometry = staged.geometry
    return SceneRecord(colour_of(staged.scene, size, spp), geometry.depth_m, geometry.labels, geometry.instances, staged.scene)


def geometry_of(scene: Scene, size: int) -> PixelTruth:
    """One ray per pixel centre. Depth is infinite where nothing is hit, which an accepted scene never shows."""
    mi = mitsuba()
    stage = mitsuba_scene(mi, scene)
    hits = _trace_centres(mi, stage, _sensor(mi, scene, size, 1))
    class_of, instance_of = _identities(stage, scene)
    index = np.where(hits.shape < 0, len(class_of) - 1, hits.shape)
    offset = hits.position.astype(np.float64) - scene.camera.position.array()
    depth = np.where(hits.shape < 0, np.inf, offset @ scene.camera.axes[2])
    return PixelTruth((np.round(depth * 1000) / 1000).astype(np.float32), class_of[index], instance_of[index])


def colour_of(scene: Scene, size: int, spp: int) -> UInt8[np.ndarray, "S S 3"]:
    """The picture in sRGB: soft-shadowed light straight from the lamp, plus a weak ambient light.

    The ambient light has no shadows and falls a little stronger from above: `ambient * albedo`, free of noise, so
    that few samples per pixel suffice.
    """
    mi = mitsuba()
    stage = mitsuba_scene(mi, scene)
    lamp = _radiance(mi, {"type": "direct", "bsdf_samples": 0, "emitter_samples": 1}, stage, scene, size, spp)
    base = _radiance(mi, {"type": "aov", "aovs": "albedo:albedo,normal:sh_normal"}, stage, scene, size, max(2, spp // 4))
    albedo, up = base[..., -6:-3], base[..., -1:]
    linear = np.clip(lamp[..., :3] + scene.room.ambient * albedo * (0.75 + 0.25 * up), 0.0, 1.0)
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.power(linear, 1 / 2.4) - 0.055)
    return np.round(curve * 255).astype(np.uint8)


def _radiance(mi: ModuleType, kind: dict[str, Any], stage: Any, scene: Scene, size: int, spp: int) -> np.ndarray:
    """float32 [S, S, channels], averaged over each pixel."""
    sensor = _sensor(mi, scene, size, spp)
    return np.array(mi.load_dict(kind).render(stage, sensor, seed=scene.render_seed, spp=spp), dtype=np.float32)


def _sensor(mi: ModuleType, scene: Scene, size: int, spp: int, crop: tuple[int, int, int, int] | None = None) -> Any:
    """The camera; `crop` is (left, top, right, bottom) in pixels."""
    camera = scene.camera
    film: dict[str, Any] = {"type": "hdrfilm", "width": size, "height": size, "rfilter": {"type": "box"}}
    film |= {"pixel_format": "rgb", "component_format": "float32"}
    if crop is not None:
        left, top, right, bottom = crop
        film |= {"crop_offset_x": left, "crop_offset_y": top, "crop_width": right - left, "crop_height": bottom - top}
    sampler: dict[str, Any] = {"type": "multijitter", "sample_count": spp}
    if spp == 1:
        sampler = {"type": "stratified", "sample_count": 1, "jitter": False}  # the pixel's very centre
    origin = camera.position.array()
    look = mi.ScalarTransform4f().look_at(origin=origin, target=origin + camera.axes[2], up=[0, 0, 1])
    return mi.load_dict(
        {
            "type": "perspective",
            "fov": camera.fov_degrees,
            "fov_axis": "x",
            "near_clip": 0.01,
            "far_clip": 100.0,
            "to_world": look,
            "film": film,
            "sampler": sampler,
        }
    )


@dataclass(frozen=True, eq=False)
class _Hits:
    position: np.ndarray  # float32 [H, W, 3]
    shape: np.ndarray  # int64 [H, W]; -1 where nothing was hit


def _trace_centres(mi: ModuleType, stage: Any, sensor: Any) -> _Hits:
    integrator: Any = mi.load_dict({"type": "aov", "aovs": "position:position,shape:shape_index,depth:depth"})
    values = np.array(integrator.render(stage, sensor, seed=0, spp=1))[..., -5:]
    shape = np.round(values[..., 3]).astype(np.int64) - 1  # Mitsuba counts shapes from 1
    return _Hits(values[..., :3], np.where(values[..., 4] > 0, shape, -1))


def _identities(stage: Any, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Class and instance of each Mitsuba shape in its own order, then one row for nothing."""
    shapes = {item.id: item.shape for item in scene.objects}
    classes, instances = [], []
    for part in stage.shapes():
        kind, _, number = part.id().partition("-")
        instance = int(number) if kind == "object" else 0
        classes.append(CLASS_IDS[shapes[instance]] if instance else CLASS_IDS.get(kind, 0))
        instances.append(instance)
    return np.array([*classes, 0], np.uint8), np.array([*instances, 0], np.uint8)


def _in_range(geometry: PixelTruth) -> bool:
    return bool(geometry.labels.min() > 0 and geometry.depth_m.min() > NEAR and geometry.depth_m.max() < FAR)


def _large_enough(scene: Scene, geometry: PixelTruth) -> bool:
    counts = np.bincount(geometry.instances.ravel(), minlength=len(scene.objects) + 1)
    return bool(counts[1:].min() >= MIN_AREA * geometry.instances.size)


def _seen_enough(scene: Scene, ranges: Ranges) -> bool:
    """Whether enough of each object is visible and, where the ranges want it, one is partly hidden."""
    shares = [0.0 if item.view is None else item.view.fraction for item in scene.objects]
    return min(shares) >= ranges.least_visible and (not ranges.hidden or min(shares) <= PARTLY)


def _viewed(item: SceneObject, scene: Scene, geometry: PixelTruth) -> SceneObject:
    mask = geometry.instances == item.id
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    pixels = int(mask.sum())
    alone = max(pixels, _pixels_alone(item, scene, mask.shape[0]))
    depth = round(float(np.median(geometry.depth_m[mask])), 3)
    return replace(item, view=View(pixels, round(pixels / alone, 4), box, depth))


def _pixels_alone(item: SceneObject, scene: Scene, size: int) -> int:
    """Pixels the object would cover with nothing before it."""
    mi = mitsuba()
    seen = scene.camera.project(corners(item.centre, item.size, item.yaw))
    low = np.clip(np.floor(seen.min(axis=0)[:2] * size) - 1, 0, size - 1).astype(int)
    high = np.clip(np.ceil(seen.max(axis=0)[:2] * size) + 1, low + 1, size).astype(int)
    crop = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    stage = mi.load_dict({"type": "scene", **mitsuba_objects(mi, (item,))}, parallel=False, optimize=False)
    return int((_trace_centres(mi, stage, _sensor(mi, scene, size, 1, crop)).shape >= 0).sum())
