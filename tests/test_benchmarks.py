"""Benchmarks that are meant for other machines run here at toy size: what they measure is not looked at."""

import json
import os
import subprocess
import sys
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[1]


def run(name: str, *words: str) -> list | dict:
    path = [str(HOUSE / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path)), "CUDA_VISIBLE_DEVICES": ""}
    out = Path(words[-1])
    command = [sys.executable, str(HOUSE / "benchmarks" / name), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(out.read_text())


def test_a_gpu_is_measured_by_one_command(tmp_path):
    sizes = ["--context", "64", "--side", "64", "--timesteps", "3", "--repeat", "1", "--rows", "1,2"]
    peaks = ["--peak", "1", "--bandwidth", "10"]
    found = run("gpu.py", "--shape", "toy", "--dtype", "float32", *sizes, *peaks, "--out", str(tmp_path / "gpu.json"))
    assert isinstance(found, dict) and [line["rows"] for line in found["writing"]] == [1, 2]
    assert [line["guided"] for line in found["drawing"]] == [False, True]
    figures = [*found["writing"], *found["drawing"], found["training"]]
    assert all(line.get("share_of_peak", line.get("share_of_bandwidth")) > 0 for line in figures)


def test_decoding_is_compared_in_one_run(tmp_path):
    words = ["--shapes", "toy", "--rows", "2", "--prompt", "20", "--new", "8", "--repeat", "1"]
    found = run("decoding.py", *words, "--out", str(tmp_path / "decoding.json"))
    assert found[0]["rows"] == 2 and found[0]["ratio"] > 0 and found[1]["first_token_joining_8_rows_over_alone"] > 0
