"""The depth protocol on a made set in NYU's layout: figures by hand, resumed, with a sheet."""

import numpy as np
import pytest
from PIL import Image

from cooper.errors import CooperError
from cooper.evaluation.suites.depth import DepthSuite
from cooper.files.rows import read_rows
from cooper.perception import build_modalities
from cooper.trace.steps import MapStep


class Draws:
    """Draws a ramp, relative; it is affine in the truth except for one corner outside the box."""

    modalities = build_modalities({"depth": {"near": 0.0, "far": 1.0, "metric": False}})

    def __init__(self, stop_after: int = 10**9) -> None:
        self.left = stop_after

    def draw(self, images, modality, seed=0):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        ramp = np.linspace(0.1, 0.9, 64, dtype=np.float32)[None, :, None].repeat(48, 0).repeat(3, 2)
        return [MapStep("depth", ramp, Image.new("RGB", (64, 48))) for _ in images]


@pytest.fixture
def nyu(tmp_path):
    folder = tmp_path / "nyu"
    folder.mkdir()
    for number in range(6):
        Image.new("RGB", (64, 48)).save(folder / f"rgb_{number}.png")
        depth = 1000 * (1 + number / 2) + np.linspace(0, 3000, 64)[None].repeat(48, 0)
        depth[:2, :2] = 9000  # outside the box
        Image.fromarray(depth.astype(np.uint16)).save(folder / f"depth_{number}.png")
    return folder


def test_affine_depth_has_no_error_where_it_counts(nyu, tmp_path):
    settings = DepthSuite(model="draws", dataset="nyu", data=nyu, out=tmp_path / "out", batch=4, quiet=True)
    report = settings.evaluate(Draws())
    assert report.depth["abs_rel"].mean < 2e-3 and report.depth["delta1"].mean == 1.0
    assert "abs_rel_metres" not in report.depth and report.depth["abs_rel"].rows == 6
    text = (settings.out / "report.md").read_text()
    assert "6 pictures are there, 654 belong to the published test set" in text
    assert Image.open(settings.out / "sheet.png").size == (4 * 224, 6 * 168)


def test_a_broken_run_goes_on(nyu, tmp_path):
    settings = DepthSuite(model="draws", dataset="nyu", data=nyu, out=tmp_path / "out", batch=2, quiet=True)
    with pytest.raises(KeyboardInterrupt):
        settings.evaluate(Draws(stop_after=2))
    assert len(read_rows(settings.out / "depth.jsonl")) == 4
    report = settings.evaluate(Draws())
    assert report.depth["abs_rel"].rows == 6 and len(read_rows(settings.out / "depth.jsonl")) == 6


def test_mistakes_are_named(nyu, tmp_path):
    with pytest.raises(CooperError, match="unknown data set 'nyuu' of depth; known: nyu, kitti"):
        DepthSuite(model="draws", dataset="nyuu", data=nyu, out=tmp_path)
    empty = np.zeros((48, 64), np.uint16)
    Image.fromarray(empty).save(nyu / "depth_0.png")
    with pytest.raises(CooperError, match="rgb_0 has no pixel with a depth"):
        DepthSuite(model="draws", dataset="nyu", data=nyu, out=tmp_path / "out", quiet=True).evaluate(Draws())
