"""Runs that went wrong: gradients that are not numbers, files that were torn."""

import json
import os
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console
from trl import GRPOTrainer

from cooper.errors import CooperError
from cooper.training.loop.sealing import last_whole
from cooper.training.loop.trainer import PackedTrainer
from cooper.training.loop.watching import Watching, read_metrics
from cooper.training.rl.run import arguments, reinforce
from cooper.training.rl.samples import fault_folder
from cooper.training.scale.adapters import LoraSettings
from tests.training.toy import ToyObjective, toy_plan


class Steep(ToyObjective):
    """Finite everywhere, without a gradient from the third batch on."""

    seen = 0

    def forward(self, batch):
        self.seen += 1
        weight = next(self.net.parameters())
        return super().forward(batch) + ((0 * weight).sum().sqrt() if self.seen > 2 else 0)


def test_gradients_that_are_not_numbers_never_reach_the_weights(tmp_path):
    plan = replace(toy_plan(tmp_path), objective=Steep())
    with pytest.raises(CooperError, match="the gradients are not numbers at step 3"):
        PackedTrainer(plan).run()
    assert all(weight.isfinite().all() for weight in plan.objective.parameters())


def test_nor_in_reinforcement(recipe, monkeypatch):
    def steep(self, model, inputs):
        weight = next(weight for weight in model.parameters() if weight.requires_grad)
        return (0 * weight).sum().sqrt() if self.state.global_step else 0 * weight.sum()

    monkeypatch.setattr(GRPOTrainer, "_compute_loss", steep)
    with pytest.raises(CooperError, match="the gradients are not numbers at step 2"):
        reinforce(recipe)
    assert last_whole(recipe.out) == recipe.out / "checkpoint-1"


def test_every_process_keeps_the_rollouts_of_a_bad_loss_in_a_folder_of_its_own(tmp_path):
    ranks = [SimpleNamespace(output_dir=tmp_path, process_index=rank, world_size=2) for rank in range(2)]
    assert len({fault_folder(rank, 7) for rank in ranks}) == 2  # pyright: ignore[reportArgumentType]


def test_only_what_can_be_written_at_the_end_is_sharded(recipe, monkeypatch):
    assert arguments(replace(recipe, trl={"fsdp": True}), 2).fsdp_plugin_args["fsdp_version"] == 2
    assert not arguments(replace(recipe, trl={"fsdp": True}), 1).fsdp, "a process by itself keeps all weights"
    with pytest.raises(CooperError, match="sharded by FSDP2 only"):
        arguments(replace(recipe, trl={"fsdp": True, "fsdp_config": {"version": 1}}), 1)
    assert arguments(replace(recipe, trl={"fsdp": True}, lora=LoraSettings(2, 4)), 2).fsdp
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")  # as accelerate launch --use_fsdp says it
    with pytest.raises(CooperError, match="sharded by FSDP2 only"):
        arguments(recipe, 1)
    monkeypatch.setenv("FSDP_VERSION", "2")
    arguments(recipe, 1)


def begun(folder):
    watching = Watching(folder, "toy", Console(file=StringIO()))
    watching.on_train_begin(SimpleNamespace(max_steps=9), SimpleNamespace(is_world_process_zero=True, global_step=2), None)  # pyright: ignore[reportArgumentType]


def test_a_line_that_was_torn_by_a_kill_is_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": NaN}\n{"step": 3, "loss": 1.0}\n{"step": 4, "lo')
    assert [line["step"] for line in read_metrics(path)] == [1, 2, 3]
    begun(tmp_path)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2]


def test_a_kill_while_lines_are_dropped_loses_none(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 3}\n')

    def killed(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        begun(tmp_path)
    assert [line["step"] for line in read_metrics(path)] == [1, 3]
