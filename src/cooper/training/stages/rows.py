"""What stages 1 and 2 share around a checkpoint: rows of a scene set, the maps it draws of rooms, and the exam of maps."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cooper.data.batches import rng_of
from cooper.files.pictures import grey_picture
from cooper.model.cooper import CooperModel
from cooper.model.flow import shifted
from cooper.perception import Modality, build_modalities
from cooper.perception.depth import DepthModality
from cooper.scenes.arrays import ScenePictures, load_pictures
from cooper.scenes.store import SceneSet
from cooper.sequence.packing import Row
from cooper.sequence.processor import Processor
from cooper.sequence.segments import LatentSegment, NoisedSegment, Segment, TextSegment, VitSegment, noised
from cooper.trace.prompts import Prompts
from cooper.training.bundles import Bundle
from cooper.training.stages.latents import LatentStore, PictureKey

ROOM_M = (0.3, 8.0)  # depth of rendered rooms


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


class RowSettings(Protocol):
    """What a recipe says of its rows; `draws`: noised copies of each target."""

    @property
    def scenes(self) -> int: ...
    @property
    def timestep_shift(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def draws(self) -> int: ...


def room_modalities(model: CooperModel) -> dict[str, Modality]:
    """The maps of a checkpoint, of rooms. Relative depth is relative to the range of the set, as in the published training."""
    modalities = build_modalities(model.config.modalities)
    depth = modalities["depth"]
    if isinstance(depth, DepthModality) and not depth.metric:
        modalities["depth"] = replace(depth, near=ROOM_M[0], far=ROOM_M[1])
    return modalities


def map_rows(bundle: Bundle, data: Path, latents: Path, recipe: RowSettings) -> MapRows:
    """The rows of a scene set, with its latents kept in the folder `latents`."""
    scenes = SceneSet(data)
    pictures = load_pictures(scenes, recipe.scenes)
    _warn_of_size(bundle, pictures.rgb[0], data)
    store = LatentStore(latents, bundle.model.vae, pictures, room_modalities(bundle.model), scenes.info.count)
    noise = Noise(recipe.timestep_shift, recipe.seed)
    return MapRows(pictures, store, bundle.processor, bundle.prompts, noise, recipe.draws)


def _warn_of_size(bundle: Bundle, rgb: np.ndarray, data: Path) -> None:
    wanted = bundle.processor.canvas(Image.fromarray(rgb)).width
    if wanted != rgb.shape[1]:
        warnings.warn(
            f"pictures of {data} are {rgb.shape[1]} px wide, but this checkpoint reads them at {wanted} px when it answers; "
            f"render a set with --size {wanted}",
            stacklevel=3,
        )


@torch.no_grad()
def grey_latent(bundle: Bundle, rgb: np.ndarray) -> Tensor:
    """The latent of a grey picture of this size."""
    pixels = bundle.processor.vae_pixels(grey_picture(Image.fromarray(rgb)))
    return bundle.model.vae.latents(pixels[None])[0].float().cpu()
