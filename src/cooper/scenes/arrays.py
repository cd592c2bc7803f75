"""The scenes of a set as arrays in memory, and their maps as the pictures that the model draws.

N: scenes. S: side of the square pictures in pixels. C: channels (3).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from cooper.perception import Modality, Reading
from cooper.perception.components import connected
from cooper.perception.depth import DepthModality
from cooper.perception.metrics import align, confusion, depth_errors, mean_iou, region_iou
from cooper.perception.segmentation import SegmentationModality
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.room.scene import Scene
from cooper.scenes.store import SceneSet

KINDS = ("rgb", "depth", "segmentation")
NEAREST_M = 0.05  # nothing drawn is taken to be nearer


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


@dataclass(frozen=True, eq=False)
class DrawnMaps:
    """Drawn pictures [N, S, S, C] in [0, 1] of the first N scenes of a set."""

    depth: Float32[np.ndarray, "N S S C"]
    segmentation: Float32[np.ndarray, "N S S C"]


def map_scores(drawn: DrawnMaps, pictures: ScenePictures, modalities: Mapping[str, Modality]) -> dict[str, float]:
    """Means over scenes: of depth as drawn in metres (`abs_rel`, where the model draws metres) and after affine alignment;
    `miou` over classes with counts added over scenes, or `region_iou` where the colours of a model mean no classes."""
    depth, segmentation = modalities["depth"], modalities["segmentation"]
    assert isinstance(depth, DepthModality) and isinstance(segmentation, SegmentationModality)
    classes = len(segmentation.names) if segmentation.codec == "scenes" else 0
    found: dict[str, list[float]] = {name: [] for name in ("abs_rel", "abs_rel_aligned", "delta1_aligned", "region_iou")}
    counts = np.zeros((classes, classes), dtype=np.int64)
    for index in range(len(drawn.depth)):
        truth = pictures.depth_m[index]
        valid = np.ones(truth.shape, dtype=bool)
        read = depth.decode(drawn.depth[index]).arrays["depth"]
        if depth.metric:
            read = read.clip(NEAREST_M)
            found["abs_rel"].append(depth_errors(read, truth, valid).abs_rel)
        fit = align(read, truth, valid)
        aligned = depth_errors((fit.scale * read + fit.shift).clip(NEAREST_M), truth, valid)
        found["abs_rel_aligned"].append(aligned.abs_rel)
        found["delta1_aligned"].append(aligned.delta1)
        labels, true_labels = segmentation.decode(drawn.segmentation[index]).arrays["labels"], pictures.labels[index]
        if classes:
            counts += confusion(labels, true_labels.astype(np.int32), classes)
        else:
            found["region_iou"].append(region_iou(labels, connected(true_labels)))
    figures = {name: float(np.mean(values)) for name, values in found.items() if values}
    return {**figures, "miou": mean_iou(counts)} if classes else figures
