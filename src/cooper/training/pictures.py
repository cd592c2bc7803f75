"""The scenes of a set as arrays in memory, and their maps as the pictures that the model draws.

N: scenes. S: side of the square pictures in pixels. C: channels (3).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from cooper.data.scenes.render import SceneRecord
from cooper.data.scenes.scene import Scene
from cooper.data.scenes.store import SceneSet
from cooper.perception import Modality, Reading
from cooper.perception.metrics import align, confusion, depth_errors, mean_iou

KINDS = ("rgb", "depth", "segmentation")


@dataclass(frozen=True, eq=False)
class ScenePictures:
    """Colour, plane depth in metres, class ids and object ids of N scenes."""

    rgb: UInt8[np.ndarray, "N S S C"]
    depth_m: Float32[np.ndarray, "N S S"]
    labels: UInt8[np.ndarray, "N S S"]
    instances: UInt8[np.ndarray, "N S S"]
    scenes: tuple[Scene, ...] = ()  # what stands where, where questions are to be asked

    def __len__(self) -> int:
        return len(self.rgb)

    def truth(self, index: int) -> Reading:
        """The exact maps of one scene."""
        arrays = {"depth": self.depth_m[index], "labels": self.labels[index], "instances": self.instances[index]}
        return Reading(arrays, {"depth": "m", "labels": "class id", "instances": "instance id"})

    def record(self, index: int) -> SceneRecord:
        """One scene with its description."""
        depth_m, labels, instances = self.depth_m[index], self.labels[index], self.instances[index]
        return SceneRecord(self.rgb[index], depth_m, labels, instances, self.scenes[index])

    def picture(self, index: int, kind: str, modalities: Mapping[str, Modality]) -> Float32[np.ndarray, "S S C"]:
        """One scene as a picture in [0, 1]: its colours (`rgb`), or a map as the modality `kind` draws it."""
        if kind == "rgb":
            return self.rgb[index].astype(np.float32) / np.float32(255)
        return modalities[kind].encode(self.truth(index))


def to_pixels(picture: Float32[np.ndarray, "S S C"]) -> Float32[Tensor, "C S S"]:
    """[0, 1] to the [-1, 1] that networks read, channels first."""
    return torch.from_numpy(np.ascontiguousarray((picture * 2 - 1).transpose(2, 0, 1)))


def load_pictures(scenes: SceneSet, limit: int) -> ScenePictures:
    """The first `limit` scenes of a set, or as many as there are."""
    records = [scenes[index] for index in range(min(limit, len(scenes)))]
    return ScenePictures(
        np.stack([record.rgb for record in records]),
        np.stack([record.depth_m for record in records]),
        np.stack([record.labels for record in records]),
        np.stack([record.instances for record in records]),
        tuple(record.scene for record in records),
    )


@dataclass(frozen=True)
class MapScores:
    """Depth in metres as drawn, depth after affine alignment, and mean IoU of classes."""

    abs_rel: float
    abs_rel_aligned: float
    delta1_aligned: float
    miou: float


@dataclass(frozen=True, eq=False)
class DrawnMaps:
    """Drawn pictures [N, S, S, C] in [0, 1] of the first N scenes of a set."""

    depth: Float32[np.ndarray, "N S S C"]
    segmentation: Float32[np.ndarray, "N S S C"]


def map_scores(drawn: DrawnMaps, pictures: ScenePictures, modalities: Mapping[str, Modality], classes: int) -> MapScores:
    """Mean over scenes for depth, over classes with counts added over scenes for segmentation."""
    errors, aligned = [], []
    counts = np.zeros((classes, classes), dtype=np.int64)
    for index in range(len(drawn.depth)):
        truth = pictures.depth_m[index]
        valid = np.ones(truth.shape, dtype=bool)
        metres = modalities["depth"].decode(drawn.depth[index]).arrays["depth"].clip(0.05)
        errors.append(depth_errors(metres, truth, valid))
        fit = align(metres, truth, valid)
        aligned.append(depth_errors((fit.scale * metres + fit.shift).clip(0.05), truth, valid))
        labels = modalities["segmentation"].decode(drawn.segmentation[index]).arrays["labels"]
        counts += confusion(labels, pictures.labels[index].astype(np.int32), classes)
    return MapScores(
        float(np.mean([error.abs_rel for error in errors])),
        float(np.mean([error.abs_rel for error in aligned])),
        float(np.mean([error.delta1 for error in aligned])),
        mean_iou(counts),
    )
