"""Rows made ahead of the step by threads: the same rows with any number of them, and faults that are told all the same."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from cooper.data.batches import BatchPart
from cooper.errors import CooperError
from cooper.model.vae import Autoencoder
from cooper.sequence.packed import PackedSequence
from cooper.training.feed.ahead import ahead
from cooper.training.feed.aside import GoodRows, SetAside
from cooper.training.feed.feeding import RowFeed
from cooper.training.feed.latents import LatentStore
from cooper.training.feed.packs import Packing
from cooper.training.loop.watching import read_metrics
from cooper.training.stages.rows import MapBatches, MapRows
from tests.cli.conftest import run  # noqa: F401 - the command line in this process
from tests.training.feed.conftest import OPTIMISER, killed_after, steps_of
from tests.training.feed.test_packs import PACKING
from tests.training.stages.test_map_rows import _recipe

PACKINGS = (None, Packing(expected=300, maximum=300, sample=300, buffer=1))


def batches_of(rows: MapRows, folder: Path, packing: Packing | None, workers: int) -> list[PackedSequence]:
    """Four updates of two parts, each made with a store of latents of its own."""
    folder.mkdir()
    rows = MapRows(
        rows.examples, rows.modalities, LatentStore(folder, _autoencoder(rows)), rows.processor, rows.prompts, rows.noise
    )
    feed = RowFeed(GoodRows(MapBatches(rows, _recipe(folder)), SetAside(folder)), packing, workers)
    return list(feed.batches(BatchPart(4, 2), 4, lambda: 0))


def _autoencoder(rows: MapRows) -> Autoencoder:
    return rows.latents._autoencoder


@pytest.mark.parametrize("packing", PACKINGS)
def test_rows_are_the_same_with_any_number_of_workers(map_rows: MapRows, tmp_path, packing):
    alone = batches_of(map_rows, tmp_path / "0", packing, 0)
    assert len(alone) == 8
    for workers in (1, 3):
        for one, two in zip(alone, batches_of(map_rows, tmp_path / str(workers), packing, workers), strict=True):
            assert one.splits.lengths == two.splits.lengths
            assert torch.equal(one.text.ids_T, two.text.ids_T) and torch.equal(one.vit.patches_PC, two.vit.patches_PC)
            assert torch.equal(one.latents.t_N, two.latents.t_N)
            assert torch.allclose(one.latents.tokens_ND, two.latents.tokens_ND, atol=2e-3), "encoded in other company"


def test_processes_keep_their_lanes_and_go_on_in_any_number(map_rows: MapRows, tmp_path):
    """Two updates by one process, the third by two, the fourth by one again: the packs of four updates by one."""

    def run_of(processes: int, start: int, steps: int) -> list[PackedSequence]:
        """The packs of some updates, lane by lane, from the checkpoint that lies there; then a checkpoint is left."""
        feeds = []
        for _ in range(processes):
            rows = GoodRows(MapBatches(map_rows, _recipe(tmp_path)), SetAside(tmp_path))
            feeds.append(RowFeed(rows, PACKINGS[1]))
            feeds[-1].load(tmp_path / str(start))
        share = [BatchPart(4, 4 // processes, rank, processes) for rank in range(processes)]
        made = [list(feed.batches(part, steps, lambda: start)) for feed, part in zip(feeds, share, strict=True)]
        for rank, feed in enumerate(feeds):
            feed.save(tmp_path / str(steps), rank)
        each = 4 // processes
        return [batch for step in range(steps - start) for own in made for batch in own[step * each : (step + 1) * each]]

    whole = run_of(1, 0, 4)
    found = [*run_of(1, 0, 2), *run_of(2, 2, 3), *run_of(1, 3, 4)]
    assert len(whole) == len(found) == 16
    for one, two in zip(whole, found, strict=True):
        assert one.splits.lengths == two.splits.lengths and torch.equal(one.latents.t_N, two.latents.t_N)
    lanes = [json.loads((tmp_path / "3" / f"feed-{rank}.json").read_text()) for rank in range(2)]
    assert [sorted(each) for each in lanes] == [["0", "1"], ["2", "3"]]


def test_what_is_made_ahead_comes_in_order_and_its_faults_when_they_are_asked_for():
    def made(number: int) -> int:
        if number == 3:
            raise CooperError("the third")
        return number * 2

    with ThreadPoolExecutor(2) as pool:
        results = ahead(range(9), made, pool, depth=4)
        assert [next(results) for _ in range(3)] == [0, 2, 4]
        with pytest.raises(CooperError, match="the third"):
            next(results)
        assert list(ahead(range(2), made, pool, depth=4)) == [0, 2], "the others are not stopped by it"


def test_threads_share_a_store_of_latents(map_rows: MapRows, tmp_path):
    """All ask for the same pictures at once: each is kept once, and the bytes of each count once."""
    pictures = [torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1 for seed in range(6)]
    store = LatentStore(tmp_path / "shared", _autoencoder(map_rows))
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda place: store.get(lambda: pictures[place % 6], place % 6), range(36)))
    for place, latent in enumerate(found):
        assert torch.equal(latent, found[place % 6])
    with sqlite3.connect(tmp_path / "shared" / "latents.sqlite") as file:
        assert file.execute("select count(*), sum(length(numbers)) from latents").fetchone() == (6, store._held)


def test_a_run_with_workers_is_gone_on_with_by_any_number(run, amg, tmp_path):  # noqa: F811
    path = amg(packing=PACKING, workers=2)
    ran = run("train", "amg", "--config", path)
    assert ran.code == 0, ran.err
    whole = steps_of(tmp_path / "run")
    lines = [line for line in read_metrics(tmp_path / "run" / "metrics.jsonl") if "loss" in line]
    assert all(0 <= line["waiting"] <= 1 for line in lines)
    killed_after(tmp_path / "run", 2)
    again = run("train", "amg", "--config", path, "workers=0")
    assert again.code == 0, again.err
    for one, two in zip(whole, steps_of(tmp_path / "run"), strict=True):
        assert two["tokens"] == one["tokens"] and two["loss"] == pytest.approx(one["loss"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_with_workers_ends_at_a_signal_and_goes_on(amg, tmp_path, number):
    path, folder = amg(packing=PACKING, workers=2, optimiser={**OPTIMISER, "steps": 2000}), tmp_path / "run"
    command = [sys.executable, "-m", "cooper", "train", "amg", "--config", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (folder / "checkpoint-2" / "manifest.json").is_file() and process.poll() is None:
        time.sleep(0.1)
    os.kill(process.pid, number)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == (-number if number == signal.SIGKILL else 130), said
    taken = max(line["step"] for line in read_metrics(folder / "metrics.jsonl") if "loss" in line)
    more = [*command, "--force-recipe", f"optimiser.steps={taken + 2}"]
    ran = subprocess.run(more, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert [line["step"] for line in steps_of(folder)] == list(range(1, taken + 3))
