"""Segmentation codecs: exact round trips, and readings that survive noise and blur."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from cooper.errors import CooperError
from cooper.perception import Reading, build_modalities
from cooper.perception.palette import LabelMaps, build_palette, spread_colours
from cooper.perception.segmentation import STUFF, SegmentationModality

NAMES = ("void", "floor", "wall", "table", "shelf", "rug", *(f"shape{index}" for index in range(8)))
UNITS = {"labels": "class id", "instances": "instance id"}


def room(seed: int, objects: int, size: int = 128) -> LabelMaps:
    """Floor, wall and rectangles of at least 14 pixels, some of them hidden by later ones."""
    rng = np.random.default_rng(seed)
    labels = np.full((size, size), 2, dtype=np.int32)
    labels[size // 2 :] = 1
    instances = np.zeros_like(labels)
    for instance in range(1, objects + 1):
        top, left = rng.integers(0, size - 30, 2)
        height, width = rng.integers(14, 30, 2)
        box = (slice(top, top + height), slice(left, left + width))
        labels[box], instances[box] = rng.integers(6, 14), instance
    return LabelMaps(labels, instances)


def reading(maps: LabelMaps) -> Reading:
    return Reading({"labels": maps.labels, "instances": maps.instances}, UNITS)


def mean_iou(predicted: np.ndarray, truth: np.ndarray) -> float:
    classes = np.unique(truth)
    overlap = [((predicted == c) & (truth == c)).sum() / ((predicted == c) | (truth == c)).sum() for c in classes]
    return float(np.mean(overlap))


def test_palette_is_separated_and_stable():
    palette = build_palette(NAMES, STUFF)
    colours = np.array([swatch.rgb for swatch in palette], dtype=float)
    gaps = np.linalg.norm(colours[:, None] - colours[None], axis=2) + np.eye(len(colours)) * 1e9
    assert len(palette) == 6 + 3 * 8
    assert gaps.min() >= 95
    assert gaps[:14, :14].min() >= 150
    assert spread_colours(40)[:30] == spread_colours(30)
    assert palette[0].rgb == (0, 0, 0)


def test_forty_two_colours_stay_sixty_apart():
    colours = np.array(spread_colours(42), dtype=float)
    gaps = np.linalg.norm(colours[:, None] - colours[None], axis=2) + np.eye(42) * 1e9
    assert gaps.min() >= 60


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 7))
def test_labels_survive_the_round_trip(seed, objects):
    modality = SegmentationModality("scenes", NAMES)
    maps = room(seed, objects)
    decoded = modality.decode(modality.encode(reading(maps)))
    assert mean_iou(decoded.arrays["labels"], maps.labels) > 0.97
    assert decoded.names[1] == "floor"
    assert not decoded.arrays["instances"][decoded.arrays["labels"] < 6].any()


def test_separate_objects_keep_their_instances():
    labels = np.full((64, 64), 1, dtype=np.int32)
    instances = np.zeros_like(labels)
    for rank, instance in enumerate((5, 2, 9, 4)):  # four touching objects of one class, ids in no order
        box = (slice(20, 40), slice(rank * 16, rank * 16 + 16))
        labels[box], instances[box] = 7, instance
    modality = SegmentationModality("scenes", NAMES)
    decoded = modality.decode(modality.encode(reading(LabelMaps(labels, instances))))
    assert (decoded.arrays["labels"] == labels).all()
    assert len(np.unique(decoded.arrays["instances"])) == 5
    for instance in (5, 2, 9, 4):
        assert len(np.unique(decoded.arrays["instances"][instances == instance])) == 1


def test_an_object_cut_in_two_by_another_stays_one():
    labels = np.full((64, 64), 1, dtype=np.int32)
    instances = np.zeros_like(labels)
    labels[20:40, 10:50], instances[20:40, 10:50] = 7, 1
    labels[10:50, 25:35], instances[10:50, 25:35] = 8, 2
    modality = SegmentationModality("scenes", NAMES)
    decoded = modality.decode(modality.encode(reading(LabelMaps(labels, instances))))
    assert set(np.unique(decoded.arrays["instances"])) == {0, 1, 2}


@pytest.mark.parametrize("seed", range(10))
def test_noise_and_blur_are_read_through(seed):
    modality = SegmentationModality("scenes", NAMES)
    maps = room(seed, 5)
    drawn = modality.encode(reading(maps))
    blurred = Image.fromarray((drawn * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    noisy = np.asarray(blurred, dtype=np.float32) / 255
    noisy = noisy + np.random.default_rng(seed).normal(0, 0.05, noisy.shape).astype(np.float32)
    decoded = modality.decode(noisy)
    assert (decoded.arrays["labels"] == maps.labels).mean() > 0.95
    visible = [c for c in np.unique(maps.labels) if (maps.labels == c).sum() >= 100]
    kept = np.isin(maps.labels, visible)
    assert mean_iou(decoded.arrays["labels"][kept], maps.labels[kept]) > 0.9


def test_pure_noise_gives_some_reading():
    noise = np.random.default_rng(0).random((32, 32, 3), dtype=np.float32)
    arrays = SegmentationModality("scenes", NAMES).decode(noise).arrays
    assert arrays["labels"].min() >= 0 and arrays["labels"].max() < len(NAMES)


def test_ade20k_round_trip_is_exact():
    rng = np.random.default_rng(0)
    maps = LabelMaps(rng.integers(0, 3000, (20, 30), dtype=np.int32), rng.integers(0, 256, (20, 30), dtype=np.int32))
    modality = SegmentationModality("ade20k")
    decoded = modality.decode(modality.encode(reading(maps)))
    assert (decoded.arrays["labels"] == maps.labels).all()
    assert (decoded.arrays["instances"] == maps.instances).all()


def test_ade20k_rejects_ids_it_cannot_hold():
    with pytest.raises(CooperError, match="6655"):
        SegmentationModality("ade20k").encode(Reading({"labels": np.full((2, 2), 7000)}, UNITS))


def test_raw_colours_become_regions():
    labels = np.zeros((40, 40), dtype=np.int32)
    labels[5:15, 5:15] = labels[25:35, 25:35] = 1
    modality = SegmentationModality("colours")
    drawn = modality.encode(Reading({"labels": labels}, {"labels": "region id"}))
    drawn[20, 3] = 1 - drawn[20, 3]  # a speck
    noisy = drawn + np.random.default_rng(0).normal(0, 0.02, drawn.shape).astype(np.float32)
    decoded = modality.decode(noisy)
    assert decoded.units == {"labels": "region id"}
    regions = decoded.arrays["labels"]
    assert len(np.unique(regions)) == 3
    assert regions[10, 10] != regions[30, 30] != regions[0, 0]


def test_render_truncates():
    drawn = np.full((2, 2, 3), 0.9999, dtype=np.float32)
    assert np.asarray(SegmentationModality("colours").render(drawn)).max() == 254
    assert np.asarray(SegmentationModality("colours").render(drawn * 2)).max() == 255


def test_bytes_survive_encode_and_render():
    modality = SegmentationModality("scenes", NAMES)
    drawn = modality.encode(reading(room(0, 7)))
    assert (np.asarray(modality.render(drawn)) == np.rint(drawn * 255)).all()


def test_bad_settings_and_labels_are_named():
    with pytest.raises(CooperError, match="unknown segmentation codec 'hues'"):
        build_modalities({"segmentation": {"codec": "hues"}})
    with pytest.raises(CooperError, match="class names"):
        SegmentationModality("scenes")
    with pytest.raises(CooperError, match="label 99"):
        SegmentationModality("scenes", NAMES).encode(Reading({"labels": np.full((4, 4), 99)}, UNITS))
    with pytest.raises(CooperError, match="one non-empty"):
        SegmentationModality("scenes", NAMES).encode(Reading({"labels": np.zeros((0, 4), int)}, UNITS))
