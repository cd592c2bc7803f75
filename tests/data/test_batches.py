"""Stateless batches: every split of a global batch holds the same rows, and nothing depends on what came before."""

import pytest

from cooper.data.batches import Batches, BatchPart, rng_of, shuffled
from cooper.data.mixture import Mixture
from cooper.errors import CooperError


def test_every_split_covers_the_global_batch_once():
    for accumulation, world in ((1, 1), (4, 1), (2, 2), (1, 4)):
        for step in range(3):
            rows = [
                row
                for rank in range(world)
                for part in range(accumulation)
                for row in BatchPart(8, accumulation, rank, world).rows(step, part)
            ]
            assert sorted(rows) == list(range(8 * step, 8 * step + 8))


def test_a_batch_that_cannot_be_split_is_refused():
    with pytest.raises(CooperError, match="batch of 6"):
        BatchPart(6, 4)


def test_each_item_comes_once_per_epoch_in_another_order():
    first, second = ([shuffled(3, row, 50) for row in range(start, start + 50)] for start in (0, 50))
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second


def test_batches_start_at_the_step_that_is_asked_for():
    share = BatchPart(4, 2)
    whole = list(Batches(list, share, 5, lambda: 0))
    assert list(Batches(list, share, 5, lambda: 3)) == whole[6:]


def test_generators_and_mixtures_depend_on_their_key_alone():
    assert rng_of(1, 2).random() == rng_of(1, 2).random() != rng_of(2, 1).random()
    mixture = Mixture({"a": 3.0, "b": 1.0, "c": 0.0})
    picks = [mixture.pick(0, row) for row in range(2000)]
    assert picks == [mixture.pick(0, row) for row in range(2000)]
    assert 0.7 < picks.count("a") / 2000 < 0.8
    assert "c" not in picks


def test_a_mixture_of_nothing_is_refused():
    for weights in ({}, {"a": 0.0}, {"a": -1.0, "b": 2.0}):
        with pytest.raises(CooperError, match="mixture"):
            Mixture(weights)


def test_turns_of_a_mixture_come_by_weight_and_are_counted_by_source(monkeypatch):
    mixture = Mixture({"none": 0.0, "few": 0.5, "many": 1.5})
    monkeypatch.setattr("cooper.data.mixture.BLOCK", 64)  # several blocks in few rows
    turns = [mixture.turn(7, row) for row in range(400)]
    for name in ("few", "many"):
        assert [turn.order for turn in turns if turn.source == name] == list(range(sum(t.source == name for t in turns)))
    assert {turn.source for turn in turns} == {"few", "many"}
    assert sum(turn.source == "few" for turn in turns) == pytest.approx(100, abs=30)
    assert [mixture.turn(7, row) for row in (399, 3, 200)] == [turns[399], turns[3], turns[200]], "any row by itself"
    assert [mixture.turn(8, row).source for row in range(400)] != [turn.source for turn in turns]
