"""Scenes: exact geometry, determinism, splits."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from cooper.errors import CooperError
from cooper.scenes.room.catalogue import (
    ALL_PAIRS,
    CLASS_IDS,
    CLASS_NAMES,
    COLOURS,
    HELD_OUT,
    NEW_SPLITS,
    SHAPES,
    SPLITS,
    Pair,
)
from cooper.scenes.room.meshes import object_mesh
from cooper.scenes.room.ranges import FORMATS, ranges_of
from cooper.scenes.room.render import FAR, NEAR, PARTLY, Staged, geometry_of, render_record, stage_scene
from cooper.scenes.room.sampling import SIZES, SceneKey, propose
from cooper.scenes.room.scene import Camera, Scene, SceneObject, Vec, scene_from_json


def test_catalogue_is_large_enough_and_holds_out_an_eighth():
    assert len(SHAPES) >= 6 and len(COLOURS) >= 8 and len(CLASS_NAMES) <= 14
    assert len(HELD_OUT) * 8 == len(ALL_PAIRS)
    assert {pair.shape for pair in HELD_OUT} == set(SHAPES)
    assert {pair.colour for pair in HELD_OUT} == set(COLOURS)


def test_depth_and_labels_of_a_ball_on_a_floor_are_exact(staged: list[Staged]):
    radius, centre = 0.4, Vec(0.1, 2.2, 0.4)
    ball = SceneObject(1, "ball", "red", "matte", centre, Vec(0.8, 0.8, 0.8), 0.0, "floor")
    camera = Camera(Vec(0.0, 0.0, 1.5), 0.1, 0.7, 50.0)
    template = staged[0].scene
    scene = replace(template, camera=camera, objects=(ball,), room=replace(template.room, furniture=()))
    found = geometry_of(scene, 96)
    pixel = (np.arange(96) + 0.5) / 96 - 0.5
    u, v = np.meshgrid(pixel, pixel)
    rays = np.stack([u / camera.focal, v / camera.focal, np.ones_like(u)], axis=2) @ camera.axes  # plane depth 1
    offset = camera.position.array() - centre.array()
    a, b, c = (rays**2).sum(axis=2), rays @ offset, offset @ offset - radius**2
    hit = b**2 - a * c > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        to_ball = np.where(hit, (-b - np.sqrt(b**2 - a * c)) / a, np.inf)
        to_floor = np.where(rays[..., 2] < 0, -camera.position.z / rays[..., 2], np.inf)
    on_ball = found.instances == 1
    assert (on_ball == hit).mean() > 0.999
    assert np.all(found.labels[on_ball] == CLASS_IDS["ball"])
    np.testing.assert_allclose(found.depth_m[on_ball & hit], to_ball[on_ball & hit], atol=2e-3)
    on_floor = found.labels == CLASS_IDS["floor"]
    assert on_floor.sum() > 1000
    np.testing.assert_allclose(found.depth_m[on_floor], to_floor[on_floor], atol=1e-3)


def test_accepted_scenes_keep_their_limits(staged: list[Staged]):
    for item in staged:
        depth, scene = item.geometry.depth_m, item.scene
        assert depth.min() > NEAR and depth.max() < FAR
        assert item.geometry.labels.min() > 0
        assert 2 <= len(scene.objects) <= 7
        assert len({thing.name for thing in scene.objects}) == len(scene.objects)
        for thing in scene.objects:
            mask = item.geometry.instances == thing.id
            assert thing.view is not None and thing.view.pixels == mask.sum()
            assert thing.view.fraction >= ranges_of("test", 2).least_visible
            assert abs(thing.view.depth - np.median(depth[mask])) < 2e-3
            left, top, right, bottom = thing.view.box
            assert mask[top:bottom, left:right].sum() == mask.sum()
            assert set(np.unique(item.geometry.labels[mask])) == {CLASS_IDS[thing.shape]}
    assert any(thing.view and thing.view.fraction < 0.8 for item in staged for thing in item.scene.objects)


def test_same_key_same_bytes_and_other_seed_other_picture():
    pytest.importorskip("mitsuba")
    first = render_record(SceneKey("train", 3, 5), 48, 4)
    again = render_record(SceneKey("train", 3, 5), 48, 4)
    other = render_record(SceneKey("train", 4, 5), 48, 4)
    assert first.scene == again.scene
    assert np.array_equal(first.rgb, again.rgb) and np.array_equal(first.depth_m, again.depth_m)
    assert not np.array_equal(first.rgb, other.rgb)
    assert first.rgb.std() > 10


def test_a_scene_survives_json(staged: list[Staged]):
    for item in staged[:5]:
        assert scene_from_json(item.scene.to_json()) == item.scene
    with pytest.raises(CooperError, match="row 7"):
        scene_from_json('{"split": "train"}', "row 7")


def _first(split: str, index: int, form: int) -> Scene:
    return next(scene for attempt in range(50) if (scene := propose(SceneKey(split, 0, index, form), attempt)) is not None)


SETS = [(split, form) for form in FORMATS for split in SPLITS if form > 2 or split not in NEW_SPLITS]


def test_splits_and_formats_have_their_own_seeds_and_pairs():
    last = 2**26 - 1
    ranges = [(SceneKey(split, 0, 0, form).scene_seed, SceneKey(split, last, last, form).scene_seed) for split, form in SETS]
    assert all(high < low for (_, high), (low, _) in pairwise(ranges))
    for split, form in SETS:
        for index in range(60):
            scene = _first(split, index, form)
            pairs = {Pair(item.shape, item.colour) for item in scene.objects}
            assert bool(pairs & HELD_OUT) == (split == "compositional")
            assert scene.form == form


BAD_KEYS = [SceneKey("holdout", 0, 0), SceneKey("train", -1, 0), SceneKey("train", 0, 2**26)]


@pytest.mark.parametrize("key", [*BAD_KEYS, SceneKey("train", 0, 0, 4), SceneKey("dark", 0, 0, 2)])
def test_a_bad_key_is_named(key: SceneKey):
    with pytest.raises(CooperError, match=r"split|seed|index|format"):
        propose(key, 0)


def test_splits_of_format_3_look_as_they_are_called():
    """Bright and dark rooms differ in light, and in the last split something hides a part of an object in every scene."""
    bright, dark = ([render_record(SceneKey(split, 1, index, 3), 48, 4).rgb.mean() for index in range(6)] for split in LIGHTS)
    assert min(bright) > max(dark)
    for index in range(6):
        shares = [item.view.fraction for item in stage_scene(SceneKey("hidden", 1, index, 3), 64).scene.objects if item.view]
        assert min(shares) <= PARTLY


LIGHTS = ("light", "dark")


@pytest.mark.parametrize("shape", [name for name in SHAPES if name != "ball"])
def test_meshes_fill_their_box_and_face_outwards(shape: str):
    (low, high), _ = SIZES[shape]
    width = (low + high) / 2
    tall = {"ring": 0.18, "capsule": 0.7}.get(shape, 0.5)
    size = np.array([width, width, tall])
    mesh = object_mesh(shape, size)
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), size, rtol=0.02)
    np.testing.assert_allclose(mesh.vertices.max(axis=0), size / 2, rtol=0.02)
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    volume = np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert 0 < volume <= np.prod(size) * 1.001
    if shape == "cylinder":
        assert volume == pytest.approx(math.pi / 4 * np.prod(size), rel=0.01)
