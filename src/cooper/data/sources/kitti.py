"""KITTI (Geiger et al. 2012; Eigen et al. 2014): 652 test pictures, depth as 16-bit PNG in metres times 256, 0 for none."""

from pathlib import Path

from cooper.data.examples import Box, ExampleSet
from cooper.data.sources.depth_pairs import depth_set, listed_pairs, paired

EIGEN = Box(0.3324324, 0.91351351, 0.0359477, 0.96405229)
PICTURES = "**/image_02/data/*.png"
GARG = Box(0.40810811, 0.99189189, 0.03594771, 0.96405229)


def read_kitti(folder: Path, box: Box = EIGEN) -> ExampleSet:
    """The raw layout, `<date>/<drive>/image_02/data/N.png` with `<drive>/proj_depth/groundtruth/image_02/N.png`; or the
    pairs of a list. Pictures are cut to the benchmark's window; `box` counts within it."""
    found = listed_pairs(folder) or paired(folder, PICTURES, lambda path: depth_beside(folder, path))
    return depth_set("kitti", folder, found, box=box, expected=652)


def depth_beside(folder: Path, picture: Path) -> Path:
    """The depth of a picture, beside it or in a tree of its own."""
    drive = picture.parents[2]
    beside = drive / "proj_depth" / "groundtruth" / "image_02" / picture.name
    return beside if beside.is_file() else folder / drive.name / "proj_depth" / "groundtruth" / "image_02" / picture.name
