"""NYU Depth v2 (Silberman et al. 2012): 654 test pictures, depth as 16-bit PNG in millimetres."""

from pathlib import Path

from cooper.data.examples import Box, ExampleSet
from cooper.data.sources.depth_pairs import depth_set, listed_pairs, paired

BOX = Box(45 / 480, 471 / 480, 41 / 640, 601 / 640)  # the part that Eigen et al. (2014) count


def read_nyu(folder: Path) -> ExampleSet:
    """`rgb_0001.png` with `depth_0001.png` beside it, in any folders below; or the pairs of a list."""
    found = listed_pairs(folder) or paired(
        folder, "**/rgb_*.png", lambda path: path.with_name(path.name.replace("rgb", "depth"))
    )
    return depth_set("nyu", folder, found, box=BOX, expected=654)
