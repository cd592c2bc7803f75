"""Virtual KITTI 2 (Cabon et al. 2020): rendered streets, depth as 16-bit PNG in centimetres, 65535 for the sky."""

from pathlib import Path

from cooper.data.examples import ExampleSet
from cooper.data.sources.depth_pairs import depth_set, listed_pairs, paired

PICTURES = "**/frames/rgb/*/rgb_*.*"
SKY = 65535


def read_virtual_kitti(folder: Path) -> ExampleSet:
    """`SceneXX/<variation>/frames/rgb/Camera_N/rgb_M.jpg` with `frames/depth/Camera_N/depth_M.png`, in one
    tree or in the trees `rgb` and `depth`; or the pairs of a list."""
    found = listed_pairs(folder) or paired(folder, PICTURES, depth_beside)
    return depth_set("vkitti", folder, found, none=SKY)


def depth_beside(picture: Path) -> Path:
    """The depth of a picture: in its tree, or in a tree `depth` beside its tree `rgb`, as the two archives are unpacked."""
    name = f"{picture.stem.replace('rgb', 'depth')}.png"
    camera, frames = picture.parent.name, picture.parents[2]
    tree = frames.parents[2] if len(frames.parents) > 2 else frames
    beside = frames / "depth" / camera / name
    if tree.name == "rgb" and not beside.is_file():
        return tree.with_name("depth") / frames.relative_to(tree) / "depth" / camera / name
    return beside
