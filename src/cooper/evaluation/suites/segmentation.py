"""Segmentation on data sets of regions: drawn, compared, reported, and a sheet of the best, middle and worst pictures.

H, W: height and width of the truth in pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from cooper.data.examples import Example, ExampleSet
from cooper.data.sources.ade20k import read_ade20k
from cooper.evaluation.figures.summary import Report
from cooper.evaluation.maps.drawing import draw_segmentation, modality_of
from cooper.evaluation.maps.scores import VOID, class_names, drawn_maps, regions_of, segmentation_figures
from cooper.evaluation.maps.sheet import contact_sheet
from cooper.evaluation.report.report import write_report
from cooper.evaluation.runs.answering import Reasoner
from cooper.evaluation.suites.maps import AskedMaps, MapSettings
from cooper.files.locks import held
from cooper.files.plugins import register
from cooper.perception.metrics import most_shared
from cooper.perception.modality import Drawn, Modality
from cooper.perception.palette import LabelMaps, spread_colours
from cooper.scenes.examples import read_scenes

DATA_SETS: dict[str, Callable[[Path], ExampleSet]] = {"ade20k": read_ade20k, "scenes": read_scenes}
PROTOCOL = "each true region's best IoU with any drawn one, averaged over regions, then over pictures; void counts nowhere"
COLOURS = 40  # of regions on the sheet, taken in turn
LISTED = 3  # classes that a sentence names
BLANK = np.zeros((32, 32, 3), np.float32)  # a map that is read to learn what a model's maps can say


@dataclass(frozen=True)
class SegmentationSettings(MapSettings):
    """One run over a data set of regions."""

    KIND = "segmentation"
    READERS = DATA_SETS


def register_segmentation_set(name: str, read: Callable[[Path], ExampleSet]) -> None:
    """Make a data set of regions available to `cooper eval segmentation --dataset NAME`. ValueError: the name is taken."""
    register(DATA_SETS, "data set of segmentation", name, read)


def evaluate_segmentation(model: Reasoner, settings: SegmentationSettings, asked: AskedMaps | None = None) -> Report:
    """Draw what is missing, and write the report and `sheet.png` into `settings.out`.

    Region IoU looks for each true region's best drawn one, per picture, then averaged. Where the model draws the classes of
    the data set, mean IoU and panoptic quality come from counts added over all pictures; else panoptic quality takes all
    regions for one class, and the report says why there is no mean IoU. `asked`: what `settings.read()` gave. CooperError: no
    such data, another run in `out`, or another command that holds it.
    """
    with held(settings.out, f"cooper eval segmentation --dataset {settings.dataset}"):
        return _evaluated(model, settings, settings.open(asked or settings.read()))


def _evaluated(model: Reasoner, settings: SegmentationSettings, asked: AskedMaps) -> Report:
    found, items, plan, modality = asked.found, asked.items, settings.plan, modality_of(model, "segmentation")
    reason = without_classes(class_names(modality.decode(BLANK)), found.conventions.names)
    conventions = replace(found.conventions, names=()) if reason else found.conventions
    rows = draw_segmentation(model, items, conventions, plan)
    told = {**settings.told(asked), "regions": found.regions, "region IoU": PROTOCOL}
    if reason:
        told["no mIoU"] = reason
    report = Report(told, (), (), segmentation=segmentation_figures(rows, conventions, settings.seed))
    write_report(report, settings.out)
    if plan.share.first:

        def panels(item: Example, drawn: Drawn) -> list[Image.Image]:
            return region_panels(item, drawn, modality, conventions.void)

        errors = [1 - (row.region_iou if row.iou is None else row.iou) for row in rows]
        contact_sheet(model, "segmentation", items, errors, panels, plan).save(settings.out / "sheet.png")
    return report


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


def region_panels(item: Example, drawn: Drawn, modality: Modality, void: int | None) -> list[Image.Image]:
    """The true regions, the map as drawn, and its regions, each in the colour of the true one that it shares most with."""
    truth = LabelMaps(item.labels, item.instances)
    regions = regions_of(truth, void)
    read = regions_of(drawn_maps(modality.decode(drawn), regions.shape))
    order = [region for region in np.unique(regions) if region != VOID]
    true, found = (Image.fromarray(painted(each, order)) for each in (regions, most_shared(read, regions, VOID)))
    return [true, modality.render(drawn), found]


def painted(regions: Int[np.ndarray, "H W"], order: list[int]) -> UInt8[np.ndarray, "H W 3"]:
    """Each region of `order` in a colour of its own, as far as they go; all others are black."""
    black, *colours = spread_colours(COLOURS + 1)
    picture = np.full((*regions.shape, 3), black, dtype=np.uint8)
    for place, region in enumerate(order):
        picture[regions == region] = colours[place % COLOURS]
    return picture
