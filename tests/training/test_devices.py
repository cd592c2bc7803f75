"""Every stage trains and examines with its model on another device than the data: see `tests.elsewhere`."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from cooper.model.config import VaeGeometry
from cooper.model.vae import Autoencoder
from cooper.perception import build_modalities
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.reasoning.options import Options
from cooper.scenes.examples import CONVENTIONS, SceneExamples
from cooper.scenes.lessons import SceneLessons
from cooper.scenes.problems import exam_items
from cooper.training.bundles import Bundle, load_bundle
from cooper.training.feed.latents import LatentStore
from cooper.training.loop.averaging import Average
from cooper.training.loop.trainer import Objective, PackedTrainer
from cooper.training.recipe import Optimiser
from cooper.training.rl.recipe import GrpoRecipe
from cooper.training.rl.run import assemble
from cooper.training.stages.autoencoder import (
    AutoencoderObjective,
    AutoencoderRecipe,
    Crops,
    measured_geometry,
    reconstructed,
)
from cooper.training.stages.exam import AnswerExam, MapExam
from cooper.training.stages.objective import LossWeights, PackedObjective
from cooper.training.stages.reasoning import SftRecipe, TraceBatches, TraceRows
from cooper.training.stages.rows import MapBatches, MapRows, Noise, PictureKey, RowRecipe
from cooper.training.stages.vision import VisionBatches, VisionObjective, VisionRecipe, vision_scores
from tests.elsewhere import ELSEWHERE, Elsewhere, pretended_accelerator
from tests.training.loop.test_trainer import toy_plan

from .conftest import MODALITIES, SHAPE

OPTIMISER = Optimiser(steps=2, batch=2, learning_rate=1e-3)


@pytest.fixture
def device() -> Iterator[torch.device]:
    with pretended_accelerator() as device:
        yield device


def step(objective: Objective, batch, device: torch.device) -> float:
    """One step as the trainer takes it: data made on the CPU, model and averages elsewhere."""
    objective.to(device)
    average = Average(objective, 0.9)
    trained = [weight for weight in objective.parameters() if weight.requires_grad]
    sums = objective(batch.to(device))
    assert sums.device == device
    (sums / objective.counts(batch).to(device).clamp(min=1)).sum().backward()
    assert any(weight.grad is not None and weight.grad.device == device for weight in trained)
    torch.optim.AdamW(trained, lr=1e-3).step()
    average.update(objective)
    with average.applied(objective):
        return float(objective(batch.to(device)).detach().sum())


def moved(bundle: Bundle, device: torch.device) -> Bundle:
    return Bundle(copy.deepcopy(bundle.model).to(device), bundle.processor, bundle.prompts)


def begun(bundle: Bundle, examples: SceneExamples, folder: Path, device: torch.device) -> tuple[Bundle, MapRows]:
    """As a stage begins: rows and latents around a model that the trainer moves afterwards."""
    model = copy.deepcopy(bundle.model)
    store, modalities = LatentStore(folder, model.vae), build_modalities(MODALITIES)
    rows = MapRows(examples, modalities, store, bundle.processor, bundle.prompts, Noise(1.0, 0))
    return Bundle(model.to(device), bundle.processor, bundle.prompts), rows


def test_the_pretended_device_refuses_what_a_real_one_refuses(device):
    linear, x = nn.Linear(2, 2).to(device), torch.ones(1, 2)
    assert isinstance(linear.weight.data, Elsewhere)
    with pytest.raises(RuntimeError, match="two devices"):
        linear(x)
    y = linear(x.to(device))
    with pytest.raises(TypeError, match="no NumPy array"):
        y.detach().numpy()
    assert y.detach().cpu().numpy().shape == (1, 2)
    assert torch.tensor([1, 2], device=device).sum().item() == 3
    assert torch.zeros(2, device=device).device == torch.ones_like(y).device == device


def test_the_trainer_takes_its_terms_from_the_device(device, tmp_path):
    plan = toy_plan(tmp_path)
    trainer = PackedTrainer(plan)
    plan.objective.to(device)
    batch = plan.make_batch(range(4))
    counts = trainer._get_num_items_in_batch([batch], device)
    loss = trainer.compute_loss(plan.objective, batch.to(device), num_items_in_batch=counts)
    assert loss.device == device and trainer._terms.device.type == "cpu" and float(loss.detach()) > 0


def test_maps_are_learnt_drawn_and_scored(device, bundle, examples, tmp_path):
    placed, rows = begun(bundle, examples, tmp_path, device)
    batches = MapBatches(rows, RowRecipe(out=tmp_path, data=tmp_path, optimiser=OPTIMISER))
    assert step(PackedObjective(placed.model, LossWeights()), batches(range(2)), device) > 0
    exam = MapExam(examples[:2], CONVENTIONS, rows.modalities)
    drawn = exam.drawn(placed)
    assert 0 <= exam.scores(drawn)["miou"] <= 1
    assert exam.sheet(drawn).width > 0


def test_latents_are_those_of_the_cpu(bundle, examples, tmp_path):
    _, rows = begun(bundle, examples, tmp_path / "here", torch.device("cpu"))
    here = rows.latent(PictureKey(0, "depth"))
    with pretended_accelerator() as device:
        _, rows = begun(bundle, examples, tmp_path / "there", device)
        there = rows.latent(PictureKey(0, "depth"))
        assert there.device.type == "cpu"
    assert torch.allclose(here, there, atol=1e-2)


def test_reasoning_is_learnt_and_examined(device, bundle, examples, tmp_path, monkeypatch):
    monkeypatch.setattr("cooper.training.stages.exam.TURN_TOKENS", 4)  # an untrained network does not end its turns
    placed, rows = begun(bundle, examples, tmp_path, device)
    source = SceneLessons(
        examples=examples, prompts=bundle.prompts, modalities=rows.modalities, canvas=bundle.processor.vae, seed=0
    )
    traces = TraceRows(source, rows, placed.model.config.view_rules, 1.0)
    mixture, questions = {"interleaved": 1.0, "reading": 1.0, "replay": 1.0}, {"interleaved": 2, "reading": 2}
    recipe = SftRecipe(out=tmp_path, data=tmp_path, optimiser=OPTIMISER, init=tmp_path, mixture=mixture, questions=questions)
    batches = TraceBatches(traces, recipe)
    kinds = {batches.kind(2 * number): 2 * number for number in range(40)}
    for number in kinds.values():
        assert step(PackedObjective(placed.model, LossWeights()), batches(range(number, number + 2)), device) > 0
    assert kinds.keys() == mixture.keys()
    assert "direct_accuracy" in AnswerExam(exam_items(examples, 1), ("direct",)).figures(placed)


def test_the_picture_tower_is_learnt_and_scored(device, examples, tmp_path):
    folders = {"out": tmp_path, "data": tmp_path, "val": tmp_path}
    sight = {"modalities": MODALITIES, "vit": SHAPE.vit, "transforms": SHAPE.transforms, "cells": 4}
    recipe = VisionRecipe(**folders, **sight, optimiser=OPTIMISER, eval_scenes=2)
    batches = VisionBatches(examples, build_modalities(MODALITIES), recipe)
    objective = VisionObjective(recipe.vit, recipe.cells, recipe.loss)
    assert step(objective, batches(range(2)), device) > 0
    assert vision_scores(objective, batches)


def test_the_autoencoder_is_learnt_and_scored(device, examples, tmp_path):
    geometry = VaeGeometry(8, (1, 2), 1, 2, 1.0, 0.0, 4)
    recipe = AutoencoderRecipe(tmp_path, tmp_path, OPTIMISER, tmp_path, MODALITIES, geometry, crop=16, eval_scenes=2)
    modalities = build_modalities(MODALITIES)
    objective = AutoencoderObjective(Autoencoder(geometry), recipe.loss, 0)
    assert step(objective, Crops(examples, modalities, recipe)(range(2)), device) > 0
    assert (
        MapExam(examples[:2], CONVENTIONS, modalities).scores(reconstructed(objective.autoencoder, examples[:2], modalities))[
            "miou"
        ]
        >= 0
    )
    assert measured_geometry(objective.autoencoder, examples, modalities).scale > 0


def test_rollouts_are_sampled_and_scored(device, recipe: GrpoRecipe, start):
    run = assemble(replace(recipe, map_noise=0.3), load_bundle(start))
    run.policy.to(device)
    rollouts = run.tasks.sampled(run.sampler, [0, 1], 2, seed=3)
    scored = run.scorer(run.policy, rollouts, device)
    assert all(each.logprobs.device == device for each in scored)
    for rollout, each in zip(rollouts, scored, strict=True):
        written = torch.tensor(rollout.logprobs)
        assert torch.allclose(each.logprobs.detach().cpu(), written, atol=1e-3)


def test_the_engine_answers_in_every_mode(device, bundle, examples):
    placed = moved(bundle, device)
    door = Cooper.of(placed.model, placed.processor, placed.prompts)
    asked = [item.question for item in exam_items(examples, 2)]
    sampling = Sampling(temperature=1.0, top_p=0.9, max_tokens=4)
    for mode in ("direct", "text", "interleaved", "perception"):
        options: Options = door.options(mode, sampling, replace(door.defaults.drawing, text_scale=2.0, image_scale=1.5))
        traces = door.batch(asked, options)
        assert len(traces) == 2 and len(traces[0][0].maps) == (2 if mode == "perception" else 0)
    noisy = replace(door.options("perception", sampling), map_noise=0.3)
    assert door.batch(asked[:1], noisy)[0][0].maps[0].path is not None
    assert placed.model.device == ELSEWHERE
