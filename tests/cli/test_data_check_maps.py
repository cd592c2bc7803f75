"""`cooper data check` on pictures with depth and labels: every kind of fault is named with its file, good sets have none."""

import io
import json
import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.own_pictures import make_pictures, save
from tests.published_maps import (
    classes,
    full_colours,
    full_release,
    hypersim,
    listed,
    room,
    scene_parsing,
    stored,
    virtual_kitti,
)
from tests.reasoning_files import picture

FAULT = re.compile(r"^  (?:error|warning): ([^:]+): (.+?): ", re.MULTILINE)


def all_found(ran):
    """Kinds of the faults that were printed, each with its place without the folders above."""
    assert ran.code in (0, 1), ran.err
    return {(kind, place.rpartition("/")[2]) for kind, place in FAULT.findall(ran.out)}


def kinds(ran):
    return {kind for kind, _ in all_found(ran)}


def as_jpeg(array, quality=75):
    """The array as it comes back from a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(array.astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


# -------------------- good sets


@pytest.mark.parametrize("make", [hypersim, virtual_kitti, full_release])
def test_good_published_lists_have_no_faults(run, tmp_path, make):
    path = make(tmp_path)
    for place in (path, tmp_path):
        ran = run("data", "check", place)
        assert ran.code == 0 and "no faults" in ran.out, ran.out


@pytest.mark.parametrize("make", [hypersim, virtual_kitti, full_release, scene_parsing, make_pictures])
def test_good_folders_without_a_list_have_no_faults(run, tmp_path, make):
    path = make(tmp_path)
    if path.is_file():
        path.unlink()
    ran = run("data", "check", tmp_path, "--out", tmp_path.with_name(f"{tmp_path.name}-out"))
    assert ran.code == 0, ran.out + ran.err


def nyu(folder):
    for number in range(3):
        (folder / "kitchen").mkdir(parents=True, exist_ok=True)
        picture(number, (640, 480)).save(folder / "kitchen" / f"rgb_000{number}.png")
        save(folder / "kitchen" / f"depth_000{number}.png", room(number, (640, 480)) * 1000, np.uint16)


def kitti(folder):
    """Depth of a laser scanner: one pixel of twenty is known, and none in the sky."""
    drive, rng = folder / "2011_09_26_drive_0002_sync", np.random.default_rng(0)
    for number in range(3):
        (drive / "image_02" / "data").mkdir(parents=True, exist_ok=True)
        picture(number, (1242, 376)).resize((1242, 375)).save(drive / "image_02" / "data" / f"{number}.png")
        depth = room(number, (1242, 375), 4, 75) * (rng.random((375, 1242)) < 0.05) * (np.arange(375)[:, None] > 100)
        save(drive / "proj_depth" / "groundtruth" / "image_02" / f"{number}.png", depth * 256, np.uint16)


@pytest.mark.parametrize("make", [nyu, kitti])
def test_good_sets_for_evaluation_have_no_faults(run, tmp_path, make):
    make(tmp_path)
    ran = run("data", "check", tmp_path)
    assert ran.code == 0 and f": {make.__name__}, 3 pictures" in ran.out, ran.out


def test_a_folder_of_several_sets_is_checked_whole(run, tmp_path):
    hypersim(tmp_path / "a")
    make_pictures(tmp_path / "b")
    scene_parsing(tmp_path / "c" / "ADEChallengeData2016")
    ran = run("data", "check", tmp_path)
    assert ran.code == 0 and "no faults in 11 rows" in ran.out, ran.out


def test_lists_of_the_same_pictures_are_read_once(run, tmp_path):
    path = hypersim(tmp_path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    (tmp_path / "all.txt").write_text("\n".join(f"{row['rgb_image']} {row['depth_image']}" for row in rows))
    assert "no faults in 4 rows" in run("data", "check", tmp_path).out


def test_sparse_depth_of_your_own_is_no_fault(run, tmp_path):
    """Of a laser scanner most pixels are unknown, in every file."""
    make_pictures(tmp_path)
    rng = np.random.default_rng(0)
    for path in (tmp_path / "depth").rglob("*.png"):
        depth = stored(path)
        save(path, depth * (rng.random(depth.shape) < 0.1), np.uint16)
    assert run("data", "check", tmp_path).code == 0


def test_streets_of_very_different_depth_are_no_fault(run, tmp_path):
    path = virtual_kitti(tmp_path)
    depth = next((tmp_path / "depth").rglob("depth_00001.png"))
    save(depth, np.clip(room(1, (1216, 352), 3, 25) * 100, 0, 65535), np.uint16)
    assert run("data", "check", path).code == 0


# -------------------- depth


def stretched(depth):
    eight = (depth / depth.max() * 255).astype(np.uint16)
    return np.where(depth > 0, np.maximum(eight, 8), 0) * 257


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def empty(path):
    path.write_bytes(b"")


def half_unknown(depth):
    depth[: len(depth) // 2] = 0
    return depth


DEPTH = {
    "8 bits": (lambda path: save(path, stored(path) // 256 + 9, np.uint8), "wrong number of bits"),
    "colours": (lambda path: save(path, np.repeat(stored(path)[:, :, None] // 256, 3, axis=2)), "wrong number of bits"),
    "stretched": (lambda path: save(path, stretched(stored(path)), np.uint16), "wrong number of bits"),
    "JPEG": (lambda path: Image.fromarray((stored(path) // 256).astype(np.uint8)).save(path, "JPEG"), "wrong number of bits"),
    "missing": (lambda path: path.unlink(), "missing file"),
    "torn": (cut, "torn picture"),
    "empty": (empty, "torn picture"),
    "text": (lambda path: path.write_text("depth " * 40), "no picture"),
    "smaller": (lambda path: save(path, stored(path)[::2, ::2], np.uint16), "wrong size"),
    "turned": (lambda path: save(path, stored(path).T, np.uint16), "wrong size"),
    "centimetres": (lambda path: save(path, stored(path) / 10, np.uint16), "wrong unit"),
    "metres": (lambda path: save(path, stored(path) / 1000, np.uint16), "wrong unit"),
    "half unknown": (lambda path: save(path, half_unknown(stored(path)), np.uint16), "depth mostly unknown"),
    "a tenth unknown": (lambda path: save(path, stored(path) * (np.arange(64) > 7), np.uint16), "depth mostly unknown"),
    "all unknown": (lambda path: save(path, stored(path) * 0, np.uint16), "depth mostly unknown"),
    "flat": (lambda path: save(path, stored(path) * 0 + 3000, np.uint16), "flat depth"),
    "TIFF": (lambda path: Image.fromarray(stored(path)).save(path, "TIFF"), "cannot be read"),
    "a mark": (lambda path: save(path, np.where(np.arange(64) < 4, 65535, stored(path)), np.uint16), "largest number"),
}


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", DEPTH)
def test_a_fault_of_depth_is_found(run, tmp_path, name, whole):
    """In one file of four, or in all of them."""
    path = hypersim(tmp_path)
    change, kind = DEPTH[name]
    files = sorted(tmp_path.rglob("depth_plane_*.png"))
    for place in files if whole else files[1:2]:
        change(place)
    ran = run("data", "check", path)
    wanted = {(kind, f"{path.name}, line {number}") for number in ((1, 2, 3, 4) if whole else (2,))}
    assert wanted <= all_found(ran) and {place for _, place in all_found(ran)} == {place for _, place in wanted}, ran.out


def turned_into(make):
    def change(path):
        path.unlink()
        make(path)

    return change


PLACES = {
    "a folder": (turned_into(lambda path: path.mkdir()), "is a folder, and no file"),
    "a pipe": (turned_into(os.mkfifo), "is no regular file"),
    "a link to itself": (turned_into(lambda path: path.symlink_to(path.name)), "is a link that leads to no file"),
    "gone": (turned_into(lambda path: None), "is missing"),
    "without bytes": (empty, "has 0 bytes"),
}


@pytest.mark.parametrize("name", PLACES)
def test_what_stands_in_place_of_a_file_is_said(run, tmp_path, name):
    """Of a picture and its depth: both are named."""
    path = hypersim(tmp_path)
    change, said = PLACES[name]
    places = [tmp_path / "ai_001_001" / f"{kind}_cam_00_fr0001.png" for kind in ("rgb", "depth_plane")]
    for place in places:
        change(place)
    ran = run("data", "check", path)
    assert ran.code == 1 and all(f"line 2: {place} {said}" in ran.out for place in places), ran.out
    assert "2 errors in 4 rows" in ran.out


def test_a_name_that_is_too_long_is_shortened(run, tmp_path):
    path = hypersim(tmp_path)
    path.write_text(path.read_text() + json.dumps({"rgb_image": "a" * 5000, "depth_image": "b.png"}))
    ran = run("data", "check", path)
    assert "line 5" in ran.out and "too long" in ran.out and max(map(len, ran.out.splitlines())) < 1000


def test_a_map_that_two_pictures_share_is_found(run, tmp_path):
    path = hypersim(tmp_path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[2]["depth_image"] = rows[0]["depth_image"]
    ran = run("data", "check", listed(tmp_path, rows, path.name))
    assert all_found(ran) == {("map of two pictures", f"{path.name}, line 3")} and f"{path}, line 1" in ran.out


@pytest.mark.parametrize(("factor", "said"), [(10, "millimetres"), (0.01, "metres")])
def test_streets_in_another_unit_are_found(run, tmp_path, factor, said):
    path = virtual_kitti(tmp_path)
    for depth in (tmp_path / "depth").rglob("*.png"):
        values = stored(depth).astype(np.float64)
        save(depth, np.where(values == 65535, values, np.minimum(values * factor, 65534)), np.uint16)
    ran = run("data", "check", path)
    assert kinds(ran) == {"wrong unit"} and f"it looks like {said}" in " ".join(ran.out.split()), ran.out


def test_the_unit_of_your_own_depth_is_told(run, tmp_path):
    make_pictures(tmp_path)
    (tmp_path / "data.yaml").write_text("void: 0\n")
    for path in (tmp_path / "depth").rglob("*.png"):
        save(path, stored(path) / 10, np.uint16)
    ran = run("data", "check", tmp_path)
    assert kinds(ran) == {"wrong unit"} and "it looks like centimetres" in ran.out, ran.out


def test_depth_outside_its_range_is_found(run, tmp_path):
    make_pictures(tmp_path)
    text = (tmp_path / "data.yaml").read_text()
    (tmp_path / "data.yaml").write_text(f"metres_per_count: 0.1\n{text}")
    assert "wrong unit" in kinds(run("data", "check", tmp_path))


def test_the_sheet_shows_faults_that_only_the_whole_set_tells(run, tmp_path):
    """Of the last of many files, which is not among those that are shown anyway."""
    path = hypersim(tmp_path / "in", 60)
    depth = tmp_path / "in" / "ai_001_001" / "depth_plane_cam_00_fr0059.png"
    save(depth, stored(depth) / 10, np.uint16)
    ran = run("data", "check", path, "--out", tmp_path / "out")
    page = (tmp_path / "out" / "check.html").read_text()
    assert kinds(ran) == {"wrong unit"} and "line 60: wrong unit" in page and page.count("<figure") == 25


# -------------------- pictures, lists and folders

LISTS = {
    "torn line": ('{"rgb_image": "a', "not JSON"),
    "not an object": ("5", "not JSON"),
    "no picture": ('{"depth_image": "ai_001_001/depth_plane_cam_00_fr0001.png"}', "field"),
    "no depth": ('{"rgb_image": "ai_001_001/rgb_cam_00_fr0001.png"}', "field"),
    "a number": ('{"rgb_image": 5, "depth_image": "ai_001_001/depth_plane_cam_00_fr0001.png"}', "field"),
    "missing": ('{"rgb_image": "gone.png", "depth_image": "ai_001_001/depth_plane_cam_00_fr0001.png"}', "missing file"),
    "exchanged": (
        '{"rgb_image": "ai_001_001/depth_plane_cam_00_fr0001.png", "depth_image": "ai_001_001/rgb_cam_00_fr0001.png"}',
        "wrong number of bits",
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_fault_of_a_list_is_found(run, tmp_path, name):
    path = hypersim(tmp_path)
    lines = path.read_text().splitlines()
    lines[1], kind = LISTS[name]
    path.write_text("\n".join(lines))
    assert all_found(run("data", "check", path)) == {(kind, f"{path.name}, line 2")}


def test_pictures_and_ids_that_are_listed_twice_are_found(run, tmp_path):
    path = full_release(tmp_path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    listed(tmp_path, [*rows, {**rows[0], "data_idx": "9"}, {**rows[1], "data_idx": "0"}], path.name)
    assert {("row twice", f"{path.name}, line 4"), ("same id", f"{path.name}, line 5")} <= all_found(run("data", "check", path))


def test_a_copy_of_a_picture_and_its_depth_is_found(run, tmp_path):
    make_pictures(tmp_path)
    for name in ("depth", "labels", "instances"):
        shutil.copy(tmp_path / name / "hall" / "1.png", tmp_path / name / "copy.png")
    shutil.copy(tmp_path / "images" / "hall" / "1.png", tmp_path / "images" / "copy.png")
    assert kinds(run("data", "check", tmp_path)) == {"row twice"}


PICTURES = {
    "torn": (cut, "torn picture"),
    "missing": (lambda path: path.unlink(), "missing file"),
    "text": (lambda path: path.write_text("no picture"), "no picture"),
    "smaller": (lambda path: picture(1, (32, 24)).save(path), "wrong size"),
    "tiny": (lambda path: Image.new("RGB", (4, 4)).save(path), "wrong size"),
    "depth": (lambda path: save(path, room(1) * 1000, np.uint16), "wrong number of bits"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_fault_of_a_picture_is_found(run, tmp_path, name):
    path = hypersim(tmp_path)
    change, kind = PICTURES[name]
    change(tmp_path / "ai_001_001" / "rgb_cam_00_fr0001.png")
    assert (kind, f"{path.name}, line 2") in all_found(run("data", "check", path))


def test_a_street_that_is_too_small_is_found(run, tmp_path):
    path = virtual_kitti(tmp_path)
    for place in (*tmp_path.rglob("rgb_00001.jpg"), *tmp_path.rglob("depth_00001.png")):
        Image.open(place).resize((608, 176), Image.Resampling.NEAREST).save(place)
    ran = run("data", "check", path)
    assert all_found(ran) == {("wrong size", "train.jsonl, line 2")} and "1216 x 352" in ran.out


def test_pictures_and_depth_that_stand_alone_are_found(run, tmp_path):
    hypersim(tmp_path).unlink()
    (tmp_path / "ai_001_001" / "rgb_cam_00_fr0000.png").unlink()
    (tmp_path / "ai_001_001" / "depth_plane_cam_00_fr0001.png").unlink()
    assert all_found(run("data", "check", tmp_path)) == {
        ("picture or map alone", "depth_plane_cam_00_fr0000.png"),
        ("picture or map alone", "rgb_cam_00_fr0001.png"),
    }


def test_lines_of_a_text_without_depth_are_found(run, tmp_path):
    path = hypersim(tmp_path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.unlink()
    lines = [f"{row['rgb_image']} {row['depth_image']}" for row in rows]
    (tmp_path / "train.txt").write_text("\n".join([lines[0], rows[1]["rgb_image"], f"{rows[2]['rgb_image']} gone.png"]))
    found = all_found(run("data", "check", tmp_path / "train.txt"))
    assert found == {("field", "train.txt, line 2"), ("missing file", "train.txt, line 3")}


def test_a_line_of_a_text_that_is_no_utf8_costs_itself_alone(run, tmp_path):
    path = hypersim(tmp_path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.unlink()
    lines = [f"{row['rgb_image']} {row['depth_image']}".encode() for row in rows]
    (tmp_path / "train.txt").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join([lines[0], b"M\xfcller.png a.png", *lines[1:]]))
    ran = run("data", "check", tmp_path / "train.txt", "--kind", "hypersim")
    assert all_found(ran) == {("not UTF-8", "train.txt, line 2")} and "hypersim, 5 pictures" in ran.out, ran.out


def test_a_link_to_nothing_beside_pictures_of_your_own_is_found(run, tmp_path):
    make_pictures(tmp_path)
    (tmp_path / "images" / "hall" / "9.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "images" / "round").symlink_to(tmp_path / "images")
    assert all_found(run("data", "check", tmp_path)) == {("missing file", "9.jpg")}


# -------------------- labels


def as_the_other(path):
    """The regions of scene parsing in colours, those of the full release in one channel."""
    array = stored(path)
    save(path, array[:, :, 0] if array.ndim == 3 else full_colours(array.astype(np.int32)))


FIRST = {
    "16 bits": (lambda path: save(path, np.ones((50, 70)), np.uint16), "wrong number of bits"),
    "the other release": (as_the_other, "wrong number of bits"),
    "empty": (empty, "torn picture"),
}


@pytest.mark.parametrize("name", FIRST)
@pytest.mark.parametrize("make", [scene_parsing, full_release])
def test_a_first_file_of_another_form_does_not_put_the_others_in_doubt(run, tmp_path, make, name):
    make(tmp_path)
    change, kind = FIRST[name]
    change(min((*tmp_path.rglob("annotations/training/*.png"), *tmp_path.rglob("*_seg.png"))))
    ran = run("data", "check", tmp_path)
    assert kinds(ran) == {kind} and "1 error in 3 rows" in ran.out, ran.out


LABELS = {
    "class 151": (lambda labels: np.where(labels == 4, 151, labels), "unknown class"),
    "16 bits": (lambda labels: labels.astype(np.uint16), "wrong number of bits"),
    "colours": (lambda labels: np.stack([labels] * 3, axis=2), "wrong number of bits"),
    "compressed": (lambda labels: np.minimum(as_jpeg(labels), 150), "labels compressed or blended"),
    "hardly compressed": (lambda labels: np.minimum(as_jpeg(labels, 95), 150), "labels compressed or blended"),
    "blended": (
        lambda labels: np.asarray(
            Image.fromarray(labels.astype(np.uint8)).resize((53, 41)).resize((70, 50), Image.Resampling.BILINEAR)
        ),
        "labels compressed or blended",
    ),
    "nothing": (lambda labels: labels * 0, "nothing labelled"),
    "turned": (lambda labels: labels.T, "wrong size"),
}


@pytest.mark.parametrize("name", LABELS)
def test_a_fault_of_scene_parsing_is_found(run, tmp_path, name):
    scene_parsing(tmp_path)
    change, kind = LABELS[name]
    place = tmp_path / "annotations" / "training" / "ADE_1.png"
    changed = change(classes(1))
    save(place, changed, np.uint16 if changed.dtype == np.uint16 else np.uint8)
    ran = run("data", "check", tmp_path)
    assert (kind, "ADE_1.png") in all_found(ran) and len({place for _, place in all_found(ran)}) == 1, ran.out


def test_labels_in_a_jpeg_file_of_another_name_are_found(run, tmp_path):
    scene_parsing(tmp_path)
    place = tmp_path / "annotations" / "training" / "ADE_1.png"
    Image.fromarray(classes(1).astype(np.uint8)).save(place, "JPEG")
    assert all_found(run("data", "check", tmp_path)) == {("labels compressed or blended", "ADE_1.png")}


def test_scene_parsing_that_stands_alone_and_a_broken_table_of_names_are_found(run, tmp_path):
    scene_parsing(tmp_path)
    (tmp_path / "images" / "training" / "ADE_1.jpg").unlink()
    (tmp_path / "annotations" / "validation" / "ADE_2.png").unlink()
    (tmp_path / "objectInfo150.txt").write_text("Idx\tName\n1\twall\n")
    ran = run("data", "check", tmp_path)
    found = all_found(ran)
    assert {("picture or map alone", "ADE_1.png"), ("picture or map alone", "ADE_2.jpg")} <= found
    assert "objectInfo150.txt" in {place for _, place in found} and ran.out.count("objectInfo150.txt") == 1, ran.out


FULL = {
    "compressed": (lambda colours: as_jpeg(colours), "labels compressed or blended"),
    "hardly compressed": (lambda colours: as_jpeg(colours, 95), "labels compressed or blended"),
    "class": (lambda colours: np.where(np.arange(3) == 0, 150, 255) * (colours > 0), "unknown class"),
    "ids": (lambda colours: colours[:, :, 1], "wrong number of bits"),
    "nothing": (lambda colours: colours * 0, "nothing labelled"),
}


@pytest.mark.parametrize("name", FULL)
def test_a_fault_of_the_full_release_is_found(run, tmp_path, name):
    path = full_release(tmp_path)
    change, kind = FULL[name]
    save(next(tmp_path.rglob("ADE_1_seg.png")), change(full_colours(classes(1, ids=(2978, 12, 165)))))
    assert (kind, f"{path.name}, line 2") in all_found(run("data", "check", path))


def relabelled(folder, change, name="labels"):
    path = folder / name / "hall" / "1.png"
    save(path, change(stored(path)))


OWN = {
    "class without a name": (lambda folder: relabelled(folder, lambda labels: labels + 3), "unknown class"),
    "colours": (lambda folder: relabelled(folder, lambda labels: np.stack([labels] * 3, axis=2)), "wrong number of bits"),
    "void": (lambda folder: relabelled(folder, lambda labels: labels * 0), "nothing labelled"),
    "size": (lambda folder: relabelled(folder, lambda labels: labels[:-1]), "wrong size"),
    "instances of another size": (lambda folder: relabelled(folder, lambda ids: ids[:-1], "instances"), "wrong size"),
    "instances in colours": (
        lambda folder: relabelled(folder, lambda ids: np.stack([ids] * 3, axis=2), "instances"), "wrong number of bits"
    ),
    "torn instances": (lambda folder: cut(folder / "instances" / "hall" / "1.png"), "torn picture"),
    "instances alone": (lambda folder: (folder / "labels" / "hall" / "1.png").unlink(), "picture or map alone"),
    "no picture": (lambda folder: (folder / "images" / "hall" / "1.png").unlink(), "picture or map alone"),
    "a picture alone": (lambda folder: picture(9).save(folder / "images" / "new.png"), "picture or map alone"),
    "name twice": (lambda folder: picture(9).save(folder / "images" / "hall" / "1.bmp"), "same id"),
    "settings": (lambda folder: (folder / "data.yaml").write_text("near: 5\nfar: 1\n"), "field"),
    "labels as JPEG": (
        lambda folder: (folder / "labels" / "hall" / "1.png").rename(folder / "labels" / "hall" / "1.jpg"),
        "labels compressed or blended",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_a_fault_of_pictures_of_your_own_is_found(run, tmp_path, name):
    make_pictures(tmp_path)
    change, kind = OWN[name]
    change(tmp_path)
    ran = run("data", "check", tmp_path)
    assert ran.code == 1 and kind in kinds(ran), ran.out


def test_a_list_of_your_own_is_checked(run, tmp_path):
    make_pictures(tmp_path)
    rows = [
        {"image": "images/kitchen/0.jpg", "depth": "depth/kitchen/0.png", "id": "a"},
        {"image": "images/hall/1.png", "id": "b"},
        {"image": "images/kitchen/2.jpg", "depth": "depth/hall/1.png", "id": "a"},
        {"image": "images/hall/3.png", "depth": 5},
    ]
    listed(tmp_path, rows, "data.jsonl")
    assert all_found(run("data", "check", tmp_path)) == {
        ("picture or map alone", "data.jsonl, line 2"),
        ("wrong size", "data.jsonl, line 3"),
        ("same id", "data.jsonl, line 3"),
        ("field", "data.jsonl, line 4"),
    }


def test_a_list_that_does_not_tell_its_unit_asks_for_it(run, tmp_path):
    path = hypersim(tmp_path)
    for depth in tmp_path.rglob("depth_plane_*.png"):
        depth.rename(depth.with_name(depth.name.replace("depth_plane", "range")))
    path.write_text(path.read_text().replace("depth_plane", "range"))
    ran = run("data", "check", path)
    assert ran.code == 1 and "say --kind" in ran.out
    assert run("data", "check", path, "--kind", "hypersim").code == 0


def test_data_that_cannot_be_opened_do_not_keep_others_from_being_checked(run, tmp_path):
    hypersim(tmp_path / "a")
    make_pictures(tmp_path / "b")
    (tmp_path / "a" / "hypersim.txt").write_bytes(b"depth_plane \xff")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "dataset.json").write_text("{")
    ran = run("data", "check", tmp_path)
    assert ran.code == 1 and "9 rows" in ran.out, ran.out
    assert all_found(ran) == {("not UTF-8", "hypersim.txt, line 1"), ("not JSON", "c")}


def test_a_list_whose_rows_name_nothing_has_faults_where_its_kind_is_said(run, tmp_path):
    path = listed(tmp_path, [{"a": "b"}])
    assert kinds(run("data", "check", path, "--kind", "nyu")) == {"field"}
