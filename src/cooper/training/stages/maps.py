"""Stage 1: drawing auxiliary maps. A picture, the request for a map, and the map as a flow target.

B: scenes drawn together. N: latent tokens. D: width of a latent token.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from cooper.data.batches import rng_of, shuffled
from cooper.errors import CooperError
from cooper.files.values import AtLeast, AtMost, Count, Positive, Seed
from cooper.perception import build_modalities
from cooper.scenes.examples import CONVENTIONS, SceneExamples
from cooper.scenes.store import SceneSet
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import pack
from cooper.trace.prompts import DEFAULT
from cooper.training.bundles import Bundle, load_autoencoder, load_bundle, load_vision, save_bundle, save_tokenizer
from cooper.training.loop.trainer import Measured, TrainingPlan, run_plan
from cooper.training.recipe import Optimiser, RecordSettings, check_map_names
from cooper.training.stages.exam import MapExam
from cooper.training.stages.objective import Draws, LossWeights, PackedObjective
from cooper.training.stages.rows import MapRows, PictureKey, map_rows, warn_of_size
from cooper.training.start.corpus import corpus
from cooper.training.start.network import NetworkShape, new_model, with_vision
from cooper.training.start.tokenizer import train_tokenizer


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
        seed, count = self.recipe.seed, len(self.rows.examples)
        scenes = [shuffled(seed, number, count) for number in numbers]
        mirrored = [self.recipe.mirror and rng_of(seed, number, 3).random() < 0.5 for number in numbers]
        self.rows.fill(
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


def train_maps(recipe: AmgRecipe) -> Path:
    """Stage 1 as its recipe says; the folder of the model."""
    bundle = _new_bundle(recipe) if recipe.init is None else load_bundle(recipe.init, recipe.base)
    if recipe.vision is not None:
        seeing = with_vision(bundle.model, load_vision(recipe.vision), recipe.seed)
        bundle = Bundle(seeing, seeing.config.processor_with(bundle.processor.tokenizer_json), bundle.prompts)
    examples, held_out = SceneExamples(recipe.data, recipe.scenes), SceneExamples(recipe.val, recipe.eval_scenes)
    warn_of_size(bundle, examples)
    rows = map_rows(bundle, examples, recipe.latents or recipe.out / "latents-train", recipe)
    objective = PackedObjective(bundle.model, recipe.loss, recipe.frozen)
    plan = TrainingPlan(objective, MapBatches(rows, recipe), recipe.optimiser, recipe.record, recipe.out, recipe.seed)
    exam = MapExam(held_out, CONVENTIONS, rows.modalities)

    def figures(step: int) -> Mapping[str, float]:
        drawn = exam.drawn(bundle)
        exam.sheet(drawn).save(recipe.out / f"maps-{step:06d}.png")
        return exam.scores(drawn)

    return run_plan(plan, "amg", recipe, Measured(figures, lambda folder: save_bundle(bundle, folder)))


def _new_bundle(recipe: AmgRecipe) -> Bundle:
    """A fresh network around the recipe's autoencoder, with a tokenizer made of the texts of the training scenes."""
    assert recipe.autoencoder is not None
    trained = load_autoencoder(recipe.autoencoder)
    folder = recipe.out / "tokenizer"
    if not (folder / "tokenizer.json").exists():
        texts = corpus(SceneSet(recipe.data), DEFAULT, build_modalities(trained.modalities))
        save_tokenizer(train_tokenizer(texts, recipe.words), folder)
    model = new_model(recipe.network, trained, recipe.words, recipe.seed)
    return Bundle(model, model.config.processor(folder), DEFAULT)
