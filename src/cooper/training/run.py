"""One door for every stage: a recipe in, a run folder with checkpoints, figures and a finished model out."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from cooper.errors import CooperError
from cooper.files.locks import held
from cooper.files.values import read_recipe
from cooper.model.vae import Autoencoder
from cooper.model.vit import Vit
from cooper.perception import build_modalities
from cooper.scenes.arrays import load_pictures
from cooper.scenes.drawings import Drawings
from cooper.scenes.store import SceneSet
from cooper.trace.prompts import DEFAULT
from cooper.training.bundles import (
    Bundle,
    TrainedAutoencoder,
    TrainedVision,
    check_memory,
    load_autoencoder,
    load_bundle,
    load_vision,
    new_model,
    save_autoencoder,
    save_bundle,
    save_vision,
    with_vision,
)
from cooper.training.loop.curves import draw_curves
from cooper.training.loop.folder import MODEL_FOLDER, enter, finish, is_finished, plain
from cooper.training.loop.trainer import PackedTrainer, TrainingPlan
from cooper.training.loop.watching import METRICS_FILE, Evaluating, Tracking, Watching
from cooper.training.rl.recipe import GrpoRecipe
from cooper.training.stages.autoencoder import (
    AutoencoderObjective,
    AutoencoderRecipe,
    Crops,
    measured_geometry,
    reconstruction_scores,
)
from cooper.training.stages.exam import AnswerExam
from cooper.training.stages.maps import AmgRecipe, MapBatches, contact_sheet
from cooper.training.stages.objective import PackedObjective
from cooper.training.stages.reasoning import SftRecipe, TraceBatches, TraceRows
from cooper.training.stages.rows import grey_latent, map_exam, map_rows, room_modalities
from cooper.training.stages.vision import VisionBatches, VisionObjective, VisionRecipe, vision_scores
from cooper.training.start.corpus import corpus
from cooper.training.start.tokenizer import save_tokenizer, train_tokenizer


def train(stage: str, config: str | Path, overrides: Sequence[str] = (), force: bool = False) -> Path:
    """Run a stage as its recipe says, from its last checkpoint if there is one; returns the folder of the finished model.

    `force`: a run in the same folder goes on although its recipe was another. CooperError: an unknown stage, key or value, a
    recipe that changed, data that are not there, or a loss that is not a number. Interrupted: a signal ended the run; a
    checkpoint was left.
    """
    stages: dict[str, tuple[type[Any], Callable[[Any], object]]] = {
        "autoencoder": (AutoencoderRecipe, _autoencoder),
        "vision": (VisionRecipe, _vision),
        "amg": (AmgRecipe, _amg),
        "sft": (SftRecipe, _sft),
        "grpo": (GrpoRecipe, _grpo),
    }
    if stage not in stages:
        raise CooperError(f"unknown stage {stage!r}; choose {', '.join(stages)}")
    kind, run = stages[stage]
    recipe = read_recipe(kind, config, overrides)
    if is_finished(recipe):
        return recipe.out / MODEL_FOLDER
    with held(recipe.out, f"cooper train {stage}"):
        enter(recipe, force)
        run(recipe)
        return finish(recipe)


@dataclass(frozen=True, eq=False)
class Measured:
    """What a stage adds to the shared run: figures at intervals, and how to write the model."""

    figures: Callable[[int], Mapping[str, float]]
    export: Callable[[Path], None]


def run_plan(plan: TrainingPlan, stage: str, recipe: Any, measured: Measured) -> Path:
    """Train a plan with all that is watched, then write curves and the model of averaged weights."""
    watching: list[TrainerCallback] = [Watching(plan.folder, stage)]
    if plan.record.tracker == "trackio":
        watching.append(Tracking("cooper", f"{stage}-{plan.folder.name}", plain(recipe)))
    trainer = PackedTrainer(plan, watching)
    objective, average = plan.objective, trainer.average

    def measure(step: int) -> Mapping[str, float]:
        with average.applied(objective):
            figures = measured.figures(step)
            measured.export(plan.folder / MODEL_FOLDER)
        return figures

    trainer.add_callback(Evaluating(plan.record.eval_every, measure, trainer.log))
    trainer.run()
    if trainer.is_world_process_zero():
        with average.applied(objective):
            measured.export(plan.folder / MODEL_FOLDER)
        draw_curves(plan.folder / METRICS_FILE, plan.folder / "curves.svg")
    return plan.folder / MODEL_FOLDER


def _autoencoder(recipe: AutoencoderRecipe) -> Path:
    modalities = build_modalities(recipe.modalities)
    pictures = load_pictures(SceneSet(recipe.data), recipe.scenes)
    held_out = load_pictures(SceneSet(recipe.val), recipe.eval_scenes)
    check_memory(lambda: Autoencoder(recipe.geometry), "geometry")
    torch.manual_seed(recipe.seed)
    autoencoder = Autoencoder(recipe.geometry)
    objective = AutoencoderObjective(autoencoder, recipe.loss, recipe.seed)
    plan = TrainingPlan(
        objective, Crops(pictures, modalities, recipe), recipe.optimiser, recipe.record, recipe.out, recipe.seed
    )

    def figures(step: int) -> Mapping[str, float]:
        return reconstruction_scores(autoencoder, held_out, modalities, recipe.eval_scenes)

    def export(folder: Path) -> None:
        scaled = Autoencoder(measured_geometry(autoencoder, pictures, modalities, recipe.spread))
        scaled.load_state_dict(autoencoder.state_dict())
        save_autoencoder(TrainedAutoencoder(scaled, recipe.modalities), folder)

    return run_plan(plan, "autoencoder", recipe, Measured(figures, export))


def _vision(recipe: VisionRecipe) -> Path:
    modalities = build_modalities(recipe.modalities)
    batches = VisionBatches(load_pictures(SceneSet(recipe.data), recipe.scenes), modalities, recipe)
    held_out = VisionBatches(load_pictures(SceneSet(recipe.val), recipe.eval_scenes), modalities, recipe)
    check_memory(lambda: Vit(recipe.vit), "vit")
    torch.manual_seed(recipe.seed)
    objective = VisionObjective(recipe.vit, recipe.cells, recipe.loss)
    if recipe.init is not None:
        start = load_bundle(recipe.init, recipe.base).model
        if start.config.vit_geometry != recipe.vit:
            raise CooperError(f"recipe: vit does not fit the tower of {recipe.init}, which is {start.config.vit}")
        objective.vit.load_state_dict(start.vit.state_dict())
    plan = TrainingPlan(objective, batches, recipe.optimiser, recipe.record, recipe.out, recipe.seed)

    def export(folder: Path) -> None:
        save_vision(TrainedVision(objective.vit, recipe.vit, recipe.transforms), folder)

    return run_plan(plan, "vision", recipe, Measured(lambda step: vision_scores(objective, held_out), export))


def _amg(recipe: AmgRecipe) -> Path:
    bundle = _new_bundle(recipe) if recipe.init is None else load_bundle(recipe.init, recipe.base)
    if recipe.vision is not None:
        seeing = with_vision(bundle.model, load_vision(recipe.vision), recipe.seed)
        bundle = Bundle(seeing, seeing.config.processor_with(bundle.processor.tokenizer_json), bundle.prompts)
    rows = map_rows(bundle, recipe.data, recipe.latents or recipe.out / "latents-train", recipe)
    exam_rows = map_rows(bundle, recipe.val, recipe.out / "latents-val", recipe)
    objective = PackedObjective(bundle.model, recipe.loss, recipe.frozen)
    plan = TrainingPlan(objective, MapBatches(rows, recipe), recipe.optimiser, recipe.record, recipe.out, recipe.seed)
    modalities = room_modalities(bundle.model)
    exam = map_exam(bundle, exam_rows, recipe.eval_scenes)

    def figures(step: int) -> Mapping[str, float]:
        drawn = exam.drawn(bundle)
        contact_sheet(exam_rows.pictures, drawn, modalities).save(recipe.out / f"maps-{step:06d}.png")
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


def _sft(recipe: SftRecipe) -> Path:
    bundle = load_bundle(recipe.init, recipe.base)
    model = bundle.model
    maps = map_rows(bundle, recipe.data, recipe.latents or recipe.out / "latents-train", recipe)
    exam_rows = map_rows(bundle, recipe.val, recipe.out / "latents-val", recipe)
    modalities = room_modalities(model)
    grey = grey_latent(bundle, maps.pictures.rgb[0])
    drawings = None if recipe.drawings is None else Drawings.opened(recipe.drawings, SceneSet(recipe.data))
    rows = TraceRows(
        maps, modalities, model.config.view_rules, recipe.drawn, grey, recipe.grey, recipe.explore, drawings, recipe.own
    )
    objective = PackedObjective(model, recipe.loss, recipe.frozen)
    plan = TrainingPlan(objective, TraceBatches(rows, recipe), recipe.optimiser, recipe.record, recipe.out, recipe.seed)
    answers = AnswerExam(exam_rows.pictures, recipe.exam_modes, recipe.eval_questions, recipe.grey)
    exam = map_exam(bundle, exam_rows, recipe.eval_scenes)

    def figures(step: int) -> Mapping[str, float]:
        if recipe.grey:
            return answers.figures(bundle)
        drawn = exam.drawn(bundle)
        contact_sheet(exam_rows.pictures, drawn, modalities).save(recipe.out / f"maps-{step:06d}.png")
        return {**exam.scores(drawn), **answers.figures(bundle)}

    return run_plan(plan, "sft", recipe, Measured(figures, lambda folder: save_bundle(bundle, folder)))


def _grpo(recipe: GrpoRecipe) -> Path:
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # rollout_func is experimental there; its signature is tested here
    from cooper.training.rl.run import reinforce

    return reinforce(recipe, plain(recipe))
