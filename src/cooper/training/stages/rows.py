"""What stages 1 and 2 share around a checkpoint: rows of a scene set, the maps it draws of rooms, and the exam of maps."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cooper.files.pictures import grey_picture
from cooper.model.cooper import CooperModel
from cooper.perception import Modality, build_modalities
from cooper.perception.depth import DepthModality
from cooper.scenes.arrays import load_pictures
from cooper.scenes.store import SceneSet
from cooper.training.bundles import Bundle
from cooper.training.stages.latents import LatentStore
from cooper.training.stages.maps import AmgRecipe, MapExam, exam_settings
from cooper.training.stages.objective import MapRows, Noise
from cooper.training.stages.reasoning import SftRecipe

ROOM_M = (0.3, 8.0)  # depth of rendered rooms


def room_modalities(model: CooperModel) -> dict[str, Modality]:
    """The maps of a checkpoint, of rooms. Relative depth is relative to the range of the set, as in the published training."""
    modalities = build_modalities(model.config.modalities)
    depth = modalities["depth"]
    if isinstance(depth, DepthModality) and not depth.metric:
        modalities["depth"] = replace(depth, near=ROOM_M[0], far=ROOM_M[1])
    return modalities


def map_rows(bundle: Bundle, data: Path, latents: Path, recipe: AmgRecipe | SftRecipe) -> MapRows:
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


def map_exam(bundle: Bundle, rows: MapRows, scenes: int) -> MapExam:
    """Draws and scores the maps of the first `scenes` held-out scenes."""
    settings = exam_settings(bundle.model.config.drawing_defaults)
    return MapExam(rows, room_modalities(bundle.model), settings, min(scenes, len(rows.pictures)))


@torch.no_grad()
def grey_latent(bundle: Bundle, rgb: np.ndarray) -> Tensor:
    """The latent of a grey picture of this size."""
    pixels = bundle.processor.vae_pixels(grey_picture(Image.fromarray(rgb)))
    return bundle.model.vae.latents(pixels[None])[0].float().cpu()
