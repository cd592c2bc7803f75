"""Virtual KITTI 2 (Cabon et al. 2020): rendered streets, depth as 16-bit PNG in centimetres, 65535 for the sky."""

from pathlib import Path

from cooper.data.examples import ExampleSet
from cooper.data.sources.depth_pairs import depth_set, listed_pairs, paired

PICTURES = "**/frames/rgb/*/rgb_*.*"
SKY = 65535


def read_virtual_kitti(folder: Path) -> ExampleSet:
    """`SceneXX/<variation>/frames/rgb/Camera_N/rgb_M.jpg` with `frames/depth/Camera_N/depth_M.png`; or the pairs of a list."""
    found = listed_pairs(folder) or paired(folder, PICTURES, depth_beside)
    return depth_set("vkitti", folder, found, none=SKY)


def depth_beside(picture: Path) -> Path:
    """The depth of a picture."""
    camera, frames = picture.parent.name, picture.parents[2]
    return frames / "depth" / camera / f"{picture.stem.replace('rgb', 'depth')}.png"
