"""The legends of maps say what their colours mean, in the colours that the maps have."""

import re

import numpy as np
import pytest

from cooper.perception import Modality, Reading, build_modalities
from cooper.trace.legends import class_keys, depth_scale
from cooper.trace.page import trace_page
from cooper.trace.steps import MapStep, Question
from cooper.trace.trace import Trace

NAMES = ("void", "floor", "wall", "cube", "ball")


def drawn_by(modality: Modality, truth: Reading) -> MapStep:
    drawn = modality.encode(truth)
    return MapStep(modality.name, drawn, modality.render(drawn), reading=modality.decode(drawn))


def depth_step(near: float = 0.5, far: float = 8.0, metric: bool = True) -> MapStep:
    depth = np.linspace(1.25, 6.5, 48, dtype=np.float32).reshape(6, 8)
    modality = build_modalities({"depth": {"near": near, "far": far, "metric": metric}})["depth"]
    return drawn_by(modality, Reading({"depth": depth}, {"depth": "m"}))


def test_a_scale_has_the_colours_and_values_of_the_two_ends_of_the_map():
    step = depth_step()
    scale = depth_scale(step)
    assert scale is not None and (scale.low, scale.high) == ("1.25 m (nearest)", "6.50 m (farthest)")
    assert scale.colours[0] == step.image.getpixel((0, 0)) and scale.colours[-1] == step.image.getpixel((7, 5))


def test_relative_depth_has_no_metres():
    scale = depth_scale(depth_step(metric=False))
    assert scale is not None and (scale.low, scale.high) == ("0.10 relative (nearest)", "0.80 relative (farthest)")


@pytest.mark.parametrize("value", [0.5, 8.0])
def test_a_level_map_has_one_colour(value):
    modality = build_modalities({"depth": {"near": 0.5, "far": 8.0, "metric": True}})["depth"]
    step = drawn_by(modality, Reading({"depth": np.full((6, 8), value, np.float32)}, {"depth": "m"}))
    scale = depth_scale(step)
    assert scale is not None and set(scale.colours) == {step.image.getpixel((0, 0))}


def test_a_class_has_the_colours_of_its_objects():
    labels, instances = np.full((40, 40), 2, np.int32), np.zeros((40, 40), np.int32)
    labels[20:] = 1
    for number, left in ((1, 2), (2, 24)):
        labels[10:30, left : left + 12], instances[10:30, left : left + 12] = 3, number
    modality = build_modalities({"segmentation": {"codec": "scenes", "names": list(NAMES)}})["segmentation"]
    step = drawn_by(modality, Reading({"labels": labels, "instances": instances}, {}))
    keys = {key.name: key.colours for key in class_keys(step)}
    assert list(keys) == ["floor", "wall", "cube"]
    assert keys["floor"] == (step.image.getpixel((0, 39)),) and keys["wall"] == (step.image.getpixel((0, 0)),)
    assert keys["cube"] == (step.image.getpixel((5, 20)), step.image.getpixel((30, 20)))
    page = trace_page(Trace(Question(("q",)), (step,)))
    assert re.sub("<[^>]*>", "", page).count("segmentation as drawn; floor, wall, cube") == 1
    assert page.count('class="swatch"') == 4


def test_regions_without_names_and_other_maps_have_no_legend():
    modality = build_modalities({"segmentation": {"codec": "colours"}})["segmentation"]
    labels = np.repeat([[0], [1]], 20, axis=0) + np.zeros((40, 40), np.int32)
    step = drawn_by(modality, Reading({"labels": labels}, {}))
    assert class_keys(step) == () and depth_scale(step) is None
    assert class_keys(depth_step()) == ()
    assert depth_scale(MapStep("depth", step.drawn, step.image)) is None, "nothing says what it means"
