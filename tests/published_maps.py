"""Published sets of maps in their layouts, made small, for the tests that check or read one."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.own_pictures import save
from tests.reasoning_files import picture


def room(number: int, size: tuple[int, int] = (64, 48), near: float = 0.8, far: float = 9.0) -> np.ndarray:
    """Metres [H, W]: a floor that comes near, and a box that differs by number."""
    width, height = size
    depth = np.repeat(np.linspace(far, near, height)[:, None], width, axis=1)
    depth[height // 3 : height // 2, 5 + number : 5 + number + width // 4] = near * 1.5
    return depth


def listed(folder: Path, rows: list[dict[str, str]], name: str = "filename_list_train_filtered.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def hypersim(folder: Path, count: int = 4) -> Path:
    """Processed Hypersim with its filtered list: millimetres, a corner without a surface."""
    rows = []
    for number in range(count):
        rgb, depth = (f"ai_001_001/{kind}_cam_00_fr{number:04d}.png" for kind in ("rgb", "depth_plane"))
        (folder / rgb).parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(folder / rgb)
        stored = room(number) * 1000
        stored[:2, :2] = 0
        save(folder / depth, stored, np.uint16)
        rows.append({"rgb_image": rgb, "depth_image": depth})
    return listed(folder, rows)


def virtual_kitti(folder: Path, count: int = 3) -> Path:
    """Two trees beside each other: centimetres, a third of the picture sky."""
    rows = []
    for number in range(count):
        camera = "Scene01/clone/frames/{0}/Camera_0/{0}_0000{1}"
        rgb, depth = f"rgb/{camera.format('rgb', number)}.jpg", f"depth/{camera.format('depth', number)}.png"
        (folder / rgb).parent.mkdir(parents=True, exist_ok=True)
        picture(number, (1216, 352)).save(folder / rgb)
        stored = room(number, (1216, 352), 3, 70) * 100
        stored[:117] = 65535
        save(folder / depth, stored, np.uint16)
        rows.append({"rgb_image": rgb, "depth_image": depth})
    return listed(folder, rows, "train.jsonl")


def classes(number: int, size: tuple[int, int] = (70, 50), ids: tuple[int, ...] = (12, 4, 150)) -> np.ndarray:
    """Ids [H, W] in upright stripes, 0 (void) above."""
    labels = np.zeros((size[1], size[0]), dtype=np.int32)
    for place, name in enumerate(ids):
        labels[9 + number :, place * size[0] // len(ids) : (place + 1) * size[0] // len(ids)] = name
    return labels


def scene_parsing(folder: Path, count: int = 3) -> Path:
    for number in range(count):
        split = "training" if number < count - 1 else "validation"
        (folder / "images" / split).mkdir(parents=True, exist_ok=True)
        picture(number, (70, 50)).resize((70, 50)).save(folder / "images" / split / f"ADE_{number}.jpg")
        save(folder / "annotations" / split / f"ADE_{number}.png", classes(number))
    return folder


def full_colours(labels: np.ndarray) -> np.ndarray:
    """Ids [H, W] as the full release writes them [H, W, 3]; one object a class."""
    return np.stack([labels // 256 * 10, labels % 256, (labels > 0).astype(np.int32)], axis=2)


def full_release(folder: Path, count: int = 3) -> Path:
    """Pictures with `_seg.png` beside them, and the published list."""
    rows = []
    for number in range(count):
        place = f"images/ADE/training/street/ADE_{number}"
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        picture(number, (70, 50)).resize((70, 50)).save(folder / f"{place}.jpg")
        save(folder / f"{place}_seg.png", full_colours(classes(number, ids=(2978, 12, 165))))
        rows.append({"data_idx": str(number), "rgb_image": f"{place}.jpg", "seg_image": f"{place}_seg.png"})
    return listed(folder, rows, "ade20k_train_identify.jsonl")


def stored(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).copy()
