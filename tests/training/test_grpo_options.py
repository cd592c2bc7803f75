"""Losses and options of TRL, reached by the recipe: each is what TRL is told, and each changes the loss."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from cooper.training.bundles import load_bundle
from cooper.training.recipe import RecordSettings
from cooper.training.rl.recipe import GrpoRecipe, RewardSettings
from cooper.training.rl.run import arguments, reinforce
from tests.training.grpo_runs import lines, script
from tests.training.grpo_worker import Lengths
from tests.training.rollout_groups import ANSWER, CUT, THOUGHT

OPTIONS: dict[str, dict[str, Any]] = {
    "dapo": {"loss_type": "dapo"},
    "grpo": {"loss_type": "grpo"},
    "gspo": {"loss_type": "grpo", "importance_sampling_level": "sequence"},
    "dr_grpo": {"loss_type": "dr_grpo"},
    "bnpo": {"loss_type": "bnpo"},
    "cispo": {"loss_type": "cispo", "epsilon_high": 5.0},
    "each reward normalised": {"multi_objective_aggregation": "normalize_then_sum"},
    "rewards as they are": {"scale_rewards": "none"},
    "far rollouts left out": {"off_policy_mask_threshold": 1e-6},
    "entropy": {"entropy_coef": 0.01, "top_entropy_quantile": 0.5},
}


TURNS = ([ANSWER], [THOUGHT, ANSWER], [ANSWER + CUT, THOUGHT + CUT], [])  # of several lengths; the last writes its own


class Many:
    """A reward of another size than `Lengths`, so that it matters what is normalised first."""

    name = "many"

    def __call__(self, item, traces):
        return [10.0 * len(trace.turns) + place for place, trace in enumerate(traces)]


@pytest.fixture
def options(recipe: GrpoRecipe, monkeypatch: pytest.MonkeyPatch) -> GrpoRecipe:
    """Two rewards, rollouts of several lengths, and a second update on the rollouts of the first; nothing is drawn of it."""
    monkeypatch.setattr("cooper.training.rl.run.rewards_of", lambda recipe, door, flags, source: [Lengths(), Many()])
    monkeypatch.setattr("cooper.training.rl.run.draw_run", lambda folder: None)
    monkeypatch.setattr(RewardSettings, "terms", {"lengths": 1.0, "many": 0.5})
    script(monkeypatch, load_bundle(recipe.init).processor, lambda id: TURNS)
    return replace(recipe, learning_rate=3e-2, group=4, rows=4, record=RecordSettings(log_every=1, save_every=10, keep=1))


def losses(recipe: GrpoRecipe, name: str, trl: dict[str, Any]) -> tuple[float, ...]:
    run = replace(recipe, out=recipe.out / name, trl={"num_iterations": 2, **trl})
    reinforce(run)
    return tuple(line["loss"] for line in lines(run) if "loss" in line)


@pytest.mark.parametrize("trl", [*OPTIONS.values(), {"num_iterations": 2}, {"beta": 0.0}], ids=str)
def test_trl_is_told_what_the_recipe_says(options, trl):
    told = arguments(replace(options, trl=trl, record=RecordSettings(save_every=2)), 1)
    assert {name: getattr(told, name) for name in trl} == trl


def test_each_option_changes_the_loss(options):
    found = {name: losses(options, name, trl) for name, trl in OPTIONS.items()}
    assert all(len(both) == 2 for both in found.values())
    for one, other in combinations(found, 2):
        assert found[one] != pytest.approx(found[other], rel=1e-4, abs=1e-6), (one, other)
    assert losses(options, "default", {}) == pytest.approx(found["dapo"])  # TRL's own default, and no accident of the run
    assert found["gspo"][0] == pytest.approx(found["grpo"][0], abs=1e-5)  # all ratios are 1 as long as nothing has moved
