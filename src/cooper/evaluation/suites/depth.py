"""Depth on published data sets.

The protocol is the affine-invariant one: scale and shift by least squares over the pixels that count, at the truth's
resolution, clipped to the range; figures per picture, then averaged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from cooper.data.examples import Conventions, Example, ExampleSet
from cooper.data.sources.hypersim import read_hypersim
from cooper.data.sources.kitti import read_kitti
from cooper.data.sources.nyu import read_nyu
from cooper.data.sources.pictures import read_pictures
from cooper.data.sources.virtual_kitti import read_virtual_kitti
from cooper.evaluation.figures.statistics import Estimate
from cooper.evaluation.maps.drawing import DEPTH
from cooper.evaluation.maps.scores import DepthRow, counted, depth_figures, resized_depth
from cooper.evaluation.suites.maps import MapSuite
from cooper.files.plugins import register
from cooper.perception.metrics import align
from cooper.perception.modality import Drawn, Modality
from cooper.scenes.examples import read_scenes


@dataclass(frozen=True, kw_only=True)
class DepthSuite(MapSuite):
    """One run over a data set of depth."""

    KIND = DEPTH
    READERS = {
        "nyu": read_nyu,
        "kitti": read_kitti,
        "hypersim": read_hypersim,
        "vkitti": read_virtual_kitti,
        "scenes": read_scenes,
        "pictures": partial(read_pictures, maps=("depth",)),
    }

    name: str = DEPTH.name

    def figures(self, rows: Sequence[DepthRow], conventions: Conventions) -> Mapping[str, Estimate]:
        return depth_figures(rows)

    def error(self, row: DepthRow) -> float:
        return row.aligned.abs_rel

    def panels(self, item: Example, drawn: Drawn, *, modality: Modality, conventions: Conventions) -> list[Image.Image]:
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


def register_depth_set(name: str, read: Callable[[Path], ExampleSet]) -> None:
    """Make a data set of depth available to `cooper eval depth --dataset NAME`. ValueError: the name is taken."""
    register(DepthSuite.READERS, "data set of depth", name, read)
