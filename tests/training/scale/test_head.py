"""Two processes that share sharded weights score words in different numbers of parts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.model.test_head import batch
from tests.networks import tiny_model
from tests.training.scale.head_worker import LENGTHS

HOUSE = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_gradients_are_those_of_one_process_and_nobody_waits(tmp_path):
    out = tmp_path / "grads.pt"
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "tests.training.scale.head_worker"]
    path = os.pathsep.join([str(HOUSE / "src"), str(HOUSE)])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *words, str(out)], env=environment, cwd=HOUSE, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found, alone = torch.load(out, weights_only=True), tiny_model()
    for length in LENGTHS:
        (alone.losses(batch(length)).ce_sum / len(LENGTHS)).backward()
    compared = 0
    for name, weight in alone.named_parameters():
        if weight.grad is not None:
            torch.testing.assert_close(found[name], weight.grad, atol=1e-5, rtol=1e-4, msg=name)
            compared += 1
    assert compared > 10 and "lm_head.weight" in found
