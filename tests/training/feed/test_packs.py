"""Packs by a number of tokens: what a lane holds, resumed, split over parts and processes, and through the command."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch

from cooper.errors import CooperError
from cooper.sequence.packing import Geometry, Row, pack
from cooper.sequence.segments import TextSegment
from cooper.training.bundles import Bundle
from cooper.training.feed.aside import Taken
from cooper.training.feed.packs import Lane, LaneState, Packing, lines_of, tokens_of
from cooper.training.feed.rows import Pick
from cooper.training.loop.watching import read_metrics
from cooper.training.stages.rows import MapRows
from tests.cli.conftest import run  # noqa: F401 - the command line in this process
from tests.training.feed.conftest import OPTIMISER, assert_same_model, killed_after, steps_of

GEOMETRY = Geometry(
    bos=1, eos=2, image_start=3, image_end=4, latent_patch=1, latent_side=4, latent_width=1, vit_patch=1, vit_side=4
)
PACKING = {"expected": 400, "maximum": 400, "sample": 400, "buffer": 2}


def text_row(tokens: int) -> Row:
    """A row of so many tokens, its two marks included."""
    return Row((TextSegment((7,) * (tokens - 2), loss=True),))


def rows_of(lane: Lane, lengths: list[int]) -> Iterator[Taken]:
    """Row r has the r-th of the lengths, over and over."""
    return (Taken(number, text_row(lengths[number % len(lengths)]), Pick(number)) for number in lane.numbers)


def lane_of(state: LaneState, refused: list[int], lanes: int = 1, **changes: int) -> Lane:
    packing = Packing(**{"expected": 10, "maximum": 12, "sample": 11, "buffer": 2, **changes})
    return Lane(packing, GEOMETRY, lanes, state, lambda taken, reason: refused.append(taken.number))


def test_a_lane_fills_packs_and_what_does_not_fit_comes_first_in_the_next():
    lane = lane_of(LaneState(0), [])
    first, second, third = islice(lane.packs(rows_of(lane, [5, 8, 4, 11, 3, 9])), 3)
    assert first.tokens == (5, 4, 3) and first.state == LaneState(5, (1, 3)), "8 and 11 wait for 4 and 3"
    assert second.tokens == (8,) and second.state.waiting == (3, 5, 6), "as many wait as may: 11, 9 and the next 5"
    assert third.tokens == (11,)


def test_nothing_is_lost_and_long_rows_are_counted():
    lengths, refused = [5, 8, 12, 4, 11, 3, 9, 30], []
    lane = lane_of(LaneState(0), refused)
    packs = list(islice(lane.packs(rows_of(lane, lengths)), 40))
    last = packs[-1].state
    given = sum(sum(pack.tokens) for pack in packs)
    whole = sum(lengths[number % 8] for number in range(last.following) if lengths[number % 8] <= 11)
    assert given == whole - sum(lengths[number % 8] for number in last.waiting)
    assert len(refused) == last.dropped == sum(lengths[number % 8] > 11 for number in range(last.following))
    assert all(sum(pack.tokens) <= 12 for pack in packs)


@pytest.mark.parametrize("taken", [1, 2, 7, 23])
def test_a_lane_goes_on_from_its_state(taken):
    lengths = [5, 8, 12, 4, 11, 3, 9, 7]
    lane = lane_of(LaneState(1), [], lanes=3)
    whole = list(islice(lane.packs(rows_of(lane, lengths)), 30))
    later = lane_of(whole[taken - 1].state, [], lanes=3)
    rest = list(islice(later.packs(rows_of(later, lengths)), 30 - taken))
    assert [(pack.tokens, pack.state) for pack in rest] == [(pack.tokens, pack.state) for pack in whole[taken:]]


def test_rows_that_never_fit_end_the_run():
    lane = lane_of(LaneState(0), [])
    with pytest.raises(CooperError, match=r"1,000 rows one after the other are too long; of the last, the row has 20 tokens"):
        next(lane.packs(rows_of(lane, [20])))


def test_budgets_that_contradict_each_other_are_refused():
    with pytest.raises(CooperError, match="sample is 20, more than the maximum of a pack, 10"):
        Packing(expected=10, maximum=10, sample=20)


def test_lines_are_learned_as_rows_are(map_rows: MapRows, bundle: Bundle):
    """Rows behind one another in a line do not see each other, and a line has fewer places that are empty."""
    names = (("depth",), ("depth", "segmentation"), ("segmentation",), ("depth",))
    rows = [map_rows.row(number, number, False, maps) for number, maps in enumerate(names)]
    rows.append(Row((TextSegment((5, 6, 7), loss=True),)))
    tokens = [tokens_of(row, bundle.processor.geometry) for row in rows]
    apart = pack(rows, bundle.processor.geometry)
    assert apart.splits.lengths == tuple(tokens)
    together = pack(lines_of(rows, tokens), bundle.processor.geometry)
    assert together.splits.slot_BQ.numel() < apart.splits.slot_BQ.numel() and together.rows < apart.rows
    with torch.no_grad():
        one, two = bundle.model.losses(apart), bundle.model.losses(together)
    assert (one.ce_count, one.mse_count) == (two.ce_count, two.mse_count)
    assert float(one.ce_sum) == pytest.approx(float(two.ce_sum), abs=1e-4)
    assert float(one.mse_sum) == pytest.approx(float(two.mse_sum), abs=1e-4)


@pytest.mark.parametrize("stage", ["amg", "sft"])
def test_a_resumed_run_of_packs_is_the_uninterrupted_one(run, amg, sft, tmp_path, stage):  # noqa: F811
    path = {"amg": amg, "sft": sft}[stage](packing=PACKING)
    ran = run("train", stage, "--config", path)
    assert ran.code == 0, ran.err
    whole = steps_of(tmp_path / "run")
    assert all(0 < line["tokens"] <= 2 * 400 and 0 <= line["padding"] < 1 for line in whole)
    shutil.copytree(tmp_path / "run", tmp_path / "kept")
    killed_after(tmp_path / "run", 2)
    again = run("train", stage, "--config", path)
    assert again.code == 0, again.err
    assert steps_of(tmp_path / "run") == whole
    assert_same_model(tmp_path / "run", tmp_path / "kept")


def test_lessons_about_scenes_are_packed(run, sft, scene_folder, tmp_path):  # noqa: F811
    """Rows of several lengths, rows of stage 1 among them."""
    lessons = {"mixture": {"interleaved": 1, "direct": 1, "replay": 1}, "questions": {"interleaved": 1, "direct": 2}}
    packing = {"expected": 600, "maximum": 800, "sample": 800, "buffer": 4}
    path = sft(data=str(scene_folder), **lessons, packing=packing, workers=2)
    ran = run("train", "sft", "--config", path)
    assert ran.code == 0, ran.err
    lines = steps_of(tmp_path / "run")
    assert all(line["ce"] > 0 and line["tokens"] <= 2 * 800 for line in lines) and any(line["mse"] > 0 for line in lines)


@pytest.mark.slow
def test_packs_do_not_depend_on_the_parts_of_an_update(run, amg, tmp_path):  # noqa: F811
    lines = {}
    for parts in (1, 2):
        optimiser = {**OPTIMISER, "accumulation": parts}
        ran = run("train", "amg", "--config", amg(packing=PACKING, optimiser=optimiser, out=str(tmp_path / f"parts-{parts}")))
        assert ran.code == 0, ran.err
        lines[parts] = steps_of(tmp_path / f"parts-{parts}")
    for one, two in zip(lines[1], lines[2], strict=True):
        assert one["tokens"] == two["tokens"]
        for name in ("loss", "mse", "grad_norm"):
            assert two[name] == pytest.approx(one[name], rel=1e-4), name


def test_rows_above_the_budget_are_dropped_counted_and_named(run, sft, tmp_path):  # noqa: F811
    packing = {"expected": 120, "maximum": 120, "sample": 120, "buffer": 2}
    ran = run("train", "sft", "--config", sft(packing=packing))
    assert ran.code == 0, ran.err
    last = [line for line in read_metrics(tmp_path / "run" / "metrics.jsonl") if "loss" in line][-1]
    assert last["dropped"] > 0 and last["set_aside"] == 0
    noted = read_metrics(tmp_path / "run" / "set-aside.jsonl")
    assert all(row["why"] == "too long" and "tokens, above 120 (packing.sample)" in row["reason"] for row in noted)
    assert {row["source"] for row in noted} <= {"drawn", "words"} and all(", line " in row["row"] for row in noted)


def train(stage: str, config: Path, processes: int, *words: str) -> None:
    """The command with some processes, as torchrun starts them."""
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    command = [sys.executable, *several, "-m", "cooper", "train", stage, "--config", str(config), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def assert_alike(one: Path, two: Path) -> None:
    for first, second in zip(steps_of(one), steps_of(two), strict=True):
        assert second["tokens"] == first["tokens"]
        assert second["padding"] == pytest.approx(first["padding"], abs=1e-6)
        for name in ("loss", "ce", "mse", "grad_norm"):
            assert second[name] == pytest.approx(first[name], rel=1e-4, abs=1e-7), name


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["amg", "sft"])
def test_two_processes_learn_the_packs_of_one_with_twice_the_parts(amg, sft, tmp_path, stage):
    """Each process packs lanes of its own, takes part in every sum whatever its packs teach, and one goes on for both."""
    for processes in (1, 2):
        optimiser = {**OPTIMISER, "batch": 4, "accumulation": 4 // processes}
        recipe = {"packing": PACKING, "optimiser": optimiser, "workers": 2}
        config = {"amg": amg, "sft": sft}[stage](**recipe, out=str(tmp_path / f"processes-{processes}"))
        train(stage, config, processes)
    one, two = tmp_path / "processes-1", tmp_path / "processes-2"
    assert_alike(one, two)
    assert {path.name for path in (two / "checkpoint-4").glob("feed-*")} == {"feed-0.json", "feed-1.json"}
    killed_after(two, 2)
    train(stage, config, 1, "--force-recipe", "optimiser.accumulation=4")
    assert_alike(one, two)
