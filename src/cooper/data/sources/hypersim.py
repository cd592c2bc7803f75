"""Hypersim (Roberts et al. 2021): 7,682 test pictures, plane depth as 16-bit PNG in millimetres, or the raw HDF5 files.

The raw files hold the distance to the camera's centre; it becomes plane depth by the angle of each pixel's ray. Where a file
`render_entity_id` lies beside them and says -1, nothing was hit.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped

from cooper.data.examples import ExampleSet
from cooper.data.sources.depth_pairs import depth_set, listed_pairs, paired
from cooper.errors import CooperError

NOTHING = -1  # the thing that a ray hit, where it hit none
FOCAL = 886.81  # px, for pictures of 1024 x 768
PICTURES, RAW_PICTURES = "**/rgb_*.png", "**/*_final_preview/frame.*.tonemap.jpg"


def read_hypersim(folder: Path) -> ExampleSet:
    """`rgb_cam_00_fr0000.png` with `depth_plane_cam_00_fr0000.png` beside it; the raw `scene_cam_00_final_preview/frame.0000.
    tonemap.jpg` with `scene_cam_00_geometry_hdf5/frame.0000.depth_meters.hdf5`; or the pairs of a list."""
    found = listed_pairs(folder) or paired(folder, PICTURES, plane_beside)
    if found:
        return depth_set("hypersim", folder, found, expected=7682)
    raw = paired(folder, RAW_PICTURES, distance_beside)
    return depth_set("hypersim", folder, raw, metres=plane_depth, expected=7682)


def plane_beside(picture: Path) -> Path:
    """The processed depth of a picture."""
    return picture.with_name(picture.name.replace("rgb_", "depth_plane_", 1))


def distance_beside(picture: Path) -> Path:
    """The raw distances of a preview."""
    geometry = picture.parent.name.replace("_final_preview", "_geometry_hdf5")
    return picture.parents[1] / geometry / picture.name.replace(".tonemap.jpg", ".depth_meters.hdf5")


def plane_depth(path: Path) -> Float32[np.ndarray, "H W"]:
    """Plane depth in metres from a raw file, 0 where the ray hit nothing. CooperError: no `h5py`, no such data set, or things
    of another size."""
    distance = _dataset(path, "depth").astype(np.float32)
    things_path = path.with_name(path.name.replace(".depth_meters.", ".render_entity_id."))
    if things_path != path and things_path.is_file():
        things = _dataset(things_path, "things")
        if things.shape != distance.shape:
            own, other = (f"{shape[1]} x {shape[0]} px" for shape in (things.shape, distance.shape))
            raise CooperError(f"{things_path} has {own}, the depth beside it {other}")
        distance = np.where(things == NOTHING, np.float32(0), distance)
    return np.nan_to_num(distance * ray_cosines(distance.shape), nan=0.0, posinf=0.0, neginf=0.0)


def _dataset(path: Path, what: str) -> Shaped[np.ndarray, "H W"]:
    """The numbers of a raw file. CooperError: it cannot be read, or has no such numbers."""
    try:
        import h5py
    except ImportError:
        raise CooperError("raw Hypersim files need h5py: pip install h5py") from None
    try:
        with h5py.File(path) as file:
            stored = file["dataset"]
            found = np.asarray(stored[()]) if isinstance(stored, h5py.Dataset) else np.zeros(0)
    except KeyError:
        raise CooperError(f"cannot read the {what} {path}: it has no data set named 'dataset'") from None
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise CooperError(f"cannot read the {what} {path}: it is damaged or no HDF5 file ({error})") from None
    if found.ndim != 2 or found.dtype.kind not in "iuf" or not found.size:
        raise CooperError(f"cannot read the {what} {path}: 'dataset' holds no numbers by row and column")
    return found


def ray_cosines(shape: tuple[int, ...]) -> Float32[np.ndarray, "H W"]:
    """Cosine between each pixel's ray and the axis of the camera; 1 in the middle.

    >>> [round(float(c), 3) for c in ray_cosines((3, 3))[1]]
    [0.933, 1.0, 0.933]
    """
    focal = FOCAL * shape[1] / 1024
    rows, columns = ((np.arange(size) + 0.5 - size / 2) / focal for size in shape)
    return (1 / np.sqrt(1 + rows[:, None] ** 2 + columns[None] ** 2)).astype(np.float32)
