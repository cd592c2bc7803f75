"""NYU Depth v2 (Silberman et al. 2012): 654 test pictures, depth as 16-bit PNG in millimetres."""

from pathlib import Path

from cooper.data.examples import Box, ExampleSet
from cooper.data.sources.depth_pairs import depth_set, listed_pairs, paired

BOX = Box(45 / 480, 471 / 480, 41 / 640, 601 / 640)  # the part that Eigen et al. (2014) count

PICTURES = "**/rgb_*.png"


def read_nyu(folder: Path) -> ExampleSet:
    """`rgb_0001.png` with `depth_0001.png` beside it, in any folders below; or the pairs of a list."""
    found = listed_pairs(folder) or paired(folder, PICTURES, depth_beside)
    return depth_set("nyu", folder, found, box=BOX, expected=654)


def depth_beside(picture: Path) -> Path:
    """The depth of a picture."""
    return picture.with_name(picture.name.replace("rgb", "depth"))
