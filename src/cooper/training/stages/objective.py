"""The objective of stages 1 and 2 over packed sequences, and the parts that their rows share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cooper.data.batches import rng_of
from cooper.errors import CooperError
from cooper.files.values import AtLeast, AtMost, Weight
from cooper.model.cooper import CooperModel
from cooper.model.flow import shifted
from cooper.scenes.arrays import ScenePictures
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import Row
from cooper.sequence.processor import Processor
from cooper.sequence.segments import LatentSegment, NoisedSegment, Segment, TextSegment, VitSegment, noised
from cooper.trace.prompts import Prompts
from cooper.training.loop.trainer import Objective
from cooper.training.stages.latents import LatentStore, PictureKey

Draws = Annotated[int, AtLeast(1), AtMost(64)]  # noised copies of one target


@dataclass(frozen=True)
class LossWeights:
    """Weights of the mean cross-entropy of text and the mean squared error of velocities."""

    ce: Weight = 1.0
    mse: Weight = 1.0


class PackedObjective(Objective):
    """Cross-entropy and velocity error of a model; its autoencoder and the parts named `frozen` stay as they are."""

    terms = ("ce", "mse")

    def __init__(self, model: CooperModel, weights: LossWeights, frozen: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.model = model
        self.weights = (weights.ce, weights.mse)
        freeze(model, ("vae", *frozen))

    def counts(self, batch: PackedSequence) -> Tensor:
        return torch.tensor([len(batch.targets.ids_S), len(batch.targets.velocity_index_M)], dtype=torch.float32)

    def forward(self, batch: PackedSequence) -> Tensor:
        losses = self.model.losses(batch)
        return torch.stack([losses.ce_sum, losses.mse_sum])


def freeze(model: CooperModel, names: Sequence[str]) -> None:
    """Keep as they are all weights in whose dotted name `names` occur: `vit`, or `und` for one expert of every layer.

    CooperError: no weight has such a name.
    """
    weights = {f".{name}.": weight for name, weight in model.named_parameters()}
    for name in names:
        chosen = [weight for path, weight in weights.items() if f".{name}." in path]
        if not chosen:
            known = ", ".join(name for name, _ in model.named_children())
            raise CooperError(f"recipe: frozen names {name!r}, no part of the network; known: und, gen, {known}")
        for weight in chosen:
            weight.requires_grad_(False)
    if not any(weight.requires_grad for weight in weights.values()):
        raise CooperError("recipe: frozen leaves no weight that could be trained")


@dataclass(frozen=True)
class Noise:
    """How targets are noised: the shift of the times, and the seed. One time per target picture."""

    shift: float
    seed: int

    def of(self, latent_zhw: Tensor, patch: int, row: int, target: int) -> NoisedSegment:
        """Target number `target` of a row, noised; (seed, row, target) decides time and noise."""
        rng = rng_of(self.seed, row, target, 7)
        t = float(shifted(torch.tensor(rng.standard_normal()).sigmoid(), self.shift))
        channels, height, width = latent_zhw.shape
        shape = (height // patch * (width // patch), channels * patch**2)
        return noised(latent_zhw, torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)), t, patch)


@dataclass(frozen=True, eq=False)
class MapRows:
    """Rows of stage 1: a picture read once, then for each map its request and its noised targets as branches.

    `draws`: noised copies of each target, every one with its own time and noise.
    """

    pictures: ScenePictures
    latents: LatentStore
    processor: Processor
    prompts: Prompts
    noise: Noise
    draws: int = 1

    def row(self, number: int, scene: int, mirrored: bool, names: tuple[str, ...]) -> Row:
        """Row `number` of the run: the maps `names` of one scene."""
        segments: list[Segment] = [*self.read(scene, mirrored)]
        parents = [-1, 0]
        for place, name in enumerate(names):
            request = len(segments)
            segments.append(TextSegment(self.processor.encode(self.prompts.requests[name])))
            parents.append(1)
            target = self.latents.get(PictureKey(scene, name, mirrored))
            for draw in range(self.draws):
                number_of = place * self.draws + draw
                segments.append(self.noise.of(target, self.processor.geometry.latent_patch, number, number_of))
                parents.append(request)
        return Row(tuple(segments), tuple(parents))

    def read(self, scene: int, mirrored: bool) -> tuple[LatentSegment, VitSegment]:
        """The picture of a scene as the model reads it."""
        rgb = self.pictures.rgb[scene]
        image = Image.fromarray(np.ascontiguousarray(rgb[:, ::-1]) if mirrored else rgb)
        return (
            LatentSegment(self.latents.get(PictureKey(scene, "rgb", mirrored))),
            VitSegment(self.processor.vit_pixels(image)),
        )
