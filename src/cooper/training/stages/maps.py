"""Stage 1: drawing auxiliary maps. A picture, the request for a map, and the map as a flow target."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from cooper.errors import CooperError
from cooper.files.values import AtLeast, AtMost, Count
from cooper.model.config import DrawingDefaults
from cooper.perception import build_modalities
from cooper.trace.prompts import DEFAULT
from cooper.training.bundles import Bundle, load_autoencoder, load_vision, save_tokenizer
from cooper.training.data import Data, by_name, open_data, scenes_in
from cooper.training.distilling import Distillation, DistilledObjective, is_guided
from cooper.training.feed.aside import GoodRows, SetAside
from cooper.training.feed.dropouts import Dropouts
from cooper.training.feed.feeding import RowFeed
from cooper.training.feed.rows import RowMaker, mixed
from cooper.training.loop.trainer import run_stage
from cooper.training.scale.loading import load_scaled
from cooper.training.stages.exam import MapExam
from cooper.training.stages.objective import PackedObjective, trainee
from cooper.training.stages.rows import MapBatches, RowRecipe, latents_of, map_rows, warn_of_size
from cooper.training.start.corpus import corpus
from cooper.training.start.network import NetworkShape, new_model, with_vision
from cooper.training.start.tokenizer import train_tokenizer
from cooper.training.targets import MapSource, changed_settings, map_targets


@dataclass(frozen=True, kw_only=True)
class AmgRecipe(RowRecipe):
    """`init` continues a checkpoint, of our layout or the published one: a folder, a hub id or `nano`. Without `init` the
    network starts new around `autoencoder`. `vision`: a picture tower to begin with, in place of the one there is. `words`:
    tokenizer entries. `scenes`, `eval_scenes`: how many of the scenes or pictures are used. `modalities`: settings of maps that
    are drawn otherwise than the checkpoint does, by map and key, such as the range of depth or the names of classes. `distil`:
    learn to draw what `init` draws in a few steps and without guidance.
    """

    val: Data
    init: Path | None = None
    autoencoder: Path | None = None
    vision: Path | None = None
    network: NetworkShape = field(default_factory=NetworkShape)
    words: Annotated[int, AtLeast(300), AtMost(10**6)] = 1024
    eval_scenes: Count = 64
    modalities: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    distil: Distillation | None = None

    def __post_init__(self) -> None:
        if self.distil is not None:
            self._check_distilled()
        if self.init is None and self.autoencoder is None:
            raise CooperError("init or autoencoder is missing: a checkpoint to continue, or an autoencoder to start around")
        super().__post_init__()

    def _check_distilled(self) -> None:
        if self.init is None:
            raise CooperError("distil is given, but init is not: there is no trained network to learn from")
        if self.vision is not None or self.modalities:
            raise CooperError("distil goes with neither vision nor modalities: the network learns what it draws already")
        if self.dropouts != Dropouts():
            raise CooperError("distil and dropouts do not go together: the teacher's guidance leaves conditions out itself")
        if self.sharding is not None and self.sharding.fsdp and self.lora is None:
            raise CooperError("distil with sharding needs lora: then the teacher is what lies below the adapters")


def train_maps(recipe: AmgRecipe) -> Path:
    """Stage 1 as its recipe says; the folder of the model."""
    bundle = first_bundle(recipe)
    settings, aside = bundle.model.config.modalities, SetAside(recipe.out)
    targets = map_targets(recipe.data, recipe.val, settings, recipe.maps, (recipe.scenes, recipe.eval_scenes), aside)
    if not targets.are_scenes:
        bundle.model.config.trained_on = None  # what it says of the pictures that the checkpoint knows is over
    drawing = bundle.model.config.drawing_defaults  # before it is changed to that of the network that is taught
    objective, result = trainee(bundle, recipe, PackedObjective if recipe.distil is None else DistilledObjective)
    if recipe.distil is not None and isinstance(objective, DistilledObjective):
        objective.distil(recipe.distil, drawing)
        bundle.model.config.drawing = asdict(recipe.distil.drawing(drawing))
    held_out = targets.held_out
    exam = MapExam(held_out.found.items, held_out.found.conventions, held_out.modalities, recipe.maps)

    def figures(step: int) -> Mapping[str, float]:
        return exam.figures(bundle, recipe.out / f"maps-{step:06d}.png")

    feed = RowFeed(GoodRows(_rows(bundle, targets.train, recipe, drawing), aside), recipe.packing, recipe.workers)
    return run_stage("amg", recipe, objective, feed, figures, result.write)


def _rows(bundle: Bundle, sources: Mapping[str, MapSource], recipe: AmgRecipe, drawing: DrawingDefaults) -> RowMaker[Any]:
    """The rows of all sources, whose latents lie in one store. `drawing`: how a teacher draws."""
    latents, makers = latents_of(bundle, recipe), {}
    for name, source in sources.items():
        warn_of_size(bundle, scenes_in(source.found))
        rows = map_rows(bundle, source.found.items, source.modalities, recipe, latents, name or source.place)
        if recipe.distil is not None:
            rows = replace(rows, noise=replace(rows.noise, grids=recipe.distil.grids(drawing)), guided=is_guided(drawing))
        makers[name] = MapBatches(rows, recipe)
    return mixed(makers, recipe.data, recipe.seed)


def first_bundle(recipe: AmgRecipe) -> Bundle:
    """What the run begins with."""
    bundle = _new_bundle(recipe) if recipe.init is None else load_scaled(recipe, recipe.init, recipe.base)
    if recipe.vision is not None:
        seeing = with_vision(bundle.model, load_vision(recipe.vision), recipe.seed)
        bundle = Bundle(seeing, seeing.config.processor_with(bundle.processor.tokenizer_json), bundle.prompts)
    bundle.model.config.modalities = changed_settings(bundle.model.config.modalities, recipe.modalities)
    return bundle


def _new_bundle(recipe: AmgRecipe) -> Bundle:
    """A fresh network around the recipe's autoencoder, with a tokenizer made of the texts of the training scenes, or of the
    prompts and class names where the pictures are no scenes."""
    assert recipe.autoencoder is not None
    trained = load_autoencoder(recipe.autoencoder)
    folder = recipe.out / "tokenizer"
    if not (folder / "tokenizer.json").exists():
        texts: list[Iterable[str]] = []
        for data in by_name(recipe.data).values():
            found = open_data(data, recipe.scenes, recipe.maps)
            scenes = scenes_in(found)
            known = None if scenes is None else scenes.scenes
            texts += [corpus(known, DEFAULT, build_modalities(trained.modalities)), found.conventions.names]
        save_tokenizer(train_tokenizer(chain(*texts), recipe.words), folder)
    model = new_model(recipe.network, trained, recipe.words, recipe.seed)
    return Bundle(model, model.config.processor(folder), DEFAULT)
