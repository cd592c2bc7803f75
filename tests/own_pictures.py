"""A folder of pictures with depth and labels, as a user would make it, for the tests that read one."""

from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("void", "floor", "wall", "box")
SIZES = ((96, 64), (64, 96), (80, 80), (128, 48))


def truth(number: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth in millimetres with a hole, classes with a void strip, and objects: a wall, a floor, two boxes."""
    width, height = size
    depth = np.repeat(np.linspace(6000, 1500, height)[:, None], width, axis=1)
    labels = np.full((height, width), 2)
    labels[height // 2 :] = 1
    instances = np.zeros_like(labels)
    for place in (1, 2):
        left = (place * width // 3 + number) % (width - width // 8)
        box = (slice(height // 3, 2 * height // 3), slice(left, left + width // 8))
        depth[box], labels[box], instances[box] = 1000 + 100 * number, 3, place
    depth[: height // 4, : width // 2] = 0
    labels[-height // 4 :, : width // 2] = 0
    return depth, labels, instances


def save(path: Path, array: np.ndarray, kind: type = np.uint8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(kind)).save(path)
    return path


def make_pictures(folder: Path, count: int = 4) -> Path:
    """`images` as JPEG and PNG, in two folders and of several sizes, with everything that may be known beside them."""
    for number in range(count):
        size = SIZES[number % len(SIZES)]
        name = f"{('kitchen', 'hall')[number % 2]}/{number}"
        rng = np.random.default_rng(number)
        picture = np.repeat(np.repeat(rng.integers(0, 255, (size[1] // 8, size[0] // 8, 3)), 8, 0), 8, 1)
        save(folder / "images" / f"{name}.{('jpg', 'png')[number % 2]}", picture)
        depth, labels, instances = truth(number, size)
        save(folder / "depth" / f"{name}.png", depth, np.uint16)
        save(folder / "labels" / f"{name}.png", labels)
        save(folder / "instances" / f"{name}.png", instances)
    (folder / "data.yaml").write_text(f"near: 0.5\nfar: 7.0\nvoid: 0\nnames: [{', '.join(NAMES)}]\nthings: [box]\n")
    return folder
