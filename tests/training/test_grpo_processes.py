"""Reinforcement learning on several processes, and after a kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

WORKER = Path(__file__).with_name("grpo_worker.py")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
pytestmark = pytest.mark.slow


def worker(*words: object, processes: int = 1) -> list[str]:
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    return [sys.executable, *several, str(WORKER), *map(str, words)]


def run(*words: object, processes: int = 1) -> None:
    done = subprocess.run(worker(*words, processes=processes), env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def test_two_processes_take_the_step_of_one_with_twice_the_accumulation(start, scene_folder, tmp_path):
    run("run", start, scene_folder, tmp_path / "one", 2, 1, 1.0)
    run("run", start, scene_folder, tmp_path / "two", 2, 1, 1.0, processes=2)
    one, two, before = weights(tmp_path / "one"), weights(tmp_path / "two"), load_file(start / "model.safetensors")
    moved = 0
    for name, weight in one.items():
        step, other = weight - before[name], two[name] - before[name]
        if float(step.abs().max()) > 0:
            moved += 1
            assert float((step - other).abs().max()) <= 1e-4 * float(step.abs().max()) + 1e-7, name
    assert moved > 20


def test_a_killed_run_goes_on_as_if_it_had_not_been(start, scene_folder, tmp_path):
    run("run", start, scene_folder, tmp_path / "whole", 2, 5, 1e-2)
    process = subprocess.Popen(worker("run", start, scene_folder, tmp_path / "killed", 2, 5, 1e-2), env=ENVIRONMENT)
    while not (tmp_path / "killed" / "checkpoint-2").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run("run", start, scene_folder, tmp_path / "killed", 2, 5, 1e-2)
    killed = weights(tmp_path / "killed")
    for name, weight in weights(tmp_path / "whole").items():
        torch.testing.assert_close(killed[name], weight, atol=1e-7, rtol=0, msg=name)


def test_sharded_weights_are_gathered_once_for_rollouts(start, scene_folder, tmp_path):
    run("shard", start, scene_folder, tmp_path, processes=2)
    assert all((tmp_path / f"rank-{rank}").exists() for rank in (0, 1))
