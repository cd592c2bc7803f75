"""Stage 1: drawing auxiliary maps. A picture, the request for a map, and the map as a flow target.

B: scenes drawn together. N: latent tokens. D: width of a latent token.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from PIL import Image

from cooper.data.batches import rng_of, shuffled
from cooper.errors import CooperError
from cooper.files.values import AtLeast, AtMost, Count, Positive, Seed
from cooper.model.config import DrawingDefaults
from cooper.perception import Modality
from cooper.reasoning.context import begin
from cooper.reasoning.denoising import Drawer, DrawnLatents, draw
from cooper.scenes.arrays import DrawnMaps, ScenePictures, map_scores
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import pack
from cooper.sequence.segments import TextSegment, tokens_latent
from cooper.training.bundles import Bundle, NetworkShape
from cooper.training.recipe import Optimiser, RecordSettings, check_map_names
from cooper.training.stages.latents import PictureKey
from cooper.training.stages.objective import Draws, LossWeights, MapRows


@dataclass(frozen=True)
class AmgRecipe:
    """`init` continues a checkpoint, of our layout or the published one: a folder, a hub id or `nano`; `base` names the one
    that has configuration, tokenizer and autoencoder, if `init` holds only weights. Without `init` the network starts new
    around `autoencoder`. `vision`: a picture tower to begin with, in place of the one there is. `latents`: the folder of an
    earlier run's latents, to be used again. `frozen`: parts of the network that are not trained. `draws`: noised copies of
    each target per row. `mirror`: show half of the rows with left and right exchanged. `words`: tokenizer entries.
    """

    out: Path
    data: Path
    val: Path
    optimiser: Optimiser
    init: Path | None = None
    base: Path | None = None
    autoencoder: Path | None = None
    vision: Path | None = None
    latents: Path | None = None
    frozen: tuple[str, ...] = ()
    network: NetworkShape = field(default_factory=NetworkShape)
    maps: tuple[str, ...] = ("depth", "segmentation")
    loss: LossWeights = field(default_factory=LossWeights)
    record: RecordSettings = field(default_factory=RecordSettings)
    timestep_shift: Positive = 1.0
    draws: Draws = 1
    mirror: bool = True
    scenes: Count = 100_000
    words: Annotated[int, AtLeast(300), AtMost(10**6)] = 1024
    eval_scenes: Count = 64
    seed: Seed = 0

    def __post_init__(self) -> None:
        if self.init is None and self.autoencoder is None:
            raise CooperError("init or autoencoder is missing: a checkpoint to continue, or an autoencoder to start around")
        check_map_names(self.maps)


@dataclass(frozen=True, eq=False)
class MapBatches:
    """Makes packed batches; row r shows a shuffled scene, mirrored or not, as (seed, r) decides."""

    rows: MapRows
    recipe: AmgRecipe

    def __call__(self, numbers: range) -> PackedSequence:
        seed, count = self.recipe.seed, len(self.rows.pictures)
        scenes = [shuffled(seed, number, count) for number in numbers]
        mirrored = [self.recipe.mirror and rng_of(seed, number, 3).random() < 0.5 for number in numbers]
        self.rows.latents.fill(
            [
                PictureKey(scene, kind, mirror)
                for scene, mirror in zip(scenes, mirrored, strict=True)
                for kind in ("rgb", *self.recipe.maps)
            ]
        )
        packed = [
            self.rows.row(number, scene, mirror, self.recipe.maps)
            for number, scene, mirror in zip(numbers, scenes, mirrored, strict=True)
        ]
        return pack(packed, self.rows.processor.geometry)


@dataclass(frozen=True, eq=False)
class MapExam:
    """Draws maps of held-out scenes with the sampler that inference uses, and scores them."""

    rows: MapRows
    modalities: Mapping[str, Modality]
    settings: DrawingDefaults
    count: int

    @torch.no_grad()
    def drawn(self, bundle: Bundle) -> DrawnMaps:
        """Both maps of the first `count` scenes."""
        return DrawnMaps(*(self._drawn(bundle, name) for name in ("depth", "segmentation")))

    def _drawn(self, bundle: Bundle, name: str) -> np.ndarray:
        model, geometry = bundle.model, bundle.processor.geometry
        request = TextSegment(bundle.processor.encode(bundle.prompts.requests[name]))
        contexts = begin(model, geometry, [[*self.rows.read(scene, False), request] for scene in range(self.count)])
        side = self.rows.pictures.rgb.shape[1] // model.vae.geometry.downsampling // geometry.latent_patch
        grid, shape = (side, side), (side * side, geometry.latent_width)
        noises = [torch.from_numpy(rng_of(scene, 11).standard_normal(shape, dtype=np.float32)) for scene in range(self.count)]
        drawers = [Drawer(context, grid, noise) for context, noise in zip(contexts, noises, strict=True)]
        *_, last = draw(model, geometry, drawers, self.settings)
        assert isinstance(last, DrawnLatents)
        latents_BZhw = torch.stack([tokens_latent(latent, grid, geometry.latent_patch) for latent in last.latents])
        return model.vae.decode(latents_BZhw).float().permute(0, 2, 3, 1).cpu().numpy()

    def scores(self, drawn: DrawnMaps) -> dict[str, float]:
        """`drawn` against the truth."""
        return map_scores(drawn, self.rows.pictures, self.modalities)


def contact_sheet(pictures: ScenePictures, drawn: DrawnMaps, modalities: Mapping[str, Modality], count: int = 8) -> Image.Image:
    """One row per scene: picture, true and drawn depth, true and drawn segmentation."""
    rows = []
    for scene in range(min(count, len(drawn.depth))):
        cells = [pictures.picture(scene, "rgb", modalities)]
        for name, maps in (("depth", drawn.depth), ("segmentation", drawn.segmentation)):
            pair = (pictures.picture(scene, name, modalities), maps[scene])
            cells += [np.asarray(modalities[name].render(picture), dtype=np.float32) / 255 for picture in pair]
        rows.append(np.concatenate(cells, axis=1))
    return Image.fromarray((np.concatenate(rows).clip(0, 1) * 255).astype(np.uint8))


def exam_settings(defaults: DrawingDefaults) -> DrawingDefaults:
    """Inference settings without guidance."""
    return replace(defaults, text_scale=1.0, image_scale=1.0)
