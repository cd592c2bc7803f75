"""Depth on published data sets: drawn, aligned, scored, reported, and a sheet of the best, middle and worst pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cooper.data.sources.hypersim import read_hypersim
from cooper.data.sources.kitti import read_kitti
from cooper.data.sources.measured import DepthSet, MeasuredDepth
from cooper.data.sources.nyu import read_nyu
from cooper.data.sources.virtual_kitti import read_virtual_kitti
from cooper.errors import CooperError
from cooper.evaluation.maps import draw_depth
from cooper.evaluation.perception import Conventions, DepthRow, counted, depth_figures, resized_depth
from cooper.evaluation.report import write_report
from cooper.evaluation.rows import open_run
from cooper.evaluation.runner import Plan, Reasoner
from cooper.evaluation.summary import Report
from cooper.perception.metrics import align

DATA_SETS: Mapping[str, Callable[[Path], DepthSet]] = {
    "nyu": read_nyu,
    "kitti": read_kitti,
    "hypersim": read_hypersim,
    "vkitti": read_virtual_kitti,
}
SHOWN = 4  # pictures of each kind on the sheet
SIDE = 224  # px: their longer side


@dataclass(frozen=True)
class DepthSettings:
    """One run over a published data set of depth. `limit`: pictures, None for all."""

    model: str
    dataset: str
    data: Path
    out: Path
    limit: int | None = None
    batch: int = 16
    seed: int = 0
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.dataset not in DATA_SETS:
            raise CooperError(f"unknown data set {self.dataset!r} of depth; known: {', '.join(DATA_SETS)}")
        if self.batch < 1 or (self.limit is not None and self.limit < 1):
            raise CooperError("batch and limit must be at least 1")

    @property
    def record(self) -> dict[str, Any]:
        """What makes two runs the same run."""
        return {
            "benchmark": f"depth on {self.dataset}",
            "model": self.model,
            "data": str(self.data),
            "limit": self.limit,
            "seed": self.seed,
        }


def evaluate_depth(model: Reasoner, settings: DepthSettings) -> Report:
    """Draw what is missing, and write the report and `sheet.png` into `settings.out`.

    The protocol is the affine-invariant one: scale and shift by least squares over the pixels that count, at the truth's
    resolution, clipped to the range; figures per picture, then averaged. CooperError: no such data, or another run in `out`.
    """
    found = DATA_SETS[settings.dataset](settings.data)
    items = list(found.items)[: settings.limit]
    open_run(settings.out, settings.record)
    conventions = Conventions(found.near, found.far, (), frozenset(), box=found.box)
    plan = Plan((), settings.seed, settings.batch, settings.out, quiet=settings.quiet)
    rows = draw_depth(model, items, conventions, plan)
    told = {**settings.record, "pictures": f"{len(items)} of {len(found.items)}"}
    if found.expected and found.expected != len(found.items):
        told["note"] = f"{len(found.items)} pictures are there, {found.expected} belong to the published test set"
    report = Report(told, (), (), depth=depth_figures(rows, settings.seed))
    write_report(report, settings.out)
    contact_sheet(model, items, rows, conventions, settings.seed).save(settings.out / "sheet.png")
    return report


def contact_sheet(
    model: Reasoner, items: Sequence[MeasuredDepth], rows: Sequence[DepthRow], conventions: Conventions, seed: int
) -> Image.Image:
    """Best, middle and worst pictures by aligned AbsRel, a line each: picture, true depth, drawn depth aligned, error."""
    order = sorted(range(len(rows)), key=lambda place: rows[place].aligned.abs_rel)
    middle = len(order) // 2 - min(SHOWN, len(order)) // 2
    chosen = list(dict.fromkeys([*order[:SHOWN], *order[middle : middle + SHOWN], *order[-SHOWN:]]))
    steps = model.draw([items[place].image for place in chosen], "depth", seed=seed)
    lines = []
    for place, step in zip(chosen, steps, strict=True):
        item, truth = items[place], items[place].depth_m
        drawn = resized_depth(model.modalities["depth"].decode(step.drawn).arrays["depth"], truth.shape)
        valid = counted(truth, conventions)
        fit = align(drawn, truth, valid)
        metres = np.clip(fit.scale * drawn + fit.shift, conventions.near, conventions.far)
        error = np.where(valid, np.abs(metres - truth) / np.maximum(truth, 1e-3), 0)
        far = float(np.quantile(truth[valid], 0.99))
        greys = [np.where(valid, truth, 0) / far, metres / far, error / 0.3]
        lines.append(_line([item.image, *(Image.fromarray((grey.clip(0, 1) * 255).astype(np.uint8)) for grey in greys)]))
    return _stacked(lines)


def _line(pictures: Sequence[Image.Image]) -> Image.Image:
    height = round(SIDE * pictures[0].height / max(pictures[0].size))
    width = round(SIDE * pictures[0].width / max(pictures[0].size))
    line = Image.new("RGB", (width * len(pictures), height))
    for place, picture in enumerate(pictures):
        line.paste(picture.convert("RGB").resize((width, height)), (place * width, 0))
    return line


def _stacked(lines: Sequence[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (max(line.width for line in lines), sum(line.height for line in lines)))
    top = 0
    for line in lines:
        sheet.paste(line, (0, top))
        top += line.height
    return sheet
