"""Pictures of one's own: what is read of them, and every fault by the name of its file."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cooper.data.filling import filled
from cooper.data.sources.pictures import read_pictures
from cooper.errors import CooperError
from cooper.perception import build_modalities
from tests.own_pictures import NAMES, make_pictures, save, truth


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_pictures(tmp_path / "mine")


def test_everything_that_is_known_is_read(folder):
    found = read_pictures(folder)
    assert [item.id for item in found.items] == ["hall/1", "hall/3", "kitchen/0", "kitchen/2"]
    conventions = found.conventions
    assert (conventions.near, conventions.far, conventions.void, conventions.names) == (0.5, 7.0, 0, NAMES)
    assert conventions.things == {3}
    item, (depth, labels, instances) = found.items[1], truth(3, (128, 48))
    assert item.image.size == (128, 48)
    np.testing.assert_allclose(item.depth_m, depth.astype(np.uint16) / 1000, rtol=1e-6)
    assert (item.labels == labels).all() and (item.instances == instances).all()
    assert (item.known("depth") == (depth > 0)).all() and (item.known("segmentation") == (labels != 0)).all()
    assert item.has("depth") and item.has("segmentation") and len(item.sources()) == 4


def test_a_unit_may_be_said_in_the_file_or_in_its_place(folder):
    (folder / "data.yaml").write_text("metres_per_count: 0.0005\n")
    half, whole = read_pictures(folder), read_pictures(folder, {"metres_per_count": 0.002})
    np.testing.assert_allclose(half.items[0].depth_m * 4, whole.items[0].depth_m)
    assert half.conventions.names == () and half.conventions.far == np.inf


def test_what_is_not_known_is_drawn_as_its_neighbour(folder):
    modalities = build_modalities(
        {"depth": {"near": 0.5, "far": 7.0, "metric": True}, "segmentation": {"codec": "scenes", "names": NAMES}}
    )
    item = read_pictures(folder).items[0]
    drawn = item.drawn("depth", modalities)
    assert drawn.min() > 0.05, "a hole is no surface at the camera"
    labels = modalities["segmentation"].decode(item.drawn("segmentation", modalities)).arrays["labels"]
    assert 0 not in labels and item.mirrored().void == 0
    nothing = np.array([[1, 2]])
    assert filled(nothing, np.zeros((1, 2), bool)) is nothing


def test_pictures_may_have_one_map_each(folder):
    for path in ("depth/hall/1", "labels/kitchen/0", "instances/kitchen/0", "instances/kitchen/2"):
        (folder / f"{path}.png").unlink()
    items = {item.id: item for item in read_pictures(folder).items}
    assert not items["hall/1"].has("depth") and items["hall/1"].reading.arrays.keys() == {"labels", "instances"}
    assert items["kitchen/0"].reading.arrays.keys() == {"depth"} and not items["kitchen/2"].instances.any()
    assert len(read_pictures(folder, maps=["depth"]).items) == 3
    assert len(read_pictures(folder, maps=["depth", "segmentation"]).items) == 4


def test_files_may_be_listed(folder, tmp_path):
    rows = [
        {"image": "images/hall/1.png", "depth": "depth/hall/1.png"},
        {"image": str(folder / "images/kitchen/0.jpg"), "labels": "labels/kitchen/0.png", "id": "zero"},
    ]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for place in (folder, folder / "data.jsonl"):
        first, second = read_pictures(place).items
        assert (first.id, second.id) == ("images/hall/1", "zero") and first.arrays == {"depth"}
        assert second.labels.max() == 3
    for row, said in (
        ({"image": "images/hall/3.png"}, r"line 3: nothing is known of .*images/hall/3\.png"),
        ({**rows[0]}, "line 3: the id 'images/hall/1' stands there twice"),
        ({**rows[0], "id": "x", "depht": "y"}, "line 3: unknown key 'depht'"),
        ({**rows[0], "id": "x", "depth": "gone.png"}, r"gone\.png, the depth of .*1\.png, is missing"),
        ({"image": "gone.jpg", "depth": "depth/hall/1.png"}, r"gone\.jpg is missing"),
        ({"image": "images/hall/1.png", "id": "x", "depth": "depth/hall/1.png", "instances": "a"}, "has no labels beside it"),
    ):
        (folder / "data.jsonl").write_text("".join(json.dumps(each) + "\n" for each in (*rows, row)))
        with pytest.raises(CooperError, match=said):
            read_pictures(folder)


def test_what_the_recipe_lays_over_the_file_is_not_blamed_on_the_file(folder):
    with pytest.raises(CooperError, match=r"data\.yaml, with far and near as set beside it: far is 0\.1 m"):
        read_pictures(folder, {"far": 0.1, "near": 0.5})


def test_a_photograph_that_lies_on_its_side_is_read_upright(folder):
    path = folder / "images" / "kitchen" / "0.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(path).rotate(90, expand=True).save(path, exif=exif)
    item = next(item for item in read_pictures(folder).items if item.id == "kitchen/0")
    assert item.image.size == (96, 64) and item.depth_m.shape == (64, 96)


def _grey(path: Path, value: float, kind: type) -> None:
    save(path, np.full((64, 96), value), kind)


def _torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


ONE = "depth/kitchen/0.png"
OPENED = {  # faults that show before anything is read
    "no pictures": (lambda f: shutil.rmtree(f / "images"), r"mine/images holds no pictures"),
    "no maps": (lambda f: [shutil.rmtree(f / each) for each in ("depth", "labels", "instances")], "nothing is known of any"),
    "no map of one": (
        lambda f: [shutil.rmtree(f / each) for each in ("labels", "instances")] + [(f / ONE).unlink()],
        r"nothing is known of .*images/kitchen/0\.jpg: .*depth/kitchen/0\.png is missing",
    ),
    "a map without picture": (lambda f: (f / "images/kitchen/0.jpg").unlink(), r"kitchen/0\.png has no picture"),
    "two of a name": (lambda f: shutil.copy(f / "images/hall/1.png", f / "images/hall/1.webp"), "have the same name"),
    "8 bits": (lambda f: _grey(f / ONE, 200, np.uint8), r"kitchen/0\.png has 8 bits in one channel; depth must be .* 16 bits"),
    "another size": (
        lambda f: save(f / ONE, np.full((60, 96), 900), np.uint16),
        r"kitchen/0\.png has 96 x 60 px, its picture .*0\.jpg 96 x 64 px",
    ),
    "colours": (
        lambda f: save(f / "labels/kitchen/0.png", np.zeros((64, 96, 3))),
        r"labels/kitchen/0\.png has pixels of the kind RGB; labels must be",
    ),
    "no PNG": (lambda f: (f / ONE).write_bytes(b"something else"), r"kitchen/0\.png is no PNG file"),
    "torn picture": (
        lambda f: (f / "images/kitchen/0.jpg").write_bytes(b"\xff\xd8\xff"),
        r"cannot read .*images/kitchen/0\.jpg",
    ),
    "unknown key": (
        lambda f: (f / "data.yaml").write_text("unit: 1\n"),
        r"data\.yaml: unknown key 'unit'; known: metres_per_count",
    ),
    "no range": (
        lambda f: (f / "data.yaml").write_text("near: 3\nfar: 2\n"),
        r"data\.yaml: far is 2 m, which must be more than",
    ),
    "no thing": (lambda f: (f / "data.yaml").write_text("names: [a]\nthings: [b]\n"), "things names 'b'"),
    "a name twice": (lambda f: (f / "data.yaml").write_text("names: [a, a]\n"), "names holds a class twice"),
}
READ = {  # faults that show when pixels are read
    "another unit": (
        lambda f: _grey(f / ONE, 40_000, np.uint16),
        r"kitchen/0\.png \(metres_per_count is 0\.001\): its depth goes from 40 to 40 m, none of it within 0\.5 to 7 m",
    ),
    "all unknown": (lambda f: _grey(f / ONE, 0, np.uint16), r"kitchen/0\.png: no pixel has a depth"),
    "all void": (lambda f: _grey(f / "labels/kitchen/0.png", 0, np.uint8), r"labels/kitchen/0\.png: every pixel is void \(0\)"),
    "beyond the names": (
        lambda f: _grey(f / "labels/kitchen/0.png", 17, np.uint8),
        r"labels/kitchen/0\.png holds class 17, and 4 classes have names, 0 to 3",
    ),
    "torn map": (lambda f: _torn(f / ONE), r"cannot read the depth .*kitchen/0\.png"),
}


@pytest.mark.parametrize("fault", OPENED)
def test_faults_of_files_are_named_when_they_are_opened(folder, fault):
    harm, said = OPENED[fault]
    harm(folder)
    with pytest.raises(CooperError, match=said):
        read_pictures(folder)


@pytest.mark.parametrize("fault", READ)
def test_faults_of_pixels_are_named_when_they_are_read(folder, fault):
    harm, said = READ[fault]
    harm(folder)
    item = next(item for item in read_pictures(folder).items if item.id == "kitchen/0")
    with pytest.raises(CooperError, match=said):
        assert item.reading
