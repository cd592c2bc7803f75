"""The recipes of 7B as they are, one stage after the other, on published files: only sizes are overridden.

The network is a random one of some 100,000 weights in the published layout, with the published tables of positions (64 and 70),
pictures as large as the published network reads them, and an autoencoder as narrow as the tests'. Nobody can train 7B here.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from cooper.model.config import Transforms, default_modalities
from cooper.trace.prompts import DEFAULT
from cooper.training.bundles import Bundle, save_bundle
from cooper.training.loop.sealing import last_whole
from tests.cli.test_full_disk import cooper
from tests.networks import tiny_model, tiny_processor
from tests.published_maps import full_release, hypersim, listed, virtual_kitti
from tests.reasoning_files import interleaved_file, published_questions

RECIPES = Path(__file__).parents[2] / "recipes/7b"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
STEPS = 4
SIZES = {  # what a processor needs: fewer and smaller packs, float32, every step written
    "amg": ("optimiser.batch=2", "optimiser.steps=4", "optimiser.precision=float32", "eval_scenes=1", "workers=1"),
    "sft": ("optimiser.batch=2", "optimiser.steps=4", "optimiser.precision=float32", "workers=1"),
    "grpo": ("questions=2", "group=2", "steps=4", "sampling.max_tokens=8", "num_timesteps=2", "trl.bf16=false"),
}
RECORD = ("record.save_every=1", "record.log_every=1")


def published_network(folder: Path) -> None:
    """A random network in the published layout, with tables of positions as large as the published ones."""
    published = Transforms()
    tower = {"hidden_size": 16, "num_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "position_side": 70}
    shape = {"latent_side": 64, "vit_side": 70, "vit": tower, "modalities": default_modalities()}
    transforms = {"vae": published.vae, "vit": published.vit}
    model = tiny_model(**shape, transforms=transforms)
    own = folder / "own"
    own.mkdir(parents=True)
    save_bundle(Bundle(model, tiny_processor(model, own), DEFAULT), own)
    assert cooper("export", own, folder / "checkpoints/BAGEL-7B-MoT").returncode == 0


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder as a user has it: weights and published data where the recipes look for them."""
    folder = tmp_path_factory.mktemp("published")
    published_network(folder)
    sets = {"Hypersim": hypersim, "vkitti": virtual_kitti, "ADE20K_SEG": full_release}
    for name, write in sets.items():
        (folder / "datasets" / name).mkdir(parents=True)
        write(folder / "datasets" / name)
    held_out = folder / "datasets/nyu"
    held_out.mkdir()
    listed(held_out, [json.loads(line) for line in hypersim(held_out).read_text().splitlines()], "filename_list_test.jsonl")
    reasoning = folder / "datasets/COOPER_reasoning_train_set"
    reasoning.mkdir()
    interleaved_file(reasoning / "Interleaved_SFT.jsonl", 8)
    published_questions(reasoning, 8)
    return folder


def command(stage: str, *changes: str, processes: int = 1) -> list[str]:
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    recipe = str(RECIPES / f"{stage}.yaml")
    return [sys.executable, *several, "-m", "cooper", "train", stage, "--config", recipe, *SIZES[stage], *RECORD, *changes]


def train(place: Path, stage: str, *changes: str, processes: int = 1) -> None:
    words = command(stage, *changes, processes=processes)
    done = subprocess.run(words, cwd=place, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]


def killed(place: Path, stage: str, out: str, *changes: str, processes: int = 1) -> None:
    """Train until the first checkpoint lies there, and kill every process."""
    words = command(stage, f"out={out}", *changes, processes=processes)
    started = subprocess.Popen(words, cwd=place, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 900
    while last_whole(place / out) is None and started.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    assert started.poll() is None, "it was over before it could be killed"
    for each in (*psutil.Process(started.pid).children(recursive=True), started):  # torchrun's have sessions of their own
        each.kill()
    started.wait()


def losses(place: Path, out: str) -> list[tuple[float, float]]:
    lines = [json.loads(line) for line in (place / out / "metrics.jsonl").read_text().splitlines()]
    return [(line["loss"], line["grad_norm"]) for line in lines if "loss" in line]


def same(place: Path, one: str, other: str) -> None:
    assert len(losses(place, one)) == STEPS
    for first, second in zip(losses(place, one), losses(place, other), strict=True):
        assert second == pytest.approx(first, rel=1e-4)
    for name, weight in load_file(place / one / "model/model.safetensors").items():
        torch.testing.assert_close(load_file(place / other / "model/model.safetensors")[name], weight, atol=1e-3, rtol=1e-3)


@pytest.mark.slow
def test_three_stages_from_published_weights_to_answers(place):
    for stage in ("amg", "sft", "grpo"):
        killed(place, stage, f"runs/7b/{stage}")
        train(place, stage)
        assert len(losses(place, f"runs/7b/{stage}")) >= STEPS - 1
    assert cooper("export", place / "runs/7b/grpo/model", place / "exported").returncode == 0
    row = {"id": "a", "image": "images/0.png", "question": "Is there a chair?", "type": "YN", "answer": "Yes"}
    questions = place / "datasets/COOPER_reasoning_train_set/asked.jsonl"
    questions.write_text(json.dumps(row) + "\n")
    asked = (
        "eval",
        "questions",
        "--data",
        questions,
        "--model",
        place / "exported",
        "--mode",
        "direct",
        "--out",
        place / "answers",
    )
    answered = cooper(*asked)
    assert answered.returncode == 0, answered.stderr
    assert (place / "answers/report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["amg", "sft"])
def test_two_processes_train_as_one_with_twice_the_parts(place, stage):
    start = () if stage == "amg" else ("init=checkpoints/BAGEL-7B-MoT",)
    train(place, stage, f"out=one/{stage}", "optimiser.accumulation=2", *start)
    killed(place, stage, f"two/{stage}", *start, processes=2)
    train(place, stage, f"out=two/{stage}", *start, processes=2)
    same(place, f"one/{stage}", f"two/{stage}")
