"""ADE20K in both published layouts: pairs, classes, objects, and files that are not as they should be."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cooper.data.sources.ade20k import CLASSES, class_names, read_ade20k
from cooper.errors import CooperError


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def coded(labels: np.ndarray, instances: np.ndarray) -> np.ndarray:
    """The colours of a `_seg.png`."""
    return np.stack([labels // 256 * 10, labels % 256, instances], axis=2)


@pytest.fixture
def parsing(tmp_path) -> Path:
    """Scene parsing within the folder of its archive."""
    root = tmp_path / "ADEChallengeData2016"
    for number in (2, 1):
        labels = np.zeros((24, 32))
        labels[:10, :8] = labels[:10, 16:] = number
        labels[12:] = CLASSES
        save(root / "annotations" / "validation" / f"ADE_val_0000000{number}.png", labels)
        save(root / "images" / "validation" / f"ADE_val_0000000{number}.jpg", np.full((24, 32, 3), 90))
        save(root / "images" / "training" / f"ADE_train_0000000{number}.jpg", np.full((24, 32, 3), 90))
    return tmp_path


@pytest.fixture
def full(tmp_path) -> Path:
    """The full release, with its files of parts and a training picture."""
    labels = np.full((24, 32), 2978)  # R 110, G 162
    labels[:, 16:] = 12
    labels[:2] = 0
    instances = np.tile(np.repeat([1, 200, 1, 7], 8), (24, 1))
    for split, name in (("validation", "ADE_val_00000001"), ("training", "ADE_train_00000001")):
        place = tmp_path / "images" / "ADE" / split / "urban" / "street"
        save(place / f"{name}.jpg", np.full((24, 32, 3), 90))
        save(place / f"{name}_seg.png", coded(labels, instances))
        save(place / f"{name}_parts_1.png", coded(labels, instances))
        save(place / name / "instance_000_ADE.png", labels)
    return tmp_path


def test_scene_parsing(parsing):
    found = read_ade20k(parsing)
    assert [item.id for item in found.items] == [
        f"ADEChallengeData2016/images/validation/ADE_val_0000000{number}" for number in (1, 2)
    ]
    assert (found.expected, found.conventions.void, found.conventions.names, found.conventions.things) == (
        2000,
        0,
        (),
        frozenset(),
    )
    labels, instances = found.items[1].labels, found.items[1].instances
    assert found.items[1].image.size == (32, 24) and labels.shape == (24, 32)
    assert (labels[0, 0], labels[0, 10], labels[20, 3]) == (2, 0, 150)
    assert len(np.unique(instances[labels == 2])) == 2 and len(np.unique(instances[labels == 150])) == 1


def test_scene_parsing_knows_its_classes(parsing):
    lines = ["Idx\tRatio\tTrain\tVal\tName", *(f"{number}\t0.1\t9\t9\tname {number}, other" for number in range(1, 151))]
    path = parsing / "ADEChallengeData2016" / "objectInfo150.txt"
    path.write_text("\n".join(lines) + "\n")
    names = read_ade20k(parsing).conventions.names
    assert len(names) == 151 and names[:2] == ("void", "name 1, other") and names[150] == "name 150, other"
    for content in ("\n".join(lines[:-1]), "", "\n"):
        path.write_text(content)
        with pytest.raises(CooperError, match=r"objectInfo150\.txt does not list the classes 1 to 150"):
            class_names(path)


def test_the_full_release(full):
    found = read_ade20k(full)
    (item,) = found.items
    assert item.id == "images/ADE/validation/urban/street/ADE_val_00000001"
    assert (found.expected, found.conventions.void, found.conventions.names) == (2000, 0, ())
    assert item.labels[5].tolist() == [2978] * 16 + [12] * 16
    assert item.instances[5].tolist() == [1] * 8 + [200] * 8 + [1] * 8 + [7] * 8
    assert (item.labels[:2] == 0).all()


def test_a_folder_of_training_pictures_may_be_asked_for(full):
    assert [item.id for item in read_ade20k(full / "images" / "ADE" / "training").items] == ["urban/street/ADE_train_00000001"]


def test_all_classes_of_the_full_release_are_read_exactly(tmp_path):
    labels, instances = np.arange(64 * 64).reshape(64, 64) % 3700, np.arange(64 * 64).reshape(64, 64) % 256
    save(tmp_path / "a_seg.png", coded(labels, instances))
    save(tmp_path / "a.jpg", np.zeros((64, 64, 3)))
    (item,) = read_ade20k(tmp_path).items
    assert (item.labels == labels).all() and (item.instances == instances).all()


def test_one_file_of_a_pair_is_not_enough(parsing, full):
    with pytest.raises(CooperError, match="holds neither annotations/validation"):
        read_ade20k(parsing / "ADEChallengeData2016" / "images")
    (parsing / "ADEChallengeData2016" / "images" / "validation" / "ADE_val_00000002.jpg").unlink()
    with pytest.raises(CooperError, match=r"images/validation/ADE_val_00000002\.jpg is missing"):
        read_ade20k(parsing)
    street = full / "images" / "ADE" / "validation" / "urban" / "street"
    save(street / "ADE_val_00000002.jpg", np.zeros((24, 32, 3)))
    with pytest.raises(CooperError, match=r"ADE_val_00000002_seg\.png is missing"):
        read_ade20k(full / "images")


def test_files_are_read_when_asked_for_and_faults_name_them(parsing, full):
    place = parsing / "ADEChallengeData2016" / "annotations" / "validation"
    save(place / "ADE_val_00000001.png", np.zeros((20, 32)))
    (place / "ADE_val_00000002.png").write_bytes(b"\x89PNG no more")
    small, torn = read_ade20k(parsing).items
    with pytest.raises(CooperError, match=r"ADE_val_00000001\.png has 32 x 20 px, its picture .*\.jpg 32 x 24 px"):
        _ = small.labels
    with pytest.raises(CooperError, match=r"cannot read the regions .*ADE_val_00000002\.png"):
        _ = torn.labels
    save(place / "ADE_val_00000001.png", np.full((24, 32), 151))
    with pytest.raises(CooperError, match=r"ADE_val_00000001\.png holds class 151; scene parsing has 150"):
        _ = small.labels
    save(place / "ADE_val_00000001.png", np.zeros((24, 32, 3)))
    with pytest.raises(CooperError, match="is no 8-bit picture of one channel"):
        _ = small.instances
    (item,) = read_ade20k(full / "images").items
    save(item.sources()[1], np.zeros((24, 32)))
    with pytest.raises(CooperError, match=r"ADE_val_00000001_seg\.png is no picture of three 8-bit channels"):
        _ = item.instances


def test_the_training_pictures_of_both_layouts(full, tmp_path):
    (item,) = read_ade20k(full, "training").items
    assert item.id == "images/ADE/training/urban/street/ADE_train_00000001" and item.void == 0 and item.has("segmentation")
    root = tmp_path / "parsing"
    save(root / "annotations" / "training" / "ADE_train_00000001.png", np.full((24, 32), 7))
    save(root / "images" / "training" / "ADE_train_00000001.jpg", np.full((24, 32, 3), 90))
    found = read_ade20k(root, "training")
    assert len(found.items) == 1 and found.expected == 0 and found.items[0].labels.max() == 7
    with pytest.raises(CooperError, match="holds neither annotations/validation"):
        read_ade20k(root)
