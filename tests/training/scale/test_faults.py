"""Faults on two processes, each by the command that a user types: what is said, that nobody hangs, and that the run goes on."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cooper.training.loop.sealing import last_whole
from tests.own_pictures import make_pictures
from tests.training.loop.test_trainer import TOY
from tests.training.loop.test_trainer import _path as found_at
from tests.training.scale.test_sharding import ENVIRONMENT, SHARDED, command, same, train

pytestmark = pytest.mark.slow
LONG = {"steps": 400, "batch": 2, "learning_rate": 0.001}


def begun(stage: str, recipe: Path, *changes: str) -> psutil.Popen:
    """A training on two processes."""
    words = command(stage, recipe, *changes, processes=2)
    return psutil.Popen(words, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(process: psutil.Popen, happened) -> None:
    while not happened():
        assert process.poll() is None, process.communicate()[0][-3000:]
        time.sleep(0.05)


def lines(folder: Path) -> list[dict]:
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_one_killed_process_ends_the_other_and_the_run_goes_on(recipes, tmp_path):
    optimiser = {"steps": 8, "batch": 2, "accumulation": 1, "learning_rate": 0.02, "warmup": 1}
    recipe = recipes("sft", optimiser=optimiser)
    whole = train("sft", recipe, f"out={tmp_path / 'whole'}", SHARDED, processes=2)
    changes = (f"out={tmp_path / 'killed'}", SHARDED)
    process = begun("sft", recipe, *changes)
    wait_for(process, lambda: last_whole(tmp_path / "killed") is not None)
    [second] = [child for child in process.children(recursive=True) if child.environ().get("RANK") == "1"]
    second.kill()
    process.communicate(timeout=120)
    assert process.returncode != 0 and not (tmp_path / "killed" / "model").exists()
    train("sft", recipe, *changes, processes=2)
    same(whole, tmp_path / "killed")


def test_a_torn_checkpoint_is_passed_over(recipes, tmp_path):
    recipe = recipes("sft", optimiser={"steps": 4, "batch": 2, "accumulation": 1, "learning_rate": 0.02, "warmup": 1})
    whole = train("sft", recipe, f"out={tmp_path / 'whole'}", SHARDED, processes=2)
    torn = tmp_path / "torn"
    shutil.copytree(whole, torn)
    shutil.rmtree(torn / "model")
    shards = next((torn / "checkpoint-4" / "shards").glob("*.distcp"))
    shards.write_bytes(shards.read_bytes()[:-100])
    process = begun("sft", recipe, f"out={torn}", SHARDED)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said[-3000:]
    assert said.count("checkpoint-4") >= 1 and shards.name in said, said[-3000:]
    same(whole, torn)


def test_a_batch_that_is_no_number_on_one_process_ends_both(tmp_path):
    """The toy's batch, since no file that is read can hold such a number: row 10 is the second process's, in step 3."""
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(TOY), "bad"]
    done = subprocess.run(
        [*words, str(tmp_path), "1"], env=ENVIRONMENT | {"PYTHONPATH": found_at()}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode != 0 and "the loss is not a number at step 3" in done.stderr, done.stderr[-3000:]
    assert [line["step"] for line in lines(tmp_path)] == [1, 2]


def test_a_picture_that_disappears_is_set_aside_by_the_process_that_misses_it(recipes, tmp_path):
    mine = make_pictures(tmp_path / "mine", 12)
    data = {"kind": "pictures", "path": str(mine)}
    recipe = recipes("amg", data=data, val={**data}, maps=["depth"], optimiser=LONG, record={"log_every": 1})
    process = begun("amg", recipe, SHARDED)
    wait_for(process, lambda: len(lines(tmp_path / "run")) >= 3)
    gone = sorted((mine / "images" / "kitchen").iterdir())[0]
    gone.unlink()
    wait_for(process, lambda: (tmp_path / "run" / "set-aside.jsonl").exists())
    count = len(lines(tmp_path / "run"))
    wait_for(process, lambda: len(lines(tmp_path / "run")) > count + 3)  # it goes on
    process.terminate()
    process.communicate(timeout=120)
    aside = [json.loads(line) for line in (tmp_path / "run" / "set-aside.jsonl").read_text().splitlines()]
    assert {row["source"] for row in aside} == {str(mine)} and gone.name in aside[0]["reason"]
