"""What a caller gets who asks for a map: its meaning, its look, and the picture that it belongs to."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cooper.errors import CooperError
from cooper.perception.depth import PointCloud, intrinsics_of, point_cloud, write_ply
from cooper.perception.modality import Reading
from cooper.trace.page import save_with_page
from cooper.trace.trace import Trace


@dataclass(frozen=True, eq=False, repr=False)
class DrawnMap:
    """A map of a picture: what it means (`reading`), how it looks (`picture`), and the picture it was drawn of.

    `reading.arrays["depth"]` is float32 [H, W] with `reading.units["depth"]` "m" or "relative"; segmentation has int32 arrays
    "labels" and "instances" [H, W], and `reading.names` says what a label means. H and W are those of `source`: the picture
    as it was given, or the smaller one that the model drew on, if the map was asked for with `native`. `trace` records how it
    was drawn and keeps the map as drawn. `aspect` is the given picture's width over its height.
    """

    reading: Reading
    picture: Image.Image
    source: Image.Image
    trace: Trace
    aspect: float | None = None

    def __repr__(self) -> str:
        return f"<DrawnMap of {self.source.width} x {self.source.height} px: {self.reading!r}>"

    def point_cloud(self, field_of_view: float = 60.0) -> PointCloud:
        """The coloured points of a depth map for a horizontal field of view in degrees. Units are those of the depth."""
        if "depth" not in self.reading.arrays:
            raise CooperError("a point cloud needs a depth map, and this map is none")
        camera = intrinsics_of(field_of_view, *self.source.size, self.aspect)
        return point_cloud(self.reading.arrays["depth"], np.asarray(self.source), camera)

    def save(self, folder: str | Path, cloud: PointCloud | None = None) -> None:
        """Save the trace with its page, `map.png`, the arrays as `map_NAME.npy`, and a point cloud as `points.ply`: all or
        nothing. CooperError names the folder."""

        def beside(draft: Path) -> None:
            self.picture.save(draft / "map.png")
            for name, array in self.reading.arrays.items():
                np.save(draft / f"map_{name}.npy", array, allow_pickle=False)
            if cloud is not None:
                write_ply(draft / "points.ply", cloud)

        save_with_page(self.trace, folder, beside=beside)
