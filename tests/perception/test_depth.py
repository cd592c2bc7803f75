"""Depth pictures, the Spectral colours and point clouds; parity with golden group 10."""

import json
import os
from pathlib import Path

import numpy as np
import PIL
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import load_file

from cooper.errors import CooperError
from cooper.perception import Reading, build_modalities, register_modality
from cooper.perception.depth import (
    DEPTH_ENCODINGS,
    DepthModality,
    Intrinsics,
    colourise,
    intrinsics_of,
    point_cloud,
    published_target,
    spectral_bytes,
    spectral_table,
    write_ply,
)

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def golden() -> Path:
    named = os.environ.get("COOPER_GOLDEN_DIR")
    places = [Path(named)] if named else [TESTS.parents[1] / "shared" / "golden", TESTS / "golden"]
    for place in places:
        if (place / "10_depth_io.safetensors").is_file():
            return place
    pytest.skip("no golden files: set COOPER_GOLDEN_DIR")


def test_spectral_table_equals_golden(golden):
    tensors = load_file(golden / "10_depth_io.safetensors")
    assert np.abs(spectral_table() - tensors["spectral_lut_float64"]).max() < 1e-12
    assert (spectral_bytes() == tensors["spectral_lut_uint8"]).all()


def test_colouring_equals_golden(golden):
    tensors = load_file(golden / "10_depth_io.safetensors")
    coloured = colourise(tensors["depth_map"])
    assert (coloured.transpose(2, 0, 1) == tensors["colorized_chw_uint8"]).all()


@pytest.mark.parametrize("dataset", sorted(DEPTH_ENCODINGS))
def test_training_target_equals_golden(golden, dataset):
    stated = json.loads((golden / "10_depth_io.json").read_text())[dataset]
    encoding = DEPTH_ENCODINGS[dataset]
    assert (encoding.divisor, encoding.near, encoding.far) == (stated["divide_by"], stated["min"], stated["max"])
    target = load_file(golden / "10_depth_io.safetensors")[f"target.{dataset}"].transpose(1, 2, 0)
    png = Image.open(golden / "images" / "depth16.png")
    ours = published_target(png, dataset, (target.shape[1], target.shape[0])) * 2 - 1
    if PIL.__version__.startswith("12."):
        assert np.abs(ours - target).max() < 1e-5
    else:  # other resamplers: nearly all pixels agree to four grey levels of 255
        assert np.mean(np.abs(ours - target) > 8 / 255) < 0.03


def test_small_depth_is_red_and_large_is_violet():
    ends = colourise(np.array([[0.0, 1.0]], dtype=np.float32))
    assert ends.tolist() == [[[158, 1, 66], [94, 79, 162]]]


def test_index_rule_at_the_edges():
    levels = np.arange(256, dtype=np.float32) / 256
    assert (colourise(levels[None])[0] == spectral_bytes()).all()


@given(st.floats(0, 20), st.floats(0.1, 5), st.floats(5.5, 80))
def test_metres_survive_the_picture(metres, near, far):
    modality = DepthModality(near, far, metric=True)
    drawn = modality.encode(Reading({"depth": np.full((2, 3), metres)}, {"depth": "m"}))
    assert drawn.shape == (2, 3, 3) and drawn.dtype == np.float32
    decoded = modality.decode(drawn)
    assert decoded.units == {"depth": "m"}
    assert np.allclose(decoded.arrays["depth"], min(max(metres, near), far), atol=1e-4)


def test_relative_depth_says_so():
    modality = DepthModality(0, 10, metric=False)
    decoded = modality.decode(modality.encode(Reading({"depth": np.full((2, 2), 5.0)}, {"depth": "m"})))
    assert decoded.units == {"depth": "relative"}
    assert np.allclose(decoded.arrays["depth"], 0.5)
    again = modality.encode(decoded)
    assert np.allclose(again, 0.5)


def test_decode_averages_channels_and_clamps():
    drawn = np.zeros((1, 2, 3), dtype=np.float32)
    drawn[0, 0] = (0.0, 0.5, 1.0)
    drawn[0, 1] = (2.0, 2.0, -1.0)
    assert np.allclose(DepthModality(0, 1, metric=True).decode(drawn).arrays["depth"], [[0.5, 2 / 3]])


def test_sky_is_far_and_nan_is_refused():
    modality = DepthModality(0, 10, metric=True)
    sky = modality.encode(Reading({"depth": np.array([[np.inf, 0.0]])}, {"depth": "m"}))
    assert sky[0, :, 0].tolist() == [1.0, 0.0]
    with pytest.raises(CooperError, match="NaN"):
        modality.encode(Reading({"depth": np.array([[np.nan]])}, {"depth": "m"}))
    with pytest.raises(CooperError, match="unit 'ft'"):
        modality.encode(Reading({"depth": np.array([[1.0]])}, {"depth": "ft"}))


def test_the_registry_knows_depth_once():
    assert isinstance(build_modalities({"depth": {"near": 0, "far": 1, "metric": True}})["depth"], DepthModality)
    with pytest.raises(ValueError, match="registered already"):
        register_modality("depth", DepthModality)
    with pytest.raises(CooperError, match="near < far"):
        DepthModality(1, 1, metric=True)


def test_wrong_depth_files_are_named():
    with pytest.raises(CooperError, match="mode 'RGB'"):
        published_target(Image.new("RGB", (8, 8)), "nyu", (8, 8))
    with pytest.raises(CooperError, match="unknown depth data set 'moon'"):
        published_target(Image.new("I;16", (8, 8)), "moon", (8, 8))


def test_points_lie_on_the_rays():
    depth = np.full((4, 4), 2.0, dtype=np.float32)
    depth[0, 0] = 0
    rgb = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    cloud = point_cloud(depth, rgb, 90.0)
    assert cloud.points.shape == (15, 3) and cloud.points.dtype == np.float32
    assert np.allclose(cloud.points[0], [-0.5, -1.5, 2.0])  # pixel (0, 1): right of (0, 0), above the centre
    assert cloud.colours[0].tolist() == [3, 4, 5]
    same = point_cloud(depth, rgb, Intrinsics(2, 2, 2, 2))
    assert np.allclose(same.points, cloud.points)
    assert intrinsics_of(90, 4, 4) == Intrinsics(pytest.approx(2), pytest.approx(2), 2, 2)


def test_point_cloud_refuses_other_sizes():
    with pytest.raises(CooperError, match="one size"):
        point_cloud(np.ones((2, 2), np.float32), np.zeros((3, 2, 3), np.uint8))
    with pytest.raises(CooperError, match="field of view"):
        point_cloud(np.ones((2, 2), np.float32), np.zeros((2, 2, 3), np.uint8), 180.0)


def test_ply_holds_the_points(tmp_path):
    rgb = np.array([[[1, 2, 3], [4, 5, 6]]], dtype=np.uint8)
    cloud = point_cloud(np.array([[1.0, 2.0]], dtype=np.float32), rgb, 60.0)
    write_ply(tmp_path / "cloud.ply", cloud)
    header, body = (tmp_path / "cloud.ply").read_bytes().split(b"end_header\n")
    assert header.startswith(b"ply\nformat binary_little_endian 1.0\n") and b"element vertex 2\n" in header
    assert len(body) == 2 * (12 + 3)
    assert np.allclose(np.frombuffer(body[:12], "<f4"), cloud.points[0])
    assert list(body[12:15]) == [1, 2, 3]
