"""Which pixels of a depth map count: range and crop of each data set, worked out by hand."""

import numpy as np
import pytest
from PIL import Image

from cooper.data.sources.hypersim import read_hypersim
from cooper.data.sources.kitti import EIGEN, GARG, read_kitti
from cooper.data.sources.nyu import read_nyu
from cooper.data.sources.virtual_kitti import read_virtual_kitti
from cooper.evaluation.maps.scores import counted


def corners(mask):
    """Top, bottom, left and right of what is True, ends excluded, which must be a whole rectangle."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    assert mask.sum() == (bottom - top) * (right - left)
    return (top, bottom, left, right)


def put(path, depth=None, size=(1242, 375)):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", size) if depth is None else Image.fromarray(depth.astype(np.uint16))
    picture.save(path)


def street(tmp_path, box=EIGEN):
    """A street of 20 m with a few odd pixels, by their places in the window of 352 x 1216 px."""
    stored = np.full((375, 1242), 20 * 256)
    odd = {(200, 600): 0, (201, 600): 80 * 256, (202, 600): 80 * 256 + 1, (203, 600): 1}  # none, 80 m, above, 1/256 m
    for (row, column), value in odd.items():
        stored[row + 375 - 352, column + (1242 - 1216) // 2] = value
    put(tmp_path / "drive" / "image_02" / "data" / "1.png")
    put(tmp_path / "drive" / "proj_depth" / "groundtruth" / "image_02" / "1.png", stored)
    return read_kitti(tmp_path, box)


@pytest.mark.parametrize(
    ("box", "edges"),
    [
        (EIGEN, (117, 321, 43, 1172)),  # 0.3324324 x 352 = 117.02, 0.91351351 x 352 = 321.56, 0.0359477 x 1216 = 43.71, 1172.29
        (
            GARG,
            (143, 349, 43, 1172),
        ),  # 0.40810811 x 352 = 143.65, 0.99189189 x 352 = 349.15, 0.03594771 x 1216 = 43.71, 1172.29
    ],
    ids=["eigen", "garg"],
)
def test_kitti(tmp_path, box, edges):
    assert corners(box.mask((352, 1216))) == edges
    found = street(tmp_path, box)
    assert (found.conventions.near, found.conventions.far, found.expected, found.conventions.box) == (1e-5, 80.0, 652, box)
    valid = counted(found.items[0].depth_m, found.conventions)
    top, bottom, left, right = edges
    assert valid.sum() == (bottom - top) * (right - left) - 2
    assert [bool(valid[row, 600]) for row in (199, 200, 201, 202, 203)] == [True, False, True, False, True]
    assert not valid[top - 1].any() and not valid[bottom].any() and not valid[:, left - 1].any() and not valid[:, right].any()


def test_the_eigen_box_is_the_default(tmp_path):
    street(tmp_path)
    assert read_kitti(tmp_path).conventions.box == EIGEN


def test_ranges_of_the_others(tmp_path):
    put(tmp_path / "nyu" / "rgb_1.png", size=(640, 480))
    put(tmp_path / "nyu" / "depth_1.png", np.full((480, 640), 9000))
    frames = tmp_path / "vkitti" / "Scene01" / "clone" / "frames"
    put(frames / "rgb" / "Camera_0" / "rgb_1.jpg")
    put(frames / "depth" / "Camera_0" / "depth_1.png", np.full((375, 1242), 4200))
    put(tmp_path / "hypersim" / "ai" / "rgb_cam_00_fr0000.png", size=(64, 48))
    put(tmp_path / "hypersim" / "ai" / "depth_plane_cam_00_fr0000.png", np.full((48, 64), 2500))
    nyu, vkitti, hypersim = (
        read_nyu(tmp_path / "nyu"),
        read_virtual_kitti(tmp_path / "vkitti"),
        read_hypersim(tmp_path / "hypersim"),
    )
    assert [(each.conventions.near, each.conventions.far) for each in (nyu, vkitti, hypersim)] == [
        (1e-3, 10.0),
        (1e-5, 80.0),
        (1e-5, 65.0),
    ]
    assert corners(nyu.conventions.box.mask((480, 640))) == (45, 471, 41, 601)
    assert vkitti.conventions.box is None and hypersim.conventions.box is None
    assert vkitti.items[0].depth_m.shape == (352, 1216)
