"""Small pictures for the page: photographs, depth and labels.

H, W: height and width in pixels.
"""

from functools import cache

import numpy as np
from PIL import Image

from cooper.perception.depth import colourise
from cooper.perception.palette import spread_colours
from cooper.perception.segmentation import REGION_COLOURS
from cooper.training.feed.faults.seen import Thumb

THUMB = 176  # px: the longer side of a picture on the page


def thumb(name: str, image: Image.Image) -> Thumb:
    """A picture, small."""
    small = image.convert("RGB") if image.mode != "RGB" else image.copy()
    small.thumbnail((THUMB, THUMB))
    return Thumb(name, small)


def depth_picture(depth: np.ndarray) -> Image.Image:
    """Depth [H, W] in colours, from the nearest to the farthest; black where it is not known."""
    known = np.isfinite(depth) & (depth > 0)
    if not known.any():
        return Image.new("RGB", depth.shape[::-1])
    near, far = (float(value) for value in np.percentile(depth[known], (2, 98)))
    colours = colourise((np.where(known, depth, near) - near) / max(far - near, 1e-6))
    return Image.fromarray(colours * known[:, :, None].astype(np.uint8))


def label_picture(labels: np.ndarray) -> Image.Image:
    """Ids [H, W] in colours that repeat."""
    return Image.fromarray(_colours()[labels % REGION_COLOURS])


@cache
def _colours() -> np.ndarray:
    return np.array(spread_colours(REGION_COLOURS), dtype=np.uint8)
