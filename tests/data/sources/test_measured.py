"""Depth sets in their published layouts: pairs, units, windows, boxes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cooper.data.examples import Box
from cooper.data.sources.hypersim import plane_depth, ray_cosines, read_hypersim
from cooper.data.sources.kitti import GARG, read_kitti
from cooper.data.sources.nyu import read_nyu
from cooper.data.sources.virtual_kitti import read_virtual_kitti
from cooper.errors import CooperError
from cooper.training.data import DataSource, open_data
from tests.published_maps import classes, full_release, hypersim, room, virtual_kitti


def put(path: Path, depth: np.ndarray | None = None, size: tuple[int, int] = (64, 48)) -> Path:
    """A picture of a size (width, height), or a 16-bit depth file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if depth is None:
        Image.new("RGB", size, (120, 10, 10)).save(path)
    else:
        Image.fromarray(depth.astype(np.uint16)).save(path)
    return path


def test_nyu(tmp_path):
    for number in (1, 2):
        put(tmp_path / "test" / "kitchen" / f"rgb_000{number}.png", size=(640, 480))
        put(tmp_path / "test" / "kitchen" / f"depth_000{number}.png", np.full((480, 640), 1500 * number))
    found = read_nyu(tmp_path)
    assert [item.id for item in found.items] == ["test/kitchen/rgb_0001", "test/kitchen/rgb_0002"]
    assert (found.conventions.near, found.conventions.far, found.expected) == (1e-3, 10.0, 654)
    assert found.items[1].depth_m.dtype == np.float32 and found.items[1].depth_m[0, 0] == 3.0
    mask = found.conventions.box.mask((480, 640))
    assert mask[45, 41] and mask[470, 600] and not mask[44, 41] and not mask[471, 41] and not mask[45, 601]
    assert found.conventions.box.mask((960, 1280)).sum() == 4 * mask.sum()  # scaled with the picture


def test_kitti_by_layout_and_by_list(tmp_path):
    drive = tmp_path / "2011_09_26" / "2011_09_26_drive_0002_sync"
    picture = put(drive / "image_02" / "data" / "0000000069.png", size=(1242, 375))
    depth = np.zeros((375, 1242))
    depth[300, 600] = 256 * 12
    put(tmp_path / drive.name / "proj_depth" / "groundtruth" / "image_02" / picture.name, depth)
    (item,) = read_kitti(tmp_path).items
    assert item.image.size == (1216, 352) and item.depth_m.shape == (352, 1216)
    assert item.depth_m[300 - 23, 600 - 13] == 12.0 and (item.depth_m > 0).sum() == 1
    lines = [
        f"{picture.relative_to(tmp_path)} {drive.name}/proj_depth/groundtruth/image_02/{picture.name} 721.5",
        "x.png None 1",
    ]
    (tmp_path / "eigen.txt").write_text("\n".join(lines))
    assert [other.id for other in read_kitti(tmp_path, GARG).items] == [item.id]


def test_virtual_kitti_knows_the_sky(tmp_path):
    frames = tmp_path / "Scene01" / "clone" / "frames"
    put(frames / "rgb" / "Camera_0" / "rgb_00001.jpg", size=(1242, 375))
    depth = np.full((375, 1242), 4200)
    depth[:100] = 65535
    put(frames / "depth" / "Camera_0" / "depth_00001.png", depth)
    (item,) = read_virtual_kitti(tmp_path).items
    assert item.depth_m[-1, 0] == 42.0 and item.depth_m[0, 0] == 0.0


def test_hypersim(tmp_path):
    put(tmp_path / "ai_001_010" / "rgb_cam_00_fr0000.png")
    put(tmp_path / "ai_001_010" / "depth_plane_cam_00_fr0000.png", np.full((48, 64), 2500))
    (item,) = read_hypersim(tmp_path).items
    assert item.depth_m[3, 3] == 2.5
    cosines = ray_cosines((768, 1024))
    assert cosines[384, 512] == pytest.approx(1, abs=1e-5) and cosines[0, 0] == pytest.approx(0.811, abs=1e-3)
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "raw.hdf5", "w") as file:
        file["dataset"] = np.full((768, 1024), 3.0, np.float16)
    assert plane_depth(tmp_path / "raw.hdf5")[0, 0] == pytest.approx(3 * 0.811, abs=0.01)


def test_raw_depth_where_nothing_was_hit(tmp_path):
    h5py = pytest.importorskip("h5py")
    path, things = (tmp_path / f"frame.0000.{name}.hdf5" for name in ("depth_meters", "render_entity_id"))
    distance, ids = np.full((48, 64), 3.0, np.float16), np.ones((48, 64), np.int32)
    distance[0, 1], distance[0, 2], ids[0, 0] = np.nan, np.inf, -1
    for place, values in ((path, distance), (things, ids)):
        with h5py.File(place, "w") as file:
            file["dataset"] = values
    assert plane_depth(path)[0, :4].tolist() == [0, 0, 0, pytest.approx(3 * ray_cosines((48, 64))[0, 3])]


RAW = {
    "empty": (lambda file: None, "damaged or no HDF5 file"),
    "another name": (lambda file: file.create_dataset("depth", data=np.ones((48, 64))), "no data set named 'dataset'"),
    "a group": (lambda file: file.create_group("dataset"), "no numbers by row and column"),
    "colours": (lambda file: file.create_dataset("dataset", data=np.ones((48, 64, 3))), "no numbers by row and column"),
    "texts": (lambda file: file.create_dataset("dataset", data=np.array([[b"a", b"b"]])), "no numbers by row and column"),
}


@pytest.mark.parametrize("name", RAW)
def test_raw_files_that_hold_no_depth_are_named(tmp_path, name):
    h5py = pytest.importorskip("h5py")
    make, said = RAW[name]
    path = tmp_path / "frame.0000.depth_meters.hdf5"
    with h5py.File(path, "w") as file:
        make(file)
    if name == "empty":
        path.write_bytes(b"")
    with pytest.raises(CooperError, match=rf"depth_meters\.hdf5: .*{said}"):
        plane_depth(path)


def test_things_of_another_size_are_named(tmp_path):
    h5py = pytest.importorskip("h5py")
    for name, shape in (("depth_meters", (48, 64)), ("render_entity_id", (24, 32))):
        with h5py.File(tmp_path / f"frame.0000.{name}.hdf5", "w") as file:
            file["dataset"] = np.ones(shape)
    with pytest.raises(CooperError, match=r"render_entity_id\.hdf5 has 32 x 24 px, the depth beside it 64 x 48 px"):
        plane_depth(tmp_path / "frame.0000.depth_meters.hdf5")


def test_what_is_missing_or_broken_is_named(tmp_path):
    with pytest.raises(CooperError, match="holds no pictures with depth beside them"):
        read_nyu(tmp_path)
    put(tmp_path / "rgb_1.png")
    put(tmp_path / "depth_1.png")  # 8 bits, three channels
    with pytest.raises(CooperError, match=r"depth_1\.png is no 16-bit picture"):
        _ = read_nyu(tmp_path).items[0].depth_m
    (tmp_path / "list.txt").write_text("rgb_1.png gone.png\n")
    with pytest.raises(CooperError, match=r"gone\.png is missing"):
        read_nyu(tmp_path)
    small = put(tmp_path / "k" / "d" / "image_02" / "data" / "1.png", size=(600, 300))
    put(tmp_path / "k" / "d" / "proj_depth" / "groundtruth" / "image_02" / small.name, np.ones((300, 600)))
    with pytest.raises(CooperError, match="600 x 300 px, less than the 1216 x 352 px"):
        _ = read_kitti(tmp_path / "k").items[0].image


def test_a_box_counts_in_fractions():
    assert Box(0.25, 0.75, 0, 1).mask((4, 2)).tolist() == [[False] * 2, [True] * 2, [True] * 2, [False] * 2]


# -------------------- published lists


def test_a_list_names_the_pictures_of_a_set(tmp_path):
    """As the published trainings have it, in JSON Lines, or as a text; pictures that it does not name are left out."""
    path = hypersim(tmp_path, 4)
    rows = path.read_text().splitlines()[1:3]
    path.write_text("\n".join(rows))
    (tmp_path / "list.txt").write_text("\n".join(" ".join(json.loads(row).values()) for row in rows))
    for place in (path, tmp_path / "list.txt"):
        found = open_data(DataSource(kind="hypersim", path=place), 100, ["depth"])
        assert [item.id for item in found.items] == [f"ai_001_001/rgb_cam_00_fr000{number}" for number in (1, 2)]
        assert np.allclose(found.items[0].depth_m[5:], room(1)[5:], atol=1e-3)


def test_a_list_of_regions_is_a_set_of_ade20k(tmp_path):
    found = open_data(DataSource(kind="ade20k", path=full_release(tmp_path, 2), split="training"), 100, ["segmentation"])
    assert len(found.items) == 2 and np.array_equal(found.items[1].labels, classes(1, ids=(2978, 12, 165)))


def test_virtual_kitti_may_lie_in_two_trees(tmp_path):
    virtual_kitti(tmp_path, 2).unlink()
    found = read_virtual_kitti(tmp_path)
    assert len(found.items) == 2 and np.allclose(found.items[1].depth_m[-100:], room(1, (1216, 352), 3, 70)[-100:], atol=0.01)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"rgb_image": "a.png"}', "line 1: 'rgb_image' and 'depth_image' must be the paths of files"),
        ('{"rgb_image": "a.png", "depth_image": 5}', "line 1: 'rgb_image' and 'depth_image' must be the paths of files"),
        ('{"rgb_image": "a.png", "depth_image": "b.png"}', "a.png is missing"),
        ("{", "line 1: not JSON"),
        ("", "lists no picture with its depth"),
    ],
)
def test_a_list_at_fault_is_named(tmp_path, text, said):
    (tmp_path / "list.jsonl").write_text(text)
    with pytest.raises(CooperError, match=said):
        read_hypersim(tmp_path / "list.jsonl")
