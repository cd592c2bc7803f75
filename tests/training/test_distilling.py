"""Distillation: the student is led where the engine's own drawing ends, guided or not; trained through the command."""

import json
import os
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cooper.errors import CooperError
from cooper.model.config import DrawingDefaults
from cooper.model.flow import schedule_from
from cooper.reasoning.context import EMPTY, begin, extend
from cooper.reasoning.denoising import Denoising, Drawer, DrawnLatents
from cooper.sequence.packing import pack
from cooper.sequence.segments import NoisedSegment
from cooper.training.bundles import Bundle
from cooper.training.distilling import Distillation, DistilledObjective, is_guided, velocities
from cooper.training.run import train
from cooper.training.scale.adapters import LoraSettings, add_adapters
from cooper.training.stages.objective import LossWeights
from cooper.training.stages.rows import MapRows, Noise

RECIPE = Path(__file__).parents[2] / "recipes" / "nano" / "amg-distil.yaml"
MAPS = ("depth", "segmentation")
PASSES = 3
UNGUIDED = DrawingDefaults(PASSES + 1, 3.0, 1.0, 1.0)
GUIDED = DrawingDefaults(PASSES + 1, 3.0, 4.0, 2.0, interval=(0.4, 1.0), renorm="text_channel")


@pytest.fixture
def drawing_bundle(bundle: Bundle) -> Bundle:
    """The tiny network with weights that are far from its beginning, so that every condition changes what it draws."""
    model = deepcopy(bundle.model)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not name.startswith("vae."):
                weight += 0.1 * torch.randn(weight.shape, generator=generator)
    return replace(bundle, model=model.eval())


def objective_of(bundle: Bundle, drawing: DrawingDefaults, **settings) -> DistilledObjective:
    objective = DistilledObjective(bundle.model, LossWeights())
    objective.distil(Distillation(passes=PASSES, **settings), drawing)
    return objective


def drawn(bundle: Bundle, row, drawing: DrawingDefaults) -> list[Tensor]:
    """What the engine draws from the noises of a row of stage 1, one by one."""
    model, geometry = bundle.model, bundle.processor.geometry
    [picture] = begin(model, geometry, [list(row.segments[:2])])
    found = []
    for place, segment in enumerate(row.segments):
        if isinstance(segment, NoisedSegment) and segment.branch == 0:
            request = row.segments[row.parents[place]]
            main, blind = extend(model, geometry, [picture, EMPTY], [[request], [request]])
            engine = Denoising(model, geometry)
            engine.join({0: Drawer(main, segment.grid, segment.tokens_ND, picture, blind, settings=drawing)})
            for _ in range(drawing.num_timesteps - 1):
                found += [event.latents_ND for event in engine.step() if isinstance(event, DrawnLatents)]
    return found


@pytest.mark.parametrize("drawing", [UNGUIDED, GUIDED], ids=["unguided", "guided"])
def test_the_student_is_led_to_what_the_engine_draws(map_rows: MapRows, drawing_bundle: Bundle, drawing: DrawingDefaults):
    rows = replace(map_rows, noise=Noise(1.0, 0, ((1.0,),)), guided=is_guided(drawing), draws=2)
    row = rows.row(0, 1, False, MAPS)
    batch = pack([row, rows.row(1, 2, True, MAPS)], drawing_bundle.processor.geometry)
    v_ND = objective_of(drawing_bundle, drawing).leading(batch)
    wanted = drawn(drawing_bundle, row, drawing)
    assert len(wanted) == 4
    mains = [each for each in batch.latents.noisings if each.branch == 0]
    for each, latents_ND in zip(mains, wanted, strict=False):  # those of the first row
        x_ND = batch.latents.tokens_ND[each.place]
        assert torch.allclose(x_ND - v_ND[each.place], latents_ND, atol=1e-4)
    assert len(batch.targets.velocity_index_M) == 8 * 16  # copies for guidance are not learnt


def test_guidance_changes_where_it_leads(map_rows: MapRows, drawing_bundle: Bundle):
    """So that the test before this one is none of two zeros."""
    row = replace(map_rows, noise=Noise(1.0, 0, ((1.0,),)), guided=True).row(0, 1, False, MAPS)
    unguided, guided = (drawn(drawing_bundle, row, each)[0] for each in (UNGUIDED, GUIDED))
    assert float((unguided - guided).abs().mean()) > 0.05


def test_consistency_takes_one_step_of_the_teacher_and_the_rest_of_the_student(map_rows: MapRows, drawing_bundle: Bundle):
    row = replace(map_rows, noise=Noise(1.0, 0, ((0.75,),))).row(0, 1, False, ("depth",))
    batch = pack([row], drawing_bundle.processor.geometry)
    objective = objective_of(drawing_bundle, UNGUIDED, method="consistency")
    [place] = [each.place for each in batch.latents.noisings]
    t, after = 0.75, schedule_from(1.0, PASSES, UNGUIDED.timestep_shift)[2]  # those are 1, 0.857, 0.6 and 0
    first_ND = batch.latents.tokens_ND - velocities(drawing_bundle.model, batch) * (t - after)
    with torch.no_grad():
        for weight in drawing_bundle.model.parameters():
            weight += 0.01  # the student moves on, the teacher does not
    t_N = torch.where(batch.latents.t_N > 0, after, 0.0)
    latents = replace(batch.latents, t_N=t_N, tokens_ND=torch.where(t_N[:, None] > 0, first_ND, batch.latents.tokens_ND))
    rest_ND = velocities(drawing_bundle.model, replace(batch, latents=latents)) * after
    wanted_ND = (batch.latents.tokens_ND - (first_ND - rest_ND)) / 0.75
    assert torch.allclose(objective.leading(batch)[place], wanted_ND[place], atol=1e-5)


def test_below_adapters_lies_the_teacher(map_rows: MapRows, drawing_bundle: Bundle):
    bundle = replace(drawing_bundle, model=deepcopy(drawing_bundle.model))
    row = replace(map_rows, noise=Noise(1.0, 0, ((1.0, 0.5),))).row(0, 1, False, MAPS)
    batch = pack([row], bundle.processor.geometry)
    plain_ND = objective_of(bundle, UNGUIDED).leading(batch)
    add_adapters(bundle.model, LoraSettings(rank=2), "", seed=0)
    objective = objective_of(bundle, UNGUIDED)
    with torch.no_grad():
        for name, weight in bundle.model.named_parameters():
            if ".lora_B." in name:
                weight += 0.1
    losses = objective(batch)
    assert torch.allclose(objective.leading(batch), plain_ND, atol=1e-5)
    losses.sum().backward()
    learnt = [
        weight.grad is not None for name, weight in bundle.model.named_parameters() if ".lora_B." in name and ".gen." in name
    ]
    assert learnt and all(learnt)


def trained(out: Path, start: Path, scenes: Path, processes: int, *overrides: str) -> dict:
    """The last line of figures of a run of two steps, by the command, in one process or in several."""
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    words = [sys.executable, *several, "-m", "cooper", "train", "amg", "--config", str(RECIPE)]
    words += [
        f"out={out}",
        f"init={start}",
        f"data={scenes}",
        f"val={scenes}",
        "draws=1",
        "eval_scenes=2",
        "record.log_every=1",
    ]
    words += ["optimiser.steps=2", "optimiser.batch=2", "optimiser.warmup=0", *overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])


def test_the_command_leaves_a_network_that_draws_in_fewer_steps(start: Path, scene_folder: Path, tmp_path: Path):
    trained(tmp_path / "run", start, scene_folder, 1)
    drawing = json.loads((tmp_path / "run" / "model" / "config.json").read_text())["drawing"]
    assert drawing["num_timesteps"] == 3 and drawing["text_scale"] == 1.0


@pytest.mark.slow
def test_two_processes_teach_adapters_as_one_does(start: Path, scene_folder: Path, tmp_path: Path):
    adapters = ["lora={rank: 4, experts: gen}", "optimiser.kind=adamw", "optimiser.precision=float32", "frozen=[]"]
    one = trained(tmp_path / "one", start, scene_folder, 1, *adapters)
    two = trained(tmp_path / "two", start, scene_folder, 2, *adapters, "sharding={fsdp: true}")
    assert two["mse"] == pytest.approx(one["mse"], rel=1e-4) and two["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-3)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("dropouts={text: 0.1}", "distil and dropouts"),
        ("distil={steps: [0]}", r"distil.steps\[0\] is 0; it must be at least 1"),
        ("distil={steps: []}", "distil.steps names no number of steps"),
        ("distil={method: mean}", "distil.method"),
        ("sharding={fsdp: true}", "needs lora"),
        ("init=null", "distil is given, but init is not"),
    ],
)
def test_what_does_not_go_together_is_said(tmp_path: Path, scene_folder: Path, override: str, says: str):
    new = override == "init=null"
    overrides = ["autoencoder=x", override] if new else ["init=nano", override]
    given = [f"out={tmp_path / 'run'}", f"data={scene_folder}", f"val={scene_folder}", "optimiser.kind=adamw", *overrides]
    with pytest.raises(CooperError, match=says):
        train("amg", RECIPE, given)
