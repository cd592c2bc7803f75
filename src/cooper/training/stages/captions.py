"""A picture tower from captions: it learns which words a caption of a picture would hold, and is told no place and no depth.

The published tower, SigLIP's, was taught by captions, too. What it knows about distances is what words about things teach.
Pictures are zooming crops, so that the size of a thing does not tell how far away it is.

N: pictures. P: patches of all of them. K: numbers of one patch. T: tokens of one picture. D: width. Q: names of things, every
colour with every shape. C, S: colours and shapes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from cooper.data.batches import rng_of, shuffled
from cooper.model.config import Transforms, VitGeometry
from cooper.model.vit import Vit
from cooper.scenes.examples import SceneExamples
from cooper.scenes.room.catalogue import CLASS_IDS, COLOURS, FURNITURE, MATERIALS, SHAPES
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.room.sampling import PATTERNS
from cooper.sequence.images import ImageTransform, vit_pixels_CHW
from cooper.sequence.packing import grid_positions
from cooper.sequence.segments import pixel_patches
from cooper.training.loop.trainer import Objective
from cooper.training.scale.sharing import everyones, our_share
from cooper.training.start.network import initialise_tower

COUNTS = 8  # 0 to 7 things
NAMED = 0.6  # the share of a thing that a crop must show for its caption to name it
UNNAMED = 0.1  # below this share it is not named; between them a caption may do either, and nothing is asked
LEAST = 1 / 400  # of the crop: a smaller thing is not named
PLAIN = 0.03  # of the crop: the least a piece of furniture must cover
SUMMARY = (len(MATERIALS), len(FURNITURE), COUNTS, len(PATTERNS), len(PATTERNS))  # answers about the whole picture


@dataclass(frozen=True, eq=False)
class CaptionWords:
    """What captions say: names of things (float, 0 or 1) with those that are asked for, materials and furniture (float), the
    number of things and the patterns of floor and wall (ids)."""

    names_NCS: Tensor
    asked_NCS: Tensor
    materials_N3: Tensor
    furniture_N3: Tensor
    count_N: Tensor
    floor_N: Tensor
    wall_N: Tensor

    def to(self, device: torch.device) -> "CaptionWords":
        return CaptionWords(*(getattr(self, each.name).to(device) for each in fields(self)))


@dataclass(frozen=True, eq=False)
class CaptionBatch:
    """Pictures, all of one size, and the words of their captions."""

    patches_PK: Tensor
    position_P: Tensor
    lengths: tuple[int, ...]
    words: CaptionWords

    def to(self, device: torch.device) -> "CaptionBatch":
        return CaptionBatch(self.patches_PK.to(device), self.position_P.to(device), self.lengths, self.words.to(device))


@dataclass(frozen=True)
class Crop:
    """The part of a square picture that is shown, in pixels; mirrored or not, made brighter by a factor."""

    left: int
    top: int
    side: int
    mirrored: bool = False
    brightness: float = 1.0

    def of(self, array: np.ndarray) -> np.ndarray:
        part = array[self.top : self.top + self.side, self.left : self.left + self.side]
        return part[:, ::-1] if self.mirrored else part


@dataclass(frozen=True, kw_only=True, eq=False)
class CaptionBatches:
    """Makes batches: row r shows a crop of a shuffled scene, as (seed, r) decides. `crops`: the share of pictures that are
    cropped; `zoom`: the least side of a crop, as a fraction of the picture's."""

    examples: SceneExamples
    geometry: VitGeometry
    transforms: Transforms
    seed: int
    crops: float
    zoom: float
    mirror: bool
    jitter: float

    def __call__(self, rows: range) -> CaptionBatch:
        records = [self.examples.record(shuffled(self.seed, row, len(self.examples))) for row in rows]
        return self.batch([(record, self._crop(row, len(record.rgb))) for row, record in zip(rows, records, strict=True)])

    def whole(self, scenes: range) -> CaptionBatch:
        """Scenes as they are."""
        records = [self.examples.record(scene) for scene in scenes]
        return self.batch([(record, Crop(0, 0, len(record.rgb))) for record in records])

    def batch(self, shown: list[tuple[SceneRecord, Crop]]) -> CaptionBatch:
        pixels = [self._pixels(record, crop) for record, crop in shown]
        grid = pixels[0].shape[1] // self.geometry.patch_size
        patches = torch.cat([pixel_patches(each, self.geometry.patch_size) for each in pixels])
        position_P = grid_positions(grid, grid, self.geometry.position_side).repeat(len(shown))
        said = [_caption(record, crop) for record, crop in shown]
        words = CaptionWords(*(torch.from_numpy(np.stack(parts)) for parts in zip(*said, strict=True)))
        return CaptionBatch(patches, position_P, (grid * grid,) * len(shown), words)

    def _crop(self, row: int, side: int) -> Crop:
        rng = rng_of(self.seed, row, 41)
        shown = round(side * rng.uniform(self.zoom, 1.0)) if rng.random() < self.crops else side
        left, top = (int(rng.integers(side - shown + 1)) for _ in range(2))
        mirrored = self.mirror and bool(rng.random() < 0.5)
        return Crop(left, top, shown, mirrored, 1 + self.jitter * float(rng.uniform(-1, 1)))

    def _pixels(self, record: SceneRecord, crop: Crop) -> Tensor:
        picture = (crop.of(record.rgb) * crop.brightness).clip(0, 255).astype(np.uint8)
        image = Image.fromarray(np.ascontiguousarray(picture)).resize(record.rgb.shape[1::-1], Image.Resampling.BICUBIC)
        vae, vit = ImageTransform(*self.transforms.vae), ImageTransform(*self.transforms.vit)
        return vit_pixels_CHW(image, vae, vit, self.transforms.vit_after_vae)


def _caption(record: SceneRecord, crop: Crop) -> tuple[np.ndarray, ...]:
    """The fields of `CaptionWords` for one picture."""
    instances, labels = crop.of(record.instances), crop.of(record.labels)
    most = int(record.instances.max()) + 1
    whole, here = (np.bincount(each.ravel(), minlength=most) for each in (record.instances, instances))
    names, materials = np.zeros((len(COLOURS), len(SHAPES)), np.float32), np.zeros(len(MATERIALS), np.float32)
    asked, count = np.ones_like(names), 0
    for thing in record.scene.objects:
        place = (list(COLOURS).index(thing.colour), SHAPES.index(thing.shape))
        share = here[thing.id] / whole[thing.id]
        if share >= NAMED and here[thing.id] >= LEAST * instances.size:
            names[place], materials[MATERIALS.index(thing.material)], count = 1, 1, count + 1
        elif share > UNNAMED:
            asked[place] = 0
    furniture = np.array([(labels == CLASS_IDS[name]).mean() > PLAIN for name in FURNITURE], np.float32)
    room = record.scene.room
    patterns = (PATTERNS.index(surface.pattern) for surface in (room.floor, room.wall))
    return names, asked, materials, furniture, *(np.array(number) for number in (min(count, COUNTS - 1), *patterns))


class CaptionObjective(Objective):
    """Sigmoid loss of names, as SigLIP scores captions (Zhai et al. 2023), each name attending to the picture with its own
    words; and the loss of the words about the whole picture."""

    terms = ("names", "parts", "summary")

    def __init__(self, geometry: VitGeometry) -> None:
        super().__init__()
        width, self.heads = geometry.hidden_size, geometry.num_attention_heads
        self.weights = (1.0, 0.5, 1.0)
        self.vit = Vit(geometry)
        self.key, self.value = nn.Linear(width, width), nn.Linear(width, width)
        self.colours, self.shapes = (nn.Parameter(torch.randn(len(each), width) * 0.5) for each in (COLOURS, SHAPES))
        self.of_colours, self.of_shapes = (nn.Parameter(torch.randn(len(each), width) * 0.1) for each in (COLOURS, SHAPES))
        self.bias = nn.Parameter(torch.tensor(-2.0))
        self.summary = nn.Parameter(torch.randn(4, width) * 0.5)
        self.head = nn.Linear(4 * width, sum(SUMMARY))
        initialise_tower(self)

    def names(self, batch: CaptionBatch) -> tuple[Tensor, Tensor]:
        """Logits of names [N, C, S], and of what is said about the whole picture [N, sum(SUMMARY)]."""
        count = len(batch.lengths)
        features_NTD = self.vit(batch.patches_PK, batch.position_P, batch.lengths).view(count, batch.lengths[0], -1)
        key_NTD, value_NTD = self.key(features_NTD), self.value(features_NTD)

        def pooled(query_QD: Tensor) -> Tensor:
            split = (each.unflatten(-1, (self.heads, -1)).transpose(-2, -3) for each in (query_QD, key_NTD, value_NTD))
            query, key, value = split
            found = nn.functional.scaled_dot_product_attention(query.expand(count, -1, -1, -1), key, value)
            return found.transpose(1, 2).flatten(2)

        query_QD = (self.colours[:, None] + self.shapes[None]).flatten(0, 1)
        score_QD = (self.of_colours[:, None] + self.of_shapes[None]).flatten(0, 1)
        logits_NQ = (pooled(query_QD) * score_QD).sum(-1) + self.bias
        said = self.head(pooled(self.summary).flatten(1))
        return logits_NQ.float().view(count, len(COLOURS), len(SHAPES)), said.float()

    def counts(self, batch: CaptionBatch) -> Tensor:
        return torch.full((len(self.terms),), float(len(batch.lengths)))

    def forward(self, batch: CaptionBatch) -> Tensor:
        words = batch.words
        logits_NCS, said = self.names(batch)
        emphasis = words.asked_NCS * (1 + 4 * words.names_NCS)
        names = (_sigmoid(logits_NCS, words.names_NCS) * emphasis).sum()
        parts = sum(_sigmoid(logits_NCS.logsumexp(axis), words.names_NCS.amax(axis)).sum() for axis in (1, 2))
        materials, furniture, count, floor, wall = said.split(SUMMARY, dim=-1)
        summary = (
            _sigmoid(materials, words.materials_N3).mean(-1).sum()
            + _sigmoid(furniture, words.furniture_N3).mean(-1).sum()
            + 0.5 * cross_entropy(count, words.count_N, reduction="sum")
            + 0.5 * cross_entropy(floor, words.floor_N, reduction="sum")
            + 0.25 * cross_entropy(wall, words.wall_N, reduction="sum")
        )
        return torch.stack([names, torch.as_tensor(parts), summary])


def _sigmoid(logits: Tensor, truth: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(logits, truth, reduction="none")


@torch.no_grad()
def caption_scores(objective: CaptionObjective, batches: CaptionBatches, limit: int) -> Mapping[str, float]:
    """Of whole held-out pictures: how often the likeliest shape of a colour is right where that colour occurs once, and the
    other way round; how often the number of things is right. Every process must call it."""
    shape_right, colour_right, count_right = [], [], []
    device = objective.bias.device
    for first in our_share().of(range(0, min(limit, len(batches.examples)), 20)):
        batch = batches.whole(range(first, min(first + 20, limit, len(batches.examples))))
        logits_NCS, said = (each.cpu() for each in objective.names(batch.to(device)))
        names_NCS = batch.words.names_NCS
        for axis, right in ((2, shape_right), (1, colour_right)):
            once = names_NCS.sum(axis) == 1
            right += (logits_NCS.argmax(axis) == names_NCS.argmax(axis))[once].tolist()
        count_right += (said.split(SUMMARY, dim=-1)[2].argmax(-1) == batch.words.count_N).tolist()
    found = [everyones(each) for each in (shape_right, colour_right, count_right)]  # in another order than by one process
    means = (float(np.mean(each)) if each else 0.0 for each in found)
    return dict(zip(("shape_of_colour", "colour_of_shape", "count"), means, strict=True))
