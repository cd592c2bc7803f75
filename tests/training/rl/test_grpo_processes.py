"""Reinforcement learning on several processes, and after a kill."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cooper.training.loop.sealing import last_whole

WORKER = Path(__file__).parents[1] / "grpo_worker.py"
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
    assert _figures(tmp_path / "two") == [pytest.approx(line, abs=1e-4, nan_ok=True) for line in _figures(tmp_path / "one")]


def _figures(folder: Path) -> list[dict[str, float]]:
    """All that was logged of every update, but for times."""
    logged = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if "seconds" not in name and name != "step_time"} for line in logged]


@pytest.fixture(scope="module")
def unbroken(start: Path, scene_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of five updates that nothing disturbs."""
    folder = tmp_path_factory.mktemp("unbroken")
    run("run", start, scene_folder, folder, 2, 5, 1e-2)
    return folder


MOMENTS = {"sampling": 2, "scoring": 2, "writing": 2, "saving": 5}  # of the kill, and the last whole checkpoint then


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_goes_on_as_if_it_had_not_been(start, scene_folder, unbroken, tmp_path, moment):
    words = ("run", start, scene_folder, tmp_path / "killed", 2, 5, 1e-2)
    killed = subprocess.run(worker(*words, moment), env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-3000:]
    last = last_whole(tmp_path / "killed")
    assert last is not None and last.name == f"checkpoint-{MOMENTS[moment]}"
    assert (tmp_path / "killed" / "checkpoint-3").exists() == (moment in ("writing", "saving"))
    run(*words)
    gone_on, steps = weights(tmp_path / "killed"), [_steps(folder) for folder in (unbroken, tmp_path / "killed")]
    for name, weight in weights(unbroken).items():
        torch.testing.assert_close(gone_on[name], weight, atol=1e-7, rtol=0, msg=name)
    assert steps[0] == steps[1] and [step for step, *_ in steps[0]] == [1, 2, 3, 4, 5]


def _steps(folder: Path) -> list[tuple[float, ...]]:
    """Step, loss and reward of every update, as they were logged."""
    logged = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], round(line["loss"], 5), round(line["reward"], 5)) for line in logged if "reward" in line]


@pytest.mark.parametrize("way", ["", "lora"])
def test_sharded_weights_are_gathered_once_for_rollouts(start, scene_folder, tmp_path, way):
    run("shard", start, scene_folder, tmp_path, way, processes=2)
    assert all((tmp_path / f"rank-{rank}").exists() for rank in (0, 1))


@pytest.mark.parametrize("more", ["", "+lora+beta"], ids=["all weights", "adapters with a reference"])
def test_a_sharded_run_is_sampled_examined_resumed_and_written_like_any_other(start, scene_folder, tmp_path, more):
    run("run", start, scene_folder, tmp_path / "whole", 2, 3, 1e-2, f"examined{more}", processes=2)
    run("run", start, scene_folder, tmp_path / "sharded", 2, 1, 1e-2, f"sharded{more}", processes=2)
    run("run", start, scene_folder, tmp_path / "sharded", 2, 3, 1e-2, f"sharded{more}", processes=2)
    whole, sharded, before = weights(tmp_path / "whole"), weights(tmp_path / "sharded"), load_file(start / "model.safetensors")
    moved = sum(not torch.equal(whole[name], before[name]) for name in whole)
    assert whole.keys() == sharded.keys() and moved > (10 if more else 20)
    for name, weight in whole.items():
        torch.testing.assert_close(sharded[name], weight, atol=1e-6, rtol=1e-5, msg=name)
    assert _steps(tmp_path / "whole") == _steps(tmp_path / "sharded")
    if more:
        adapters = [load_file(tmp_path / name / "adapter" / "adapter_model.safetensors") for name in ("whole", "sharded")]
        assert (
            adapters[0].keys() == adapters[1].keys() and len(adapters[0]) == 32
        )  # two factors, 2 layers, 4 targets, 2 experts
        for name, weight in adapters[0].items():
            torch.testing.assert_close(adapters[1][name], weight, atol=1e-6, rtol=1e-5, msg=name)
        assert _distances(tmp_path / "whole") == pytest.approx(_distances(tmp_path / "sharded"), rel=1e-3, abs=1e-9)
        assert _distances(tmp_path / "sharded")[-1] > 1e-6, "the weights below the adapters are the reference"
    examined = [_exams(tmp_path / name) for name in ("whole", "sharded")]
    assert examined[0] and examined[0][-1] == examined[1][-1]


def _distances(folder: Path) -> list[float]:
    """How far every update found the policy from its reference."""
    logged = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["kl"] for line in logged if "kl" in line]


def _exams(folder: Path) -> list[dict[str, float]]:
    logged = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    found = [{name: value for name, value in line.items() if name.startswith("eval_")} for line in logged]
    return [each for each in found if each]
