"""Two losses with their own global counts, averaged weights, exact resume, and clean stops."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cooper.errors import CooperError
from cooper.training.loop.averaging import Average
from cooper.training.loop.sealing import last_whole
from cooper.training.loop.trainer import PackedTrainer
from tests.training.toy import ToyBatch, ToyObjective, lines, toy_plan, trained

TOY = Path(__file__).parents[1] / "toy.py"


def test_splitting_a_batch_changes_nothing(tmp_path: Path):
    whole = lines(trained(toy_plan(tmp_path / "a")))
    split = lines(trained(toy_plan(tmp_path / "b", accumulation=4)))
    assert len(whole) == len(split) == 8
    for one, other in zip(whole, split, strict=True):
        assert other == pytest.approx(one, abs=1e-5)


def test_the_loss_is_the_weighted_sum_of_two_means(tmp_path: Path):
    first = lines(trained(toy_plan(tmp_path, steps=1)))[0]
    objective = ToyObjective()
    batch = toy_plan(tmp_path).make_batch(range(4))
    assert isinstance(batch, ToyBatch)
    sums, counts = objective(batch), objective.counts(batch)
    assert counts.tolist() == [3 + 4 + 5 + 6, 0 + 1 + 2 + 0]
    assert first["ce"] == pytest.approx(float(sums[0] / counts[0]), abs=1e-6)
    assert first["mse"] == pytest.approx(float(sums[1] / counts[1]), abs=1e-6)
    assert first["loss"] == pytest.approx(first["ce"] + 0.5 * first["mse"], abs=1e-5)


def test_a_resumed_run_repeats_the_unbroken_one(tmp_path: Path):
    unbroken = trained(toy_plan(tmp_path / "a"))
    broken = toy_plan(tmp_path / "b")
    trained(broken)
    last = last_whole(tmp_path / "b")
    assert last is not None and last.name == "checkpoint-8"
    for file in sorted(last.iterdir()):
        file.unlink()
    resumed = trained(replace(toy_plan(tmp_path / "b"), folder=tmp_path / "b"))
    assert lines(resumed) == lines(unbroken)
    for name, weight in unbroken.average.weights.items():
        assert torch.equal(weight, resumed.average.weights[name])


def test_the_average_follows_its_formula(tmp_path: Path):
    objective = ToyObjective()
    average = Average(objective, 0.9)
    name, weight = next(iter(objective.named_parameters()))
    expected = weight.detach().clone()
    for update in range(30):
        with torch.no_grad():
            weight.add_(1.0)
        average.update(objective)
        decay = min(0.9, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * weight.detach()
    assert torch.allclose(average.weights[name], expected, atol=1e-4)
    own = weight.detach().clone()
    with average.applied(objective):
        assert torch.allclose(weight, expected, atol=1e-4)
    assert torch.equal(weight, own)
    average.save(tmp_path)
    assert torch.equal(load_file(tmp_path / "ema.safetensors")[name], average.weights[name])


class Broken(ToyObjective):
    def forward(self, batch: ToyBatch) -> Tensor:
        return super().forward(batch) * float("nan")


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path):
    plan = replace(toy_plan(tmp_path), objective=Broken())
    with pytest.raises(CooperError, match="not a number at step 1"):
        PackedTrainer(plan).run()


def _started(folder: Path, what: str, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, **variables, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.training.toy", what, str(folder)]
    return subprocess.Popen(
        command, env=environment, cwd=TOY.parents[2], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint(tmp_path: Path, number: signal.Signals):
    process = _started(tmp_path, "slow")
    while last_whole(tmp_path) is None:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    process.send_signal(number)
    said = process.communicate()[0]
    assert process.returncode == 130, said
    assert "start the same command again" in said
    last = last_whole(tmp_path)
    assert last is not None and str(last) in said


@pytest.mark.slow
def test_two_processes_log_every_figure_of_one(tmp_path: Path):
    """Each process has half of the batch, of uneven counts; every figure is of the whole batch."""
    alone = [json.loads(line) for line in _logged(tmp_path / "one", 1)]
    pair = [json.loads(line) for line in _logged(tmp_path / "two", 2)]
    assert len(alone) == len(pair) == 8
    for one, two in zip(alone, pair, strict=True):
        assert {"step", "loss", "ce", "mse", "grad_norm", "learning_rate"} <= one.keys() == two.keys()
        for name in one.keys() - {"seconds_per_step"}:
            assert two[name] == pytest.approx(one[name], abs=2e-5), (one["step"], name)


def _logged(folder: Path, processes: int) -> list[str]:
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    command = [sys.executable, *several, str(TOY), "once", str(folder), str(4 // processes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": _path()}
    done = subprocess.run(command, env=environment, cwd=TOY.parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("gloo threads: 0") == processes or not Path("/proc/self/task").exists(), done.stdout
    return (folder / "metrics.jsonl").read_text().splitlines()


def _path() -> str:
    """Where this package and its tests are found, from any folder."""
    return os.pathsep.join([str(TOY.parents[2]), os.environ.get("PYTHONPATH", "")])
