"""Rows of pictures and their maps, which stages 1 and 2 share.

H, W: height and width in pixels. z, h, w: channels and cells of a latent.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import local
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float32
from PIL import Image
from torch import Tensor

from cooper.data.batches import rng_of, shuffled
from cooper.data.examples import Example, Examples
from cooper.files.values import AtLeast, AtMost, Count, Positive
from cooper.model.flow import shifted
from cooper.perception import Modality
from cooper.scenes.examples import SceneExamples
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import Geometry, Row
from cooper.sequence.processor import Processor
from cooper.sequence.segments import LatentSegment, NoisedSegment, Segment, TextSegment, VitSegment, noised
from cooper.trace.prompts import Prompts
from cooper.training.bundles import Bundle
from cooper.training.feed.dropouts import Dropouts, with_dropouts
from cooper.training.feed.latents import LatentStore
from cooper.training.feed.packs import Packing
from cooper.training.feed.rows import Pick, packed
from cooper.training.recipe import check_map_names
from cooper.training.scale.recipe import ScaledRecipe
from cooper.training.stages.objective import Draws, LossWeights

LEARNT = 0.5  # of a latent token's pixels must be known


@dataclass(frozen=True)
class Noise:
    """How targets are noised: the shift of the times, and the seed. One time per target picture, or with `grids` one of those
    of a grid, each grid as often."""

    shift: float
    seed: int
    grids: tuple[tuple[float, ...], ...] = ()

    def of(self, latent_zhw: Tensor, patch: int, row: int, target: int, known_N: Tensor | None = None) -> NoisedSegment:
        """Target number `target` of a row, noised; (seed, row, target) decides time and noise. `known_N`: the latent tokens
        that are learnt, all by default."""
        rng = rng_of(self.seed, row, target, 7)
        t = self._time(rng)
        channels, height, width = latent_zhw.shape
        shape = (height // patch * (width // patch), channels * patch**2)
        drawn = noised(latent_zhw, torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)), t, patch)
        return drawn if known_N is None else replace(drawn, known_N=known_N)

    def _time(self, rng: np.random.Generator) -> float:
        if self.grids:
            grid = self.grids[rng.integers(len(self.grids))]
            return grid[rng.integers(len(grid))]
        return float(shifted(torch.tensor(rng.standard_normal()).sigmoid(), self.shift))


def to_pixels(picture: Float32[np.ndarray, "H W 3"]) -> Float32[Tensor, "3 H W"]:
    """[0, 1] to the [-1, 1] that networks read, channels first."""
    return torch.from_numpy(np.ascontiguousarray((picture * 2 - 1).transpose(2, 0, 1)))


@dataclass(frozen=True)
class PictureKey:
    """One picture of a run: of which example, of which kind (`rgb` or a modality), mirrored left to right or not."""

    example: int
    kind: str
    mirrored: bool = False


@dataclass(frozen=True, kw_only=True)
class RowRecipe(ScaledRecipe):
    """What stages 1 and 2 share. `base`: the checkpoint that has configuration, tokenizer and autoencoder, if `init` holds only
    weights. `latents`: the folder of an earlier run's latents, to be used again. `frozen`: parts of the network that are not
    trained. `draws`: noised copies of each target per row. `mirror`: show half of the rows with left and right exchanged.
    `published`: learn maps as the published training does: depth that is not known as the nearest, regions with blended
    borders. `packing`: packs by a number of tokens, in place of `optimiser.batch` rows. `workers`: threads that read rows and
    encode their pictures ahead of the step; the rows are the same with any number.
    """

    base: Path | None = None
    maps: tuple[str, ...] = ("depth", "segmentation")
    loss: LossWeights = field(default_factory=LossWeights)
    latents: Path | None = None
    frozen: tuple[str, ...] = ()
    timestep_shift: Positive = 1.0
    draws: Draws = 1
    mirror: bool = True
    scenes: Count = 100_000
    published: bool = False
    dropouts: Dropouts = field(default_factory=Dropouts)
    packing: Packing | None = None
    workers: Annotated[int, AtLeast(0), AtMost(256)] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_map_names(self.maps)


@dataclass(frozen=True, eq=False)
class MapRows:
    """Rows of stage 1: a picture read once, then for each map its request and its noised targets as branches.

    Pictures may have any size: a map is drawn at the size to which the model brings its picture. Latent tokens of which
    less than half is known carry no loss. `draws`: noised copies of each target, every one with its own time and noise.
    `place`: where the examples lie. `published`: targets as the published training makes them, of which all is learnt.
    `guided`: every noised target has copies without its request and without the picture, as a teacher's guidance needs them.
    """

    examples: Examples
    modalities: Mapping[str, Modality]
    latents: LatentStore
    processor: Processor
    prompts: Prompts
    noise: Noise
    draws: int = 1
    place: str = ""
    published: bool = False
    guided: bool = False
    _known: dict[PictureKey, Tensor | None] = field(default_factory=dict, init=False, repr=False)
    _last: local = field(default_factory=local, init=False, repr=False)

    def row(self, number: int, index: int, mirrored: bool, names: tuple[str, ...]) -> Row:
        """Row `number` of the run: the maps `names` of one example."""
        image = self._example(index, mirrored).image
        segments: list[Segment] = [
            LatentSegment(self.latent(PictureKey(index, "rgb", mirrored))),
            VitSegment(self.processor.vit_pixels(image)),
        ]
        parents = [-1, 0]
        for place, name in enumerate(names):
            request = len(segments)
            segments.append(TextSegment(self.processor.encode(self.prompts.requests[name])))
            parents.append(1)
            key = PictureKey(index, name, mirrored)
            target, patch = self.latent(key), self.processor.geometry.latent_patch
            known_N = self.known(key, (target.shape[1] // patch, target.shape[2] // patch))
            for draw in range(self.draws):
                number_of = place * self.draws + draw
                drawn = self.noise.of(target, patch, number, number_of, known_N)
                segments.append(drawn)
                parents.append(request)
                if self.guided:
                    parents += [1, -1, len(segments) + 1]
                    segments += guidance_copies(drawn, segments[request])
        return Row(tuple(segments), tuple(parents))

    def latent(self, key: PictureKey) -> Tensor:
        """The latent of one picture, float32 [z, h, w]."""
        return self.latents.get(partial(self.pixels, key), (self.place, key))

    def known(self, key: PictureKey, grid: tuple[int, int]) -> Tensor | None:
        """Which latent tokens of a map, on a grid of (h, w), are learnt: [N], None for all."""
        if self.published:
            return None
        if key not in self._known:
            known, (height, width) = self._example(key.example, key.mirrored).known(key.kind), grid
            share = Image.fromarray(known.astype(np.float32)).resize((width, height), Image.Resampling.BOX)
            self._known[key] = None if known.all() else torch.from_numpy(np.asarray(share) >= LEARNT).flatten()
        return self._known[key]

    def maps_of(self, index: int, names: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the maps `names` that are known of an example."""
        example = self.examples[index]
        return tuple(name for name in names if example.has(name))

    def fill(self, keys: Sequence[PictureKey]) -> None:
        """Encode those of `keys` that are missing, which is much faster together than one by one."""
        self.latents.fill([((self.place, key), partial(self.pixels, key)) for key in dict.fromkeys(keys)])

    def pixels(self, key: PictureKey) -> Float32[Tensor, "3 H W"]:
        """The picture behind a key, in [-1, 1]. A mirrored map is drawn anew from the mirrored truth."""
        example = self._example(key.example, key.mirrored)
        if key.kind == "rgb":
            return self.processor.vae_pixels(example.image)
        size = self.processor.vae.size(*example.image.size)
        drawn = example.drawn_as_published if self.published else example.drawn
        return to_pixels(drawn(key.kind, self.modalities, size))

    def _example(self, index: int, mirrored: bool) -> Example:
        """An example, kept in memory until the same thread asks for another: a row reads it several times."""
        if getattr(self._last, "key", None) != (index, mirrored):
            example = self.examples[index]
            self._last.example = (example.mirrored() if mirrored else example).kept()
            self._last.key = (index, mirrored)
        return self._last.example


def guidance_copies(drawn: NoisedSegment, request: Segment) -> list[Segment]:
    """A noised map, of which nothing is learnt, without its request, and after the request without the picture."""
    without_text, without_image = (replace(drawn, velocity_ND=None, known_N=None, branch=number) for number in (1, 2))
    return [without_text, request, without_image]


@dataclass(frozen=True)
class ShownExample:
    """An example as a row shows it: mirrored or not, with the maps that are learnt of it."""

    index: int
    mirrored: bool
    maps: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class MapBatches:
    """Rows of stage 1: row r shows a shuffled example, mirrored or not, as (seed, r) decides."""

    rows: MapRows
    recipe: RowRecipe

    @property
    def geometry(self) -> Geometry:
        return self.rows.processor.geometry

    def pick(self, order: int) -> Pick:
        return Pick(shuffled(self.recipe.seed, order, len(self.rows.examples)))

    def count(self, pick: Pick) -> int:
        return len(self.rows.examples)

    def name(self, pick: Pick) -> tuple[str, str]:
        return self.rows.place, self.rows.examples[pick.index].id

    def read(self, number: int, pick: Pick) -> ShownExample:
        mirrored = self.recipe.mirror and bool(rng_of(self.recipe.seed, number, 3).random() < 0.5)
        return ShownExample(pick.index, mirrored, self.rows.maps_of(pick.index, self.recipe.maps))

    def fill(self, items: Mapping[int, ShownExample]) -> None:
        shown = items.values()
        self.rows.fill([PictureKey(each.index, kind, each.mirrored) for each in shown for kind in ("rgb", *each.maps)])

    def row(self, number: int, item: ShownExample) -> Row:
        row = self.rows.row(number, item.index, item.mirrored, item.maps)
        return with_dropouts(row, self.recipe.dropouts, self.recipe.seed, number)

    def __call__(self, numbers: range) -> PackedSequence:
        return packed(self, numbers)


def map_rows(
    bundle: Bundle, examples: Examples, modalities: Mapping[str, Modality], recipe: RowRecipe, latents: LatentStore, place: str
) -> MapRows:
    """The rows of examples that lie in a place."""
    noise = Noise(recipe.timestep_shift, recipe.seed)
    return MapRows(
        examples, modalities, latents, bundle.processor, bundle.prompts, noise, recipe.draws, place, recipe.published
    )


def latents_of(bundle: Bundle, recipe: RowRecipe) -> LatentStore:
    """Where the latents of a run are kept."""
    return LatentStore(recipe.latents or recipe.out / "latents-train", bundle.model.vae)


def warn_of_size(bundle: Bundle, examples: SceneExamples | None) -> None:
    """Say it where rendered scenes are of another size than the one at which the checkpoint reads them."""
    if examples is None:
        return
    side = examples.scenes.info.size
    wanted = bundle.processor.vae.size(side, side).width
    if wanted != side:
        warnings.warn(
            f"pictures of {examples.scenes.folder} are {side} px wide, but this checkpoint reads them at {wanted} px; "
            f"render a set with --size {wanted} for sharper ones",
            stacklevel=3,
        )
