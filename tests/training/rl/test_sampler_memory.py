"""What the sampler does when memory runs out."""

import weakref

import pytest
import torch

from cooper.reasoning.engine import Engine
from cooper.training.rl.sampler import Sampler
from tests.training.rollout_groups import check_scorer_is_sampler, item, tiny_door

ON_A_CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to"
)


@pytest.fixture
def door(tmp_path):
    return tiny_door(tmp_path)


def allow(monkeypatch, rows: int, error: Exception) -> list[int]:
    """Memory for so many rows; what was tried."""
    tried, honest = [], Engine.run

    def limited(self, questions, requests, options):
        tried.append(len(requests))
        if len(requests) > rows:
            raise error
        return honest(self, questions, requests, options)

    monkeypatch.setattr(Engine, "run", limited)
    return tried


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), ON_A_CPU], ids=["cuda", "python", "cpu"]
)
def test_below_one_question_its_samples_are_halved_and_stay_the_same(door, monkeypatch, error):
    items = [item(0), item(1)]
    whole = Sampler(door, door.options(), at_once=2).sample(items, samples=5, seed=4)
    tried = allow(monkeypatch, 2, error)
    sampler = Sampler(door, door.options(), at_once=2)
    halved = sampler.sample(items, samples=5, seed=4)
    assert tried == [10, 5, 2, 2, 1, 2, 2, 1]
    assert (sampler.at_once, sampler.samples_at_once, sampler.clock.halvings) == (1, 2, 2)
    assert [rollout.ids for rollout in halved] == [rollout.ids for rollout in whole]
    assert [rollout.item.id for rollout in halved] == ["q0"] * 5 + ["q1"] * 5
    assert all(rollout.beginning is halved[0].beginning for rollout in halved[:5])
    check_scorer_is_sampler(door, halved)


def test_one_row_that_does_not_fit_and_other_errors_are_told(door, monkeypatch):
    allow(monkeypatch, 0, ON_A_CPU)
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
        Sampler(door, door.options(), at_once=2).sample([item(0), item(1)], samples=3, seed=0)
    monkeypatch.undo()
    tried = allow(monkeypatch, 0, RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        Sampler(door, door.options(), at_once=2).sample([item(0), item(1)], samples=3, seed=0)
    assert tried == [6]


def test_memory_is_given_back_when_nothing_of_what_failed_is_held(door, monkeypatch):
    tensors, held, honest = [], [], Sampler._together

    def short_of_memory(self, items, samples, seed):
        if len(items) > 1:
            large = torch.zeros(8)
            tensors.append(weakref.ref(large))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(self, items, samples, seed)

    monkeypatch.setattr(Sampler, "_together", short_of_memory)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: held.append(tensors[0]()))
    Sampler(door, door.options(), at_once=2).sample([item(0), item(1)], samples=1, seed=0)
    assert held == [None]
