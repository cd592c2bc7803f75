"""What a rollout is worth that a judge could not decide, at the level of advantages."""

from dataclasses import replace

import pytest
import torch

from cooper.training.loop.watching import read_metrics
from cooper.training.rl.recipe import RewardSettings
from cooper.training.rl.run import reinforce
from cooper.training.rl.trainer import InterleavedGRPOTrainer


class Given:
    """Values in the order of the group, whatever was written."""

    def __init__(self, name, values):
        self.name, self.values = name, values

    def __call__(self, item, traces):
        return list(self.values)


@pytest.fixture
def generated(monkeypatch):
    """What TRL makes of each generation."""
    kept, honest = [], InterleavedGRPOTrainer._generate_and_score_completions
    monkeypatch.setattr(
        InterleavedGRPOTrainer,
        "_generate_and_score_completions",
        lambda self, inputs: kept.append(honest(self, inputs)) or kept[-1],
    )
    return kept


def rewarding(monkeypatch, **terms):
    rewards = [Given(name, values) for name, values in terms.items()]
    monkeypatch.setattr("cooper.training.rl.run.rewards_of", lambda recipe, door, flags, source: rewards)
    monkeypatch.setattr(RewardSettings, "terms", dict.fromkeys(terms, 1.0))


@pytest.mark.parametrize("aggregation", ["sum_then_normalize", "normalize_then_sum"])
def test_an_undecided_row_neither_earns_nor_loses_and_others_are_compared_without_it(
    recipe, monkeypatch, generated, aggregation
):
    rewarding(monkeypatch, answer=[1.0, None, 0.0], format=[1.0, 1.0, 1.0])
    reinforce(replace(recipe, steps=1, rows=6, trl={"multi_objective_aggregation": aggregation}))
    first, undecided, last = generated[0]["advantages"].view(2, 3).unbind(1)
    assert not undecided.any()
    torch.testing.assert_close(first, -last)
    assert (first > 0.7).all()
    (line,) = [line for line in read_metrics(recipe.out / "metrics.jsonl") if "reward" in line]
    assert line["reward"] == pytest.approx(1.5) and line["rewards/answer/unjudged"] == pytest.approx(1 / 3)


def test_a_group_with_nobody_to_compare_teaches_nothing(recipe, monkeypatch, generated):
    rewarding(monkeypatch, answer=[None, None, 0.0], format=[1.0, 0.0, 1.0])
    reinforce(replace(recipe, steps=1, rows=6))
    assert not generated[0]["advantages"].any()
