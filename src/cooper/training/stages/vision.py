"""Stage 0, second half: pretrains the vision tower, as the 7B network starts with SigLIP's tower: on the words of captions
(`training.stages.captions`), or on dense labels.

With dense labels every ViT token says what stands where in its square of the picture: the class, and on objects the colour and
the material, and how far away it is. A linear head asks; it is thrown away afterwards. Maps are shown too, because the model
reads its own.

B: pictures. P: patches of all of them. K: numbers of one patch. G: patches along a side. c: cells along a side of a patch.
S: cells of all pictures. Q: answers of the head to one cell.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, smooth_l1_loss

from cooper.data.batches import rng_of, shuffled
from cooper.data.mixture import Mixture
from cooper.errors import CooperError
from cooper.files.values import AtLeast, AtMost, Count, Share, Weight
from cooper.model.config import Transforms, VitGeometry
from cooper.model.vit import Vit
from cooper.perception import Modality, build_modalities
from cooper.perception.metrics import confusion, mean_iou
from cooper.scenes.examples import SceneExamples
from cooper.scenes.room.catalogue import COLOURS, MATERIALS
from cooper.sequence.images import ImageTransform, vit_pixels_CHW
from cooper.sequence.packing import grid_positions
from cooper.sequence.segments import pixel_patches
from cooper.training.bundles import TrainedVision, check_memory, load_bundle, save_vision
from cooper.training.data import Data, one_source, scene_folder
from cooper.training.loop.trainer import Objective, run_stage
from cooper.training.recipe import StageRecipe, check_maps, check_mixture
from cooper.training.scale.sharing import everyones, our_share
from cooper.training.stages.autoencoder import KINDS
from cooper.training.stages.captions import CaptionBatches, CaptionObjective, caption_scores
from cooper.training.stages.cells import ANSWERS, NOT_ASKED, Cells, Shown, VisionBatch
from cooper.training.start.network import initialise_tower

SCENES_ONLY = "the stage vision asks for colours and materials of objects, which only scenes tell"


@dataclass(frozen=True)
class VisionWeights:
    """Weights of the four questions. `objects`: how much a cell on an object counts beside one of the room (class, depth)."""

    classes: Weight = 1.0
    colours: Weight = 0.5
    materials: Weight = 0.25
    depth: Weight = 2.0
    objects: Weight = 4.0


@dataclass(frozen=True, kw_only=True)
class VisionRecipe(StageRecipe):
    """`objective`: `cells` (dense labels), or `captions` (words about zooming crops: the tower is told no place and no depth).
    `init`: a checkpoint of either layout whose tower is trained further, with a new head; `base` as in `AmgRecipe`.
    `mixture`: how often colour pictures and each map are shown. `cells`: labelled cells along a side of a patch.
    Augmentation: `mirror` half of the pictures; `move` half of them by up to so many pixels (without a loss on depth, which
    was measured along another axis); `jitter` changes brightness by up to this factor; `crops` is the share of pictures that
    are cropped, to a side of at least `zoom` of the picture's (by default 0.7 of captions, and no dense labels).
    """

    val: Data
    vit: VitGeometry
    transforms: Transforms
    objective: Literal["cells", "captions"] = "cells"
    modalities: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    init: Path | None = None
    base: Path | None = None
    mixture: Mapping[str, Weight] = field(default_factory=lambda: dict.fromkeys(KINDS, 1.0))
    loss: VisionWeights = field(default_factory=VisionWeights)
    cells: Annotated[int, AtLeast(1), AtMost(256)] = 8
    mirror: bool = True
    move: Annotated[int, AtLeast(0), AtMost(2**12)] = 0
    jitter: Share = 0.0
    crops: Share | None = None
    zoom: Annotated[float, AtLeast(0.1), AtMost(1)] = 0.4
    scenes: Count = 100_000
    eval_scenes: Count = 100

    def __post_init__(self) -> None:
        if self.objective == "cells":
            check_mixture(self.mixture, KINDS)
            check_maps(self.modalities)
        else:
            self._check_captions()
        if self.vit.hidden_size % self.vit.num_attention_heads:
            raise CooperError("vit.num_attention_heads must divide vit.hidden_size")
        patch, (longest, shortest, stride) = self.vit.patch_size, self.transforms.vit
        if stride % patch:
            raise CooperError(f"transforms.vit has the stride {stride}; it must be a multiple of vit.patch_size, {patch}")
        if not shortest <= longest <= patch * self.vit.position_side:
            end = patch * self.vit.position_side
            raise CooperError(f"transforms.vit makes sides of {shortest} to {longest} px; vit.position_side ends at {end} px")

    def _check_captions(self) -> None:
        """CooperError: a key that only dense labels read."""
        for key in ("modalities", "mixture", "loss", "cells", "move"):
            default = next(each for each in fields(self) if each.name == key)
            usual = default.default if default.default_factory is MISSING else default.default_factory()
            if getattr(self, key) != usual:
                raise CooperError(f"{key} is read with `objective: cells` only; leave it out, or name that objective")


@dataclass(frozen=True, eq=False)
class VisionBatches:
    """Makes batches: row r shows a shuffled scene in a way that (seed, r) decides."""

    examples: SceneExamples
    modalities: Mapping[str, Modality]
    recipe: VisionRecipe

    def __call__(self, rows: range) -> VisionBatch:
        return self.batch([self.shown(row) for row in rows])

    def shown(self, row: int) -> Shown:
        """What row `row` of the run shows."""
        recipe, rng = self.recipe, rng_of(self.recipe.seed, row, 3)
        mirrored, moved = recipe.mirror and rng.random() < 0.5, rng.random() < 0.5
        down, right = rng.integers(-recipe.move, recipe.move + 1, size=2) * moved
        brightness = 1 + recipe.jitter * rng.uniform(-1, 1)
        kind, scene = Mixture(recipe.mixture).pick(recipe.seed, row), shuffled(recipe.seed, row, len(self.examples))
        shown = Shown(scene, kind, mirrored, int(down), int(right), brightness)
        return self._cropped(shown, rng) if recipe.crops and rng.random() < recipe.crops else shown

    def _cropped(self, shown: Shown, rng: np.random.Generator) -> Shown:
        """The same with a square of it."""
        whole = len(self.examples.record(shown.scene).rgb)
        side = round(whole * rng.uniform(self.recipe.zoom, 1.0))
        top, left = map(int, rng.integers(0, whole - side + 1, size=2))
        return replace(shown, top=top, left=left, side=side)

    def batch(self, shown: list[Shown]) -> VisionBatch:
        """These pictures and what is true of them."""
        patch, side = self.recipe.vit.patch_size, self.recipe.vit.position_side
        pixels = [self._pixels(each) for each in shown]
        grid = pixels[0].shape[1] // patch
        truths = [self._truth(each, grid) for each in shown]
        cells = Cells(*(torch.from_numpy(np.concatenate(parts)) for parts in zip(*truths, strict=True)))
        patches = torch.cat([pixel_patches(each, patch) for each in pixels])
        position_P = grid_positions(grid, grid, side).repeat(len(shown))
        return VisionBatch(patches, position_P, (grid * grid,) * len(shown), cells)

    def _pixels(self, shown: Shown) -> Tensor:
        picture = self.examples.record(shown.scene).rgb
        if shown.kind != "rgb":
            drawn = self.examples[shown.scene].drawn(shown.kind, self.modalities)
            picture = np.asarray(self.modalities[shown.kind].render(drawn))
        elif shown.brightness != 1:
            picture = (picture * shown.brightness).clip(0, 255).astype(np.uint8)
        transforms = self.recipe.transforms
        image = Image.fromarray(np.ascontiguousarray(shown.of(picture)))
        vae, vit = ImageTransform(*transforms.vae), ImageTransform(*transforms.vit)
        return vit_pixels_CHW(image, vae, vit, transforms.vit_after_vae)

    def _truth(self, shown: Shown, grid: int) -> tuple[np.ndarray, ...]:
        """Class, colour, material and log metres of the cells of one picture, patch by patch."""
        record, cells = self.examples.record(shown.scene), self.recipe.cells
        side = len(record.rgb)
        if side % (grid * cells):
            raise CooperError(f"recipe: {grid} patches of {cells} cells do not divide a picture of {side} px")
        colours, materials = (np.full(256, NOT_ASKED, dtype=np.int64) for _ in range(2))
        for thing in record.scene.objects if shown.kind == "rgb" else ():
            colours[thing.id] = list(COLOURS).index(thing.colour)
            materials[thing.id] = MATERIALS.index(thing.material)
        instances, depth_m = record.instances, record.depth_m
        if shown.kind == "segmentation" or shown.down or shown.right:
            depth_m = np.full_like(depth_m, np.nan)
        maps = (record.labels.astype(np.int64), colours[instances], materials[instances], np.log(depth_m))
        few = (shown.sampled(each, grid * cells) for each in maps)
        return tuple(rearrange(each, "(g c) (h d) -> (g h c d)", g=grid, h=grid) for each in few)


class VisionObjective(Objective):
    """Cross-entropy of class, colour and material and smooth absolute error of log depth, over all cells that tell."""

    terms = ("classes", "colours", "materials", "depth")

    def __init__(self, geometry: VitGeometry, cells: int, loss: VisionWeights) -> None:
        super().__init__()
        self.vit = Vit(geometry)
        self.head = nn.Linear(geometry.hidden_size, cells**2 * sum(ANSWERS))
        self.loss = loss
        self.weights = (loss.classes, loss.colours, loss.materials, loss.depth)
        initialise_tower(self)

    def counts(self, batch: VisionBatch) -> Tensor:
        cells, emphasis_S = batch.cells, self._emphasis(batch.cells)
        told_S = ~torch.isnan(cells.depth_S)
        asked = [(each != NOT_ASKED).sum().float() for each in (cells.colours_S, cells.materials_S)]
        return torch.stack([emphasis_S.sum(), *asked, (emphasis_S * told_S).sum()])

    def answers(self, batch: VisionBatch) -> tuple[Tensor, ...]:
        """Logits of class, colour and material [S, .] and log metres [S, 1]."""
        features_PD = self.vit(batch.patches_PK, batch.position_P, batch.lengths)
        return self.head(features_PD).float().view(-1, sum(ANSWERS)).split(ANSWERS, dim=-1)

    def forward(self, batch: VisionBatch) -> Tensor:
        cells, emphasis_S = batch.cells, self._emphasis(batch.cells)
        classes, colours, materials, depth = self.answers(batch)
        told_S = ~torch.isnan(cells.depth_S)
        far = smooth_l1_loss(depth[:, 0], cells.depth_S.nan_to_num(), reduction="none", beta=0.05)
        return torch.stack(
            [
                (cross_entropy(classes, cells.classes_S, reduction="none") * emphasis_S).sum(),
                cross_entropy(colours, cells.colours_S, ignore_index=NOT_ASKED, reduction="sum"),
                cross_entropy(materials, cells.materials_S, ignore_index=NOT_ASKED, reduction="sum"),
                (far * emphasis_S * told_S).sum(),
            ]
        )

    def _emphasis(self, cells: Cells) -> Tensor:
        return torch.where(cells.objects_S, self.loss.objects, 1.0)


@torch.no_grad()
def vision_scores(objective: VisionObjective, batches: VisionBatches) -> dict[str, float]:
    """How well the head reads colour pictures of held-out scenes: mean IoU of classes over cells, shares of object cells
    with the right shape, colour and material, and AbsRel in metres. Every process must call it."""
    counts, right, errors = [], [], []
    most = min(batches.recipe.eval_scenes, len(batches.examples))
    for first in our_share().of(range(0, most, 20)):
        scenes = range(first, min(first + 20, most))
        batch = batches.batch([Shown(scene) for scene in scenes])
        cells = batch.cells
        *logits, depth = (each.cpu() for each in objective.answers(batch.to(objective.head.weight.device)))
        said = [each.argmax(-1) for each in logits]
        counts.append(confusion(said[0][None].numpy(), cells.classes_S[None].numpy(), ANSWERS[0]))
        on_S = cells.objects_S
        truths = (cells.classes_S, cells.colours_S, cells.materials_S)
        right.append([float((guess == truth)[on_S].float().mean()) for guess, truth in zip(said, truths, strict=True)])
        errors.append(float(((depth[:, 0] - cells.depth_S).exp() - 1).abs().mean()))
    counts, right, errors = everyones(counts), everyones(right), everyones(errors)
    means = (float(mean) for mean in np.mean(right, axis=0))
    named = dict(zip(("shape", "colour", "material"), means, strict=True))
    return {"miou": mean_iou(np.sum(counts, axis=0)), **named, "abs_rel": float(np.mean(errors))}


def train_vision(recipe: VisionRecipe) -> Path:
    """The picture tower as its recipe says; the folder of its weights."""
    data, val = (scene_folder(each, SCENES_ONLY) for each in (one_source(recipe.data), recipe.val))
    examples, held_out = SceneExamples(data, recipe.scenes), SceneExamples(val, recipe.eval_scenes)
    check_memory(lambda: Vit(recipe.vit), "vit")
    torch.manual_seed(recipe.seed)
    if recipe.objective == "captions":
        objective, batches, figures = _captions(recipe, examples, held_out)
    else:
        objective, batches, figures = _cells(recipe, examples, held_out)
    if recipe.init is not None:
        start = load_bundle(recipe.init, recipe.base).model
        if start.config.vit_geometry != recipe.vit:
            raise CooperError(f"recipe: vit does not fit the tower of {recipe.init}, which is {start.config.vit}")
        objective.vit.load_state_dict(start.vit.state_dict())

    def export(folder: Path) -> None:
        save_vision(TrainedVision(objective.vit, recipe.vit, recipe.transforms), folder)

    return run_stage("vision", recipe, objective, batches, lambda step: figures(), export)


def _cells(recipe: VisionRecipe, examples: SceneExamples, held_out: SceneExamples):
    """Objective, batches and figures of dense labels."""
    modalities = build_modalities(recipe.modalities)
    objective = VisionObjective(recipe.vit, recipe.cells, recipe.loss)
    asked = VisionBatches(held_out, modalities, recipe)
    return objective, VisionBatches(examples, modalities, recipe), lambda: vision_scores(objective, asked)


def _captions(recipe: VisionRecipe, examples: SceneExamples, held_out: SceneExamples):
    """Objective, batches and figures of captions."""

    def batches(of: SceneExamples) -> CaptionBatches:
        return CaptionBatches(
            examples=of,
            geometry=recipe.vit,
            transforms=recipe.transforms,
            seed=recipe.seed,
            crops=0.7 if recipe.crops is None else recipe.crops,
            zoom=recipe.zoom,
            mirror=recipe.mirror,
            jitter=recipe.jitter,
        )

    objective, asked = CaptionObjective(recipe.vit), batches(held_out)
    return objective, batches(examples), lambda: caption_scores(objective, asked, recipe.eval_scenes)
