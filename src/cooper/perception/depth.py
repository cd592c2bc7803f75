"""Depth: metres to the grey picture the model draws and back, its colour rendering, and its point cloud.

H, W: height and width of a picture in pixels. N: number of points.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from PIL import Image

from cooper.errors import CooperError
from cooper.files.arguments import real
from cooper.perception.modality import Drawn, Reading, register_modality

# The 11-class diverging "Spectral" scheme of ColorBrewer 2.0 (Cynthia Brewer, Mark Harrower, The Pennsylvania State
# University; Apache-2.0, https://colorbrewer2.org). Small depth is red.
SPECTRAL_ANCHORS = (
    (158, 1, 66),
    (213, 62, 79),
    (244, 109, 67),
    (253, 174, 97),
    (254, 224, 139),
    (255, 255, 191),
    (230, 245, 152),
    (171, 221, 164),
    (102, 194, 165),
    (50, 136, 189),
    (94, 79, 162),
)


@cache
def spectral_table() -> Float64[np.ndarray, "256 3"]:
    """The scheme interpolated linearly to 256 colours in [0, 1]; read-only."""
    anchors = np.array(SPECTRAL_ANCHORS, dtype=np.float64) / 255
    steps = np.linspace(0, 1, len(anchors)) * 255  # where on the table each anchor sits
    wanted = np.linspace(0, 1, 256) * 255
    above = np.clip(np.searchsorted(steps, wanted), 1, len(anchors) - 1)
    share = (wanted - steps[above - 1]) / (steps[above] - steps[above - 1])
    table = share[:, None] * (anchors[above] - anchors[above - 1]) + anchors[above - 1]
    table.setflags(write=False)
    return table


@cache
def spectral_bytes() -> UInt8[np.ndarray, "256 3"]:
    """`spectral_table` times 255 in float32, truncated, as the published code colours its maps; read-only."""
    table = (spectral_table().astype(np.float32) * np.float32(255)).astype(np.uint8)
    table.setflags(write=False)
    return table


def colourise(depth: Float32[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """Colour a map of relative depth in [0, 1]: entry min(int(256 d), 255) of the table."""
    clipped = np.clip(np.asarray(depth, dtype=np.float32), 0, 1)
    return spectral_bytes()[np.minimum((clipped * np.float32(256)).astype(np.int32), 255)]


@dataclass(frozen=True)
class DepthModality:
    """Depth drawn as a grey picture: `near` metres is black, `far` metres is white, linear between.

    `metric` says that the checkpoint was trained on this one range, so that a drawn grey means metres; otherwise
    `decode` gives relative depth from 0 (nearest) to 1 (farthest).
    """

    near: float
    far: float
    metric: bool
    name: str = "depth"
    tag: str = "depth-estimation"

    def __post_init__(self) -> None:
        if not 0 <= self.near < self.far:
            raise CooperError(f"depth range needs 0 <= near < far, got near {self.near} and far {self.far}")

    def encode(self, truth: Reading) -> Drawn:
        """`truth.arrays["depth"]`, [H, W] in metres (or already relative, by its unit), as a picture in [0, 1].

        Depth outside the range, sky at infinity too, is clamped. CooperError: a NaN, or another unit.
        """
        depth = truth.plane("depth", "real").astype(np.float64)
        unit = truth.units.get("depth", "m")
        if np.isnan(depth).any():
            raise CooperError("depth holds NaN: mask such pixels or fill them before encoding")
        if unit not in ("m", "relative"):
            raise CooperError(f"depth has the unit {unit!r}; known: 'm', 'relative'")
        if unit == "m":
            depth = (depth - self.near) / (self.far - self.near)
        grey = np.clip(depth, 0, 1).astype(np.float32)
        return np.repeat(grey[:, :, None], 3, axis=2)

    def decode(self, drawn: Drawn) -> Reading:
        """Mean over channels; `{"depth": float32 [H, W]}` in metres if `metric`, else relative."""
        grey = self.grey(drawn)
        if not self.metric:
            return Reading({"depth": grey}, {"depth": "relative"})
        metres = np.float32(self.near) + grey * np.float32(self.far - self.near)
        return Reading({"depth": metres}, {"depth": "m"})

    def render(self, drawn: Drawn) -> Image.Image:
        """The map in the Spectral colours."""
        return Image.fromarray(colourise(self.grey(drawn)))

    def grey(self, drawn: Drawn) -> Float32[np.ndarray, "H W"]:
        """Relative depth in [0, 1]: the drawn picture, clamped, averaged over its channels."""
        return np.clip(np.asarray(drawn, dtype=np.float32), 0, 1).mean(axis=2, dtype=np.float32)


@dataclass(frozen=True)
class DepthEncoding:
    """How a data set stores depth in 16-bit PNG: stored value / `divisor` = metres, trained and judged on `near`..`far` metres.

    `crop`: (height, width) of the part of each picture that is kept, at the bottom and horizontally centred.
    """

    divisor: float
    near: float
    far: float
    crop: tuple[int, int] | None = None


DEPTH_ENCODINGS = {
    "vkitti": DepthEncoding(100.0, 1e-5, 80.0, crop=(352, 1216)),
    "kitti": DepthEncoding(256.0, 1e-5, 80.0, crop=(352, 1216)),
    "hypersim": DepthEncoding(1000.0, 1e-5, 65.0),
    "nyu": DepthEncoding(1000.0, 1e-3, 10.0),
}


def published_target(png: Image.Image, dataset: str, size: tuple[int, int]) -> Drawn:
    """The training target of the published code for a (cropped) 16-bit depth PNG, as a picture in [0, 1].

    `size` is (width, height) after the autoencoder's resize rule. The resize runs on the 16-bit values, bicubic, so
    its result depends on the Pillow version where a side grows.
    """
    if dataset not in DEPTH_ENCODINGS:
        raise CooperError(f"unknown depth data set {dataset!r}; known: {', '.join(sorted(DEPTH_ENCODINGS))}")
    if not png.mode.startswith("I"):
        raise CooperError(f"depth picture has the mode {png.mode!r}; a 16-bit grey PNG is needed")
    encoding = DEPTH_ENCODINGS[dataset]
    stored = np.asarray(png.resize(size, Image.Resampling.BICUBIC), dtype=np.float64)
    metres = Reading({"depth": stored / encoding.divisor}, {"depth": "m"})
    return DepthModality(encoding.near, encoding.far, metric=True).encode(metres)


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera, in pixels: focal lengths and principal point, with pixel (0, 0) centred at (0.5, 0.5)."""

    fx: float
    fy: float
    cx: float
    cy: float


def intrinsics_of(field_of_view: float, width: int, height: int, aspect: float | None = None) -> Intrinsics:
    """A centred principal point; `field_of_view` is horizontal, in degrees. Pixels are square unless `aspect`, the width of
    what is seen over its height, says that the picture was stretched to its size."""
    field_of_view = real(field_of_view, "the field of view")
    if not 0 < field_of_view < 180:
        raise CooperError(f"field of view must lie between 0 and 180 degrees, got {field_of_view}")
    focal = width / 2 / np.tan(np.radians(field_of_view) / 2)
    stretch = 1.0 if aspect is None else aspect * height / width
    return Intrinsics(float(focal), float(focal * stretch), width / 2, height / 2)


@dataclass(frozen=True, eq=False, repr=False)
class PointCloud:
    """Coloured points in the camera's frame, in metres: x to the right, y down, z forward."""

    points: Float32[np.ndarray, "N 3"]
    colours: UInt8[np.ndarray, "N 3"]

    def __repr__(self) -> str:
        return f"<PointCloud: {len(self.points):,} points>"


def point_cloud(
    depth: Float32[np.ndarray, "H W"], rgb: UInt8[np.ndarray, "H W 3"], camera: Intrinsics | float = 60.0
) -> PointCloud:
    """Lift plane depth (distance along the optical axis, metres) to points; pixels without positive depth are left out.

    `camera` is the pinhole camera or its horizontal field of view in degrees.
    """
    if depth.shape != rgb.shape[:2]:
        raise CooperError(f"depth is {depth.shape} and the picture {rgb.shape[:2]}: they must be of one size")
    height, width = depth.shape
    pinhole = camera if isinstance(camera, Intrinsics) else intrinsics_of(camera, width, height)
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    x = (columns - pinhole.cx) / pinhole.fx * depth
    y = (rows - pinhole.cy) / pinhole.fy * depth
    seen = np.isfinite(depth) & (depth > 0)
    points = np.stack([x[seen], y[seen], depth[seen]], axis=1).astype(np.float32)
    return PointCloud(points, np.asarray(rgb, dtype=np.uint8)[seen])


def write_ply(path: str | Path, cloud: PointCloud) -> None:
    """Save as binary little-endian PLY: x, y, z as float32 and red, green, blue as bytes."""
    vertex = np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3)])
    rows = np.empty(len(cloud.points), dtype=vertex)
    rows["xyz"], rows["rgb"] = cloud.points, cloud.colours
    header = ["ply", "format binary_little_endian 1.0", "comment camera frame, metres: x right, y down, z forward"]
    header += [f"element vertex {len(rows)}"]
    header += [f"property float {axis}" for axis in "xyz"]
    header += [f"property uchar {channel}" for channel in ("red", "green", "blue")]
    header += ["end_header", ""]
    Path(path).write_bytes("\n".join(header).encode("ascii") + rows.tobytes())


register_modality("depth", DepthModality)
