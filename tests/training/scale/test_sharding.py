"""Weights dealt out over two processes by the command that a user types: `torchrun ... -m cooper train`."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from cooper.reasoning.cooper import Cooper
from cooper.training.loop.sealing import last_whole
from tests.cli.test_full_disk import cooper, told
from tests.networks import picture

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
SHARDED = "sharding={fsdp: true}"


def command(stage: str, recipe: Path, *changes: str, processes: int = 1) -> list[str]:
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    return [sys.executable, *several, "-m", "cooper", "train", stage, "--config", str(recipe), *changes]


def train(stage: str, recipe: Path, *changes: str, processes: int = 1) -> Path:
    words = command(stage, recipe, *changes, processes=processes)
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return Path(next(each for each in changes if each.startswith("out=")).removeprefix("out="))


def figures(folder: Path) -> list[dict[str, float]]:
    """All that was logged, but for times and shares of time."""
    logged = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in ("seconds_per_step", "waiting")} for line in logged]


def same(one: Path, other: Path, digits: float = 1e-4) -> None:
    """Losses, gradient norms and exams to four digits, and the models that were left."""
    assert len(figures(one)) == len(figures(other))
    for first, second in zip(figures(one), figures(other), strict=True):
        assert second == pytest.approx(first, rel=digits, abs=1e-6)
    for name, weight in load_file(one / "model" / "model.safetensors").items():
        stored = load_file(other / "model" / "model.safetensors")[name]
        torch.testing.assert_close(stored, weight, atol=10 * digits, rtol=digits, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["amg", "sft"])
def test_two_processes_train_as_one_with_twice_the_accumulation(recipes, scene_folder, tmp_path, stage):
    more = {"val": str(scene_folder), "eval_questions": 2, "eval_scenes": 1} if stage == "sft" else {}
    recipe = recipes(stage, frozen=["vit"], **more)
    one = train(stage, recipe, f"out={tmp_path / 'one'}", "optimiser.accumulation=2")
    two = train(stage, recipe, f"out={tmp_path / 'two'}", "optimiser.accumulation=1", SHARDED, processes=2)
    assert {"loss", "grad_norm", "ce", "mse"} <= figures(two)[0].keys()
    same(one, two)
    assert Cooper.from_pretrained(two / "model").depth(picture(1)).reading.arrays["depth"].shape == (32, 32)


@pytest.mark.slow
def test_a_killed_run_goes_on_with_another_number_of_processes(recipes, tmp_path):
    recipe = recipes("sft", optimiser={"steps": 8, "batch": 4, "accumulation": 1, "learning_rate": 0.02, "warmup": 1})
    whole = train("sft", recipe, f"out={tmp_path / 'whole'}", "checkpointing=true", SHARDED, processes=2)
    changes = (f"out={tmp_path / 'killed'}", "checkpointing=true", SHARDED)
    process = subprocess.Popen(
        command("sft", recipe, *changes, processes=2),
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while last_whole(tmp_path / "killed") is None:
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "model").exists()
    train("sft", recipe, *changes)  # on one process
    same(whole, tmp_path / "killed")
    last = tmp_path / "killed" / "checkpoint-8"
    assert (last / "shards" / ".metadata").is_file() and not list(last.glob("*.safetensors"))
    assert "shards/.metadata" in json.loads((last / "manifest.json").read_text())


@pytest.mark.slow
def test_adapters_replicas_and_bfloat16_are_sharded_too(recipes, tmp_path):
    recipe = recipes("amg", lora={"rank": 2})
    one = train("amg", recipe, f"out={tmp_path / 'one'}")
    two = train("amg", recipe, f"out={tmp_path / 'two'}", "optimiser.accumulation=1", SHARDED, processes=2)
    same(one, two)
    first, second = (load_file(folder / "adapter" / "adapter_model.safetensors") for folder in (one, two))
    for name, weight in first.items():
        torch.testing.assert_close(second[name], weight, atol=1e-3, rtol=1e-4, msg=name)
    twice = "sharding={fsdp: true, replicas: 2}"
    copies = train("amg", recipe, f"out={tmp_path / 'copies'}", "optimiser.accumulation=1", twice, processes=2)
    same(one, copies)
    small = "optimiser={steps: 2, batch: 4, learning_rate: 0.001, precision: bf16}"
    half = train("amg", recipe, f"out={tmp_path / 'half'}", small, SHARDED, "lora=null", processes=2)
    full = train("amg", recipe, f"out={tmp_path / 'full'}", small.replace("bf16", "float32"), "lora=null")
    for found, wanted in zip(figures(half), figures(full), strict=True):
        if "loss" in wanted:
            assert found["loss"] == pytest.approx(wanted["loss"], rel=0.02)
            assert found["grad_norm"] == pytest.approx(wanted["grad_norm"], rel=0.05)
    assert load_file(half / "model" / "model.safetensors")["lm_head.weight"].dtype == torch.float32


@pytest.mark.slow
def test_the_published_layout_is_read_part_by_part(run, recipes, start, tmp_path):
    assert run("export", start, tmp_path / "published").code == 0
    small = "optimiser={steps: 1, batch: 2, learning_rate: 0.01}"
    ours = train("amg", recipes("amg"), f"out={tmp_path / 'ours'}", small)
    recipe = recipes("amg", init=str(tmp_path / "published"))
    same(ours, train("amg", recipe, f"out={tmp_path / 'published-run'}", small, SHARDED, processes=2))


@pytest.mark.slow
def test_ranks_without_pictures_or_maps_wait_for_nobody(start, tmp_path):
    """One rank has a row of words alone, the other a row with a picture: both must gather and sum the same weights."""
    picture(1).save(tmp_path / "room.png")
    said = {"steps": [{"text": "It is <answer>so</answer>"}], "mode": "text"}
    rows = [{"question": [{"text": "Two and two?"}], **said}]
    rows += [{"question": [{"image": "room.png"}, {"text": "What is seen?"}], **said}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = {"out": str(tmp_path / "run"), "init": str(start), "data": str(tmp_path / "rows.jsonl"), "seed": 1}
    values |= {"optimiser": {"steps": 3, "batch": 2, "learning_rate": 0.01}, "record": {"log_every": 1}}
    recipe = tmp_path / "sft.yaml"
    recipe.write_text(yaml.safe_dump(values))
    one = train("sft", recipe, f"out={tmp_path / 'one'}", "optimiser.accumulation=2", SHARDED)
    two = train("sft", recipe, f"out={tmp_path / 'two'}", SHARDED, processes=2)
    same(one, two)


@pytest.mark.slow
def test_a_signal_ends_all_processes_at_one_step_with_a_checkpoint(recipes, tmp_path):
    recipe = recipes("sft", optimiser={"steps": 5000, "batch": 2, "learning_rate": 0.001}, record={"log_every": 1})
    words = command("sft", recipe, SHARDED, processes=2)
    process = subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    metrics = tmp_path / "run" / "metrics.jsonl"
    while not metrics.exists() or len(metrics.read_text().splitlines()) < 3:
        assert process.poll() is None, process.communicate()[0][-3000:]
        time.sleep(0.05)
    process.terminate()
    said = process.communicate(timeout=300)[0]
    last = last_whole(tmp_path / "run")
    assert last is not None and last.name != "checkpoint-200" and f"continue from {last}" in said, said[-3000:]


@pytest.mark.slow
def test_a_full_disk_is_said_in_one_sentence(recipes, tmp_path):
    said = told(cooper("train", "sft", "--config", recipes("sft"), SHARDED, most=400 << 10))
    assert "File too large" in said and said.endswith("the same command goes on from the last whole checkpoint"), said
    assert (tmp_path / "run" / "checkpoint-1" / "shards").is_dir(), "it was to be the shards that found no room"


def test_what_cannot_be_sharded_is_refused(run, recipes):
    for changes, said in (
        (["optimiser.kind=muon", SHARDED], "optimiser.kind muon and sharding do not go together"),
        (["sharding={replicas: 2}"], "sharding.replicas is 2, which does not divide 1 processes"),
        (["sharding={replicas: 0}"], "sharding.replicas is 0; it must be at least 1"),
    ):
        refused = run("train", "sft", "--config", recipes("sft"), *changes)
        assert refused.code == 1 and said in " ".join(refused.err.split()), refused.err
