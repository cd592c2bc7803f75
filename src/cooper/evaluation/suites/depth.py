"""Depth on published data sets: drawn, aligned, scored, reported, and a sheet of the best, middle and worst pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cooper.data.examples import Conventions, Example, ExampleSet
from cooper.data.sources.hypersim import read_hypersim
from cooper.data.sources.kitti import read_kitti
from cooper.data.sources.nyu import read_nyu
from cooper.data.sources.virtual_kitti import read_virtual_kitti
from cooper.evaluation.figures.summary import Report
from cooper.evaluation.maps.drawing import draw_depth
from cooper.evaluation.maps.scores import counted, depth_figures, resized_depth
from cooper.evaluation.maps.sheet import contact_sheet
from cooper.evaluation.report.report import write_report
from cooper.evaluation.runs.answering import Reasoner
from cooper.evaluation.suites.maps import AskedMaps, MapSettings
from cooper.files.locks import held
from cooper.files.plugins import register
from cooper.perception.metrics import align
from cooper.perception.modality import Drawn, Modality
from cooper.scenes.examples import read_scenes

DATA_SETS: dict[str, Callable[[Path], ExampleSet]] = {
    "nyu": read_nyu,
    "kitti": read_kitti,
    "hypersim": read_hypersim,
    "vkitti": read_virtual_kitti,
    "scenes": read_scenes,
}


@dataclass(frozen=True)
class DepthSettings(MapSettings):
    """One run over a data set of depth."""

    KIND = "depth"
    READERS = DATA_SETS


def register_depth_set(name: str, read: Callable[[Path], ExampleSet]) -> None:
    """Make a data set of depth available to `cooper eval depth --dataset NAME`. ValueError: the name is taken."""
    register(DATA_SETS, "data set of depth", name, read)


def evaluate_depth(model: Reasoner, settings: DepthSettings, asked: AskedMaps | None = None) -> Report:
    """Draw what is missing, and write the report and `sheet.png` into `settings.out`.

    The protocol is the affine-invariant one: scale and shift by least squares over the pixels that count, at the truth's
    resolution, clipped to the range; figures per picture, then averaged. `asked`: what `settings.read()` gave. CooperError: no
    such data, another run in `out`, or another command that holds it.
    """
    with held(settings.out, f"cooper eval depth --dataset {settings.dataset}"):
        return _evaluated(model, settings, settings.open(asked or settings.read()))


def _evaluated(model: Reasoner, settings: DepthSettings, asked: AskedMaps) -> Report:
    found, items, plan = asked.found, asked.items, settings.plan
    conventions = found.conventions
    rows = draw_depth(model, items, conventions, plan)
    report = Report(settings.told(asked), (), (), depth=depth_figures(rows))
    write_report(report, settings.out)
    if plan.share.first:
        modality, errors = model.modalities["depth"], [row.aligned.abs_rel for row in rows]

        def panels(item: Example, drawn: Drawn) -> list[Image.Image]:
            return depth_panels(item, drawn, modality, conventions)

        contact_sheet(model, "depth", items, errors, panels, plan).save(settings.out / "sheet.png")
    return report


def depth_panels(item: Example, drawn: Drawn, modality: Modality, conventions: Conventions) -> list[Image.Image]:
    """True depth, drawn depth aligned, and the relative error, white from 0.3 on."""
    truth = item.depth_m
    depth = resized_depth(modality.decode(drawn).arrays["depth"], truth.shape)
    valid = counted(truth, conventions)
    fit = align(depth, truth, valid)
    metres = np.clip(fit.scale * depth + fit.shift, conventions.near, conventions.far)
    error = np.where(valid, np.abs(metres - truth) / np.maximum(truth, 1e-3), 0)
    far = float(np.quantile(truth[valid], 0.99))
    greys = [np.where(valid, truth, 0) / far, metres / far, error / 0.3]
    return [Image.fromarray((grey.clip(0, 1) * 255).astype(np.uint8)) for grey in greys]
