"""Segmentation on data sets of regions.

Region IoU looks for each true region's best drawn one, per picture, then averaged. Where the model draws the classes of the
data set, mean IoU and panoptic quality come from counts added over all pictures; else panoptic quality takes all regions for
one class, and the report says why there is no mean IoU. H, W: height and width of the truth in pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from cooper.data.examples import Conventions, Example, ExampleSet
from cooper.data.sources.ade20k import read_ade20k
from cooper.data.sources.pictures import read_pictures
from cooper.evaluation.figures.statistics import Estimate
from cooper.evaluation.maps.drawing import SEGMENTATION
from cooper.evaluation.maps.scores import VOID, SegmentationRow, class_names, drawn_maps, regions_of, segmentation_figures
from cooper.evaluation.suites.maps import MapSuite
from cooper.files.plugins import register
from cooper.perception.metrics import most_shared
from cooper.perception.modality import Drawn, Modality
from cooper.perception.palette import LabelMaps, spread_colours
from cooper.scenes.examples import read_scenes

PROTOCOL = "each true region's best IoU with any drawn one, averaged over regions, then over pictures; void counts nowhere"
COLOURS = 40  # of regions on the sheet, taken in turn
LISTED = 3  # classes that a sentence names
BLANK = np.zeros((32, 32, 3), np.float32)  # a map that is read to learn what a model's maps can say


@dataclass(frozen=True, kw_only=True)
class SegmentationSuite(MapSuite):
    """One run over a data set of regions."""

    KIND = SEGMENTATION
    READERS = {"ade20k": read_ade20k, "scenes": read_scenes, "pictures": partial(read_pictures, maps=("segmentation",))}

    name: str = SEGMENTATION.name

    def protocol(self, modality: Modality, conventions: Conventions) -> tuple[Conventions, Mapping[str, str]]:
        """Without classes where the model and the data set do not have the same."""
        reason = without_classes(class_names(modality.decode(BLANK)), conventions.names)
        told = {"region IoU": PROTOCOL}
        return (replace(conventions, names=()), {**told, "no mIoU": reason}) if reason else (conventions, told)

    def figures(self, rows: Sequence[SegmentationRow], conventions: Conventions) -> Mapping[str, Estimate]:
        return segmentation_figures(rows, conventions, self.seed)

    def error(self, row: SegmentationRow) -> float:
        return 1 - (row.region_iou if row.iou is None else row.iou)

    def panels(self, item: Example, drawn: Drawn, *, modality: Modality, conventions: Conventions) -> list[Image.Image]:
        """The true regions, the map as drawn, and its regions, each in the colour of the true one that it shares most with."""
        regions = regions_of(LabelMaps(item.labels, item.instances), conventions.void)
        read = regions_of(drawn_maps(modality.decode(drawn), regions.shape))
        order = [region for region in np.unique(regions) if region != VOID]
        true, found = (Image.fromarray(painted(each, order)) for each in (regions, most_shared(read, regions, VOID)))
        return [true, modality.render(drawn), found]


def without_classes(drawn: tuple[str, ...], known: tuple[str, ...]) -> str:
    """Why classes cannot be compared, "" if they can. `drawn`: those of the model's maps, `known`: those of the data set."""
    if not known:
        return "the data set does not name its classes"
    if not drawn:
        return "the model draws regions and does not name their classes"
    if drawn != known:
        return f"the model draws other classes ({_listed(drawn)}) than the data set has ({_listed(known)})"
    return ""


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def painted(regions: Int[np.ndarray, "H W"], order: list[int]) -> UInt8[np.ndarray, "H W 3"]:
    """Each region of `order` in a colour of its own, as far as they go; all others are black."""
    black, *colours = spread_colours(COLOURS + 1)
    picture = np.full((*regions.shape, 3), black, dtype=np.uint8)
    for place, region in enumerate(order):
        picture[regions == region] = colours[place % COLOURS]
    return picture


def register_segmentation_set(name: str, read: Callable[[Path], ExampleSet]) -> None:
    """Make a data set of regions available to `cooper eval segmentation --dataset NAME`. ValueError: the name is taken."""
    register(SegmentationSuite.READERS, "data set of segmentation", name, read)
