"""Reinforcement that was stopped and started again is the unbroken run."""

import os
import signal
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from cooper.errors import CooperError
from cooper.training.loop.sealing import last_whole
from cooper.training.loop.stopping import Interrupted
from cooper.training.loop.watching import read_metrics
from cooper.training.recipe import RecordSettings
from cooper.training.rl.run import arguments, reinforce
from cooper.training.rl.tasks import Tasks, order_of
from cooper.training.rl.trainer import InterleavedGRPOTrainer


@pytest.fixture
def asked(monkeypatch) -> list[tuple[int, ...]]:
    """Numbers of the questions of every generation."""
    numbers, honest = [], Tasks.sampled

    def remembered(self, sampler, these, samples, seed):
        numbers.append(tuple(these))
        return honest(self, sampler, these, samples, seed)

    monkeypatch.setattr(Tasks, "sampled", remembered)
    return numbers


@pytest.fixture
def small(recipe):
    """Two steps an epoch: 8 questions, 4 in each generation."""
    return replace(
        recipe, scenes=2, questions=4, group=2, rows=8, steps=5, record=RecordSettings(log_every=1, save_every=1, keep=9)
    )


def weights(run) -> dict[str, torch.Tensor]:
    return load_file(run.out / "model" / "model.safetensors")


def interrupt_in_step(monkeypatch, step: int) -> None:
    honest = InterleavedGRPOTrainer._compute_loss

    def interrupted(self, model, inputs):
        if self.state.global_step + 1 == step:
            os.kill(os.getpid(), signal.SIGINT)
        return honest(self, model, inputs)

    monkeypatch.setattr(InterleavedGRPOTrainer, "_compute_loss", interrupted)


def test_a_run_resumed_after_its_first_epoch_asks_what_the_unbroken_one_asks(small, asked, monkeypatch):
    reinforce(small)
    whole = asked.copy()
    assert sorted(whole[0] + whole[1]) == sorted(whole[2] + whole[3]) == list(range(8)) and whole[:2] != whole[2:4]
    asked.clear()
    broken = replace(small, out=small.out.parent / "broken")
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt_in_step(patch, 3)
        reinforce(broken)
    assert len(asked) == 3
    reinforce(broken)
    assert asked == whole
    for name, weight in weights(small).items():
        torch.testing.assert_close(weights(broken)[name], weight, atol=1e-7, rtol=0, msg=name)


def test_no_generation_asks_a_question_twice():
    numbers = order_of(7, 5, 3, seed=1)
    assert all(len(set(numbers[first : first + 3])) == 3 for first in range(0, 15, 3))
    assert len(set(numbers[:6])) == len(set(numbers[6:12])) == 6 and numbers[:6] != numbers[6:12]
    assert order_of(7, 9, 3, seed=1)[:15] == numbers and order_of(7, 5, 3, seed=2) != numbers


def test_a_finished_run_started_again_takes_no_step(small, asked):
    run = replace(small, steps=3)
    reinforce(run)
    once, logged = weights(run), read_metrics(run.out / "metrics.jsonl")
    (run.out / "model" / "model.safetensors").unlink()
    asked.clear()
    reinforce(run)
    assert not asked and read_metrics(run.out / "metrics.jsonl") == logged
    assert last_whole(run.out) == run.out / "checkpoint-3"
    for name, weight in once.items():
        assert torch.equal(weights(run)[name], weight), name


def test_a_signal_waits_until_a_generation_is_used_up(small, monkeypatch):
    run = replace(small, steps=4, trl={"num_iterations": 2}, record=RecordSettings(log_every=1, save_every=2))
    interrupt_in_step(monkeypatch, 1)
    with pytest.raises(Interrupted) as stopped:
        reinforce(run)
    assert stopped.value.step == 2 and last_whole(run.out) == run.out / "checkpoint-2"


@pytest.mark.parametrize("name", ["steps_per_generation", "generation_batch_size", "shuffle_dataset"])
def test_what_would_break_the_order_is_not_taken_from_trl(recipe, name):
    with pytest.raises(CooperError, match=rf"trl\.{name} follows from"):
        arguments(replace(recipe, trl={name: 1}), 1)


def test_steps_must_use_up_their_generations(recipe):
    with pytest.raises(CooperError, match=r"steps is 3; it must be a multiple of trl\.num_iterations, 2"):
        replace(recipe, steps=3, trl={"num_iterations": 2}, record=RecordSettings(save_every=2))
