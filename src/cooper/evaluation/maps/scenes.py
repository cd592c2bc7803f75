"""A rendered scene set as a data set of depth and of segmentation; scenes are read when they are asked for."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cooper.data.sources.depth_pairs import DepthSet
from cooper.data.sources.truths import SegmentationSet
from cooper.evaluation.maps.scores import (
    Conventions,
    Truth,
)
from cooper.scenes.problems import scene_id
from cooper.scenes.room.catalogue import CLASS_IDS, CLASS_NAMES, SHAPES
from cooper.scenes.room.render import FAR, NEAR, SceneRecord
from cooper.scenes.store import SceneSet


@dataclass(frozen=True)
class RenderedScene:
    """One scene of a set."""

    scenes: SceneSet
    index: int

    @property
    def id(self) -> str:
        return scene_id(self.scenes.scene(self.index))

    @property
    def sources(self) -> tuple[Path | bytes, ...]:
        return self._truth.sources

    @property
    def image(self) -> Image.Image:
        return self._truth.image

    @property
    def depth_m(self) -> np.ndarray:
        return self._truth.depth_m

    @property
    def labels(self) -> np.ndarray:
        return self._truth.labels

    @property
    def instances(self) -> np.ndarray:
        return self._truth.instances

    @property
    def _truth(self) -> Truth:
        return scene_truth(self.scenes[self.index])


def read_scene_depth(folder: Path) -> DepthSet:
    """Depth of all scenes, in the range in which `cooper eval scenes` counts it."""
    return DepthSet("scenes", _scenes(folder), CONVENTIONS.near, CONVENTIONS.far)


def read_scene_segmentation(folder: Path) -> SegmentationSet:
    """Classes and objects of all scenes."""
    rules = CONVENTIONS
    words = "objects, and each other class as one"
    return SegmentationSet("scenes", _scenes(folder), words, rules.names, rules.things, rules.void)


def _scenes(folder: Path) -> list[RenderedScene]:
    scenes = SceneSet(folder)
    return [RenderedScene(scenes, index) for index in range(len(scenes))]


CONVENTIONS = Conventions(NEAR, FAR, CLASS_NAMES, frozenset(CLASS_IDS[shape] for shape in SHAPES), CLASS_IDS["void"])


def scene_truth(record: SceneRecord) -> Truth:
    """What the picture of a scene really shows."""
    labels, instances = record.labels.astype(np.int32), record.instances.astype(np.int32)
    return Truth(scene_id(record.scene), Image.fromarray(record.rgb), record.depth_m, labels, instances)
