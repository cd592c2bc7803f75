"""Stage 0: the autoencoder, on colour pictures, depth maps and segmentation maps mixed.

B: pictures. C: channels (3). c: side of a crop in pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cooper.data.batches import rng_of, shuffled
from cooper.data.examples import Example, Examples
from cooper.data.mixture import Mixture
from cooper.errors import CooperError
from cooper.files.values import Count, Positive, Size, Weight
from cooper.model.config import VaeGeometry
from cooper.model.vae import Autoencoder
from cooper.perception import Modality
from cooper.perception.modality import Drawn
from cooper.training.bundles import TrainedAutoencoder, check_memory, save_autoencoder
from cooper.training.data import Data, one_source, places_of
from cooper.training.loop.trainer import Objective, run_stage
from cooper.training.recipe import StageRecipe, check_maps, check_mixture
from cooper.training.scale.sharing import our_share
from cooper.training.stages.exam import DrawnMaps, MapExam, with_map
from cooper.training.stages.rows import to_pixels
from cooper.training.targets import map_targets

MAPS = ("depth", "segmentation")
KINDS = ("rgb", *MAPS)
MOST_LEVELS = 8  # of the autoencoder
LONGEST = 1024  # px of a whole picture


@dataclass(frozen=True)
class AutoencoderLoss:
    """Weights of the parts: absolute and squared error of pixels, absolute error of the differences of neighbours, and
    the Kullback-Leibler divergence of the posterior (mean per latent number)."""

    absolute: Weight = 0.3
    squared: Weight = 2.0
    edges: Weight = 0.1
    kl: Weight = 1e-5


@dataclass(frozen=True)
class AutoencoderRecipe(StageRecipe):
    """`mixture`: how often each kind of picture is shown; `emphasis`: its weight in the loss; `crop`: side in pixels.
    `spread`: the standard deviation of the scaled latents (the noise has 1). `scenes`, `eval_scenes`: how many of the scenes or
    pictures are used."""

    val: Data
    modalities: Mapping[str, Mapping[str, Any]]
    geometry: VaeGeometry = field(default_factory=VaeGeometry)
    mixture: Mapping[str, Weight] = field(default_factory=lambda: dict.fromkeys(KINDS, 1.0))
    emphasis: Mapping[str, Weight] = field(default_factory=lambda: dict.fromkeys(KINDS, 1.0))
    loss: AutoencoderLoss = field(default_factory=AutoencoderLoss)
    crop: Size = 64
    spread: Positive = 1.0
    scenes: Count = 2000
    eval_scenes: Count = 48

    def __post_init__(self) -> None:
        check_mixture(self.mixture, KINDS)
        check_maps(self.modalities)
        for name in self.emphasis:
            if name not in KINDS:
                raise CooperError(f"emphasis names {name!r}; known: {', '.join(KINDS)}")
        if not 1 <= len(self.geometry.channel_multipliers) <= MOST_LEVELS:
            raise CooperError(f"geometry.channel_multipliers must have 1 to {MOST_LEVELS} entries")
        if self.crop % self.geometry.downsampling:
            raise CooperError(f"crop is {self.crop}; it must be a multiple of {self.geometry.downsampling}, as geometry has it")


@dataclass(frozen=True, eq=False)
class CropBatch:
    """Crops in [-1, 1], their weight in the loss, and the noise of the posterior's seed."""

    pixels_BCcc: Tensor
    weight_B: Tensor
    noise_seed: int

    def to(self, device: torch.device) -> "CropBatch":
        return CropBatch(self.pixels_BCcc.to(device), self.weight_B.to(device), self.noise_seed)


@dataclass(frozen=True, eq=False)
class Crops:
    """Makes batches: row r is a random crop, mirrored half of the time, of a shuffled example; (seed, r) decides all."""

    examples: Examples
    modalities: Mapping[str, Modality]
    recipe: AutoencoderRecipe
    _known: dict[str, Sequence[int]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._check(self.examples[0].image.size)

    def _check(self, size: tuple[int, ...]) -> None:
        if self.recipe.crop > min(size):
            place = places_of(self.recipe.data)
            raise CooperError(f"crop is {self.recipe.crop}; the pictures of {place} have sides of {min(size)} px")

    def _places(self, kind: str) -> Sequence[int]:
        """The examples of which a kind of picture is known."""
        if kind not in self._known:
            every = range(len(self.examples))
            self._known[kind] = every if kind == "rgb" else [place for place in every if self.examples[place].has(kind)]
        return self._known[kind]

    def __call__(self, rows: range) -> CropBatch:
        kinds = [Mixture(self.recipe.mixture).pick(self.recipe.seed, row) for row in rows]
        crops = [self._crop(row, kind) for row, kind in zip(rows, kinds, strict=True)]
        weight_B = torch.tensor([self.recipe.emphasis.get(kind, 1.0) for kind in kinds])
        return CropBatch(torch.stack(crops), weight_B, rows.start)

    def _crop(self, row: int, kind: str) -> Tensor:
        places = self._places(kind)
        whole = self.examples[places[shuffled(self.recipe.seed, row, len(places))]].drawn(kind, self.modalities)
        self._check(whole.shape[:2])
        rng, side = rng_of(self.recipe.seed, row, 1), self.recipe.crop
        top, left = rng.integers(0, whole.shape[0] - side + 1, size=2)
        part = whole[top : top + side, left : left + side]
        return to_pixels(part[:, ::-1] if rng.random() < 0.5 else part)


class AutoencoderObjective(Objective):
    """Reconstruction (absolute, squared and edge error) and divergence, per picture."""

    terms = ("reconstruction", "divergence")

    def __init__(self, autoencoder: Autoencoder, loss: AutoencoderLoss, seed: int) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.loss, self.seed = loss, seed
        self.weights = (1.0, loss.kl)

    def counts(self, batch: CropBatch) -> Tensor:
        return torch.full((2,), float(len(batch.weight_B)))

    def forward(self, batch: CropBatch) -> Tensor:
        moments = self.autoencoder.encode(batch.pixels_BCcc)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + batch.noise_seed)
        noise = torch.randn(moments.mean.shape, generator=generator).to(moments.mean)
        latents = self.autoencoder.scaled(moments.sample(noise))
        drawn = self.autoencoder.reconstruct(latents).float()
        error = drawn - batch.pixels_BCcc
        edges = _per_picture(error.diff(dim=-1).abs()) + _per_picture(error.diff(dim=-2).abs())
        each = self.loss.absolute * _per_picture(error.abs()) + self.loss.squared * _per_picture(error.square())
        each = each + self.loss.edges * edges
        mean, logvar = moments.mean.float(), moments.logvar.float()
        divergence = 0.5 * _per_picture(mean.square() + logvar.exp() - 1 - logvar)
        return torch.stack([(each * batch.weight_B).sum(), divergence.sum()])


def _per_picture(values: Tensor) -> Tensor:
    return values.flatten(1).mean(1)


@torch.no_grad()
def reconstructed(
    autoencoder: Autoencoder, examples: Examples, modalities: Mapping[str, Modality], maps: Sequence[str] = MAPS
) -> DrawnMaps:
    """The true maps of this process's share of examples, as far as they are known, through the autoencoder and back."""
    drawn: dict[str, list[Drawn]] = {kind: [] for kind in maps}
    for kind, pictures in drawn.items():
        for example in our_share().of(with_map(examples, kind)):
            pixels = _whole(autoencoder, example, kind, modalities)
            pictures.append(autoencoder.decode(autoencoder.latents(pixels))[0].permute(1, 2, 0).cpu().numpy())
    return drawn


def _whole(autoencoder: Autoencoder, example: Example, kind: str, modalities: Mapping[str, Modality]) -> Tensor:
    """One picture [1, C, H, W] at a size that the autoencoder takes, the longer side at most `LONGEST`."""
    stride, sides = autoencoder.geometry.downsampling, example.image.size
    scale = min(1.0, LONGEST / max(sides))
    width, height = (max(1, round(side * scale / stride)) * stride for side in sides)
    return to_pixels(example.drawn(kind, modalities, None if sides == (width, height) else (width, height)))[None]


@torch.no_grad()
def measured_geometry(
    autoencoder: Autoencoder,
    examples: Examples,
    modalities: Mapping[str, Modality],
    spread: float = 1.0,
    maps: Sequence[str] = MAPS,
    count: int = 64,
) -> VaeGeometry:
    """The geometry with the shift and scale that give latents mean 0 and standard deviation `spread` over all kinds."""
    means = [
        autoencoder.encode(_whole(autoencoder, example, kind, modalities)).mean.flatten()
        for example in examples[:count]
        for kind in ("rgb", *maps)
        if example.has(kind)
    ]
    values = torch.cat(means)
    return replace(autoencoder.geometry, shift=float(values.mean()), scale=spread / float(values.std()))


def train_autoencoder(recipe: AutoencoderRecipe) -> Path:
    """The autoencoder as its recipe says; the folder of its weights."""
    maps = [kind for kind in MAPS if recipe.mixture.get(kind, 0) > 0]
    targets = map_targets(one_source(recipe.data), recipe.val, recipe.modalities, maps, (recipe.scenes, recipe.eval_scenes))
    modalities, examples, held_out = targets.modalities, targets.only.found.items, targets.held_out.found.items
    maps = MAPS if targets.are_scenes else maps
    exam = MapExam(held_out, targets.held_out.found.conventions, modalities)
    check_memory(lambda: Autoencoder(recipe.geometry), "geometry")
    torch.manual_seed(recipe.seed)
    autoencoder = Autoencoder(recipe.geometry)
    objective = AutoencoderObjective(autoencoder, recipe.loss, recipe.seed)

    def figures(step: int) -> Mapping[str, float]:
        return exam.scores(reconstructed(autoencoder, held_out, modalities, maps))

    def export(folder: Path) -> None:
        scaled = Autoencoder(measured_geometry(autoencoder, examples, modalities, recipe.spread, maps))
        scaled.load_state_dict(autoencoder.state_dict())
        save_autoencoder(TrainedAutoencoder(scaled, recipe.modalities), folder)

    return run_stage("autoencoder", recipe, objective, Crops(examples, modalities, recipe), figures, export)
