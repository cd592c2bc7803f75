"""NYU Depth v2 (Silberman et al. 2012): 654 test pictures, depth as 16-bit PNG in millimetres."""

from pathlib import Path

from cooper.data.examples import Box, Conventions, ExampleSet
from cooper.data.sources.depth_pairs import items_of, listed_pairs, paired, png_metres

BOX = Box(45 / 480, 471 / 480, 41 / 640, 601 / 640)  # the part that Eigen et al. (2014) count


def read_nyu(folder: Path) -> ExampleSet:
    """`rgb_0001.png` with `depth_0001.png` beside it, in any folders below; or the pairs of a list."""
    found = listed_pairs(folder) or paired(
        folder, "**/rgb_*.png", lambda path: path.with_name(path.name.replace("rgb", "depth"))
    )
    return ExampleSet(
        name="nyu",
        items=items_of(folder, found, png_metres(1000)),
        conventions=Conventions(near=1e-3, far=10.0, box=BOX),
        expected=654,
    )
