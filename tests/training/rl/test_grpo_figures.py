"""What is logged of reinforcement: every figure on its line, over all processes."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import cooper.training.rl.sampler as sampler_module
from cooper.training.loop.watching import read_metrics
from cooper.training.recipe import RecordSettings
from cooper.training.rl.figures import figures_of, stds_in_groups
from cooper.training.rl.run import reinforce
from cooper.training.rl.sampler import Sampler
from cooper.training.rl.tasks import Tasks
from tests.training.rollout_groups import ANSWER, CUT, DEPTH, item, scripted, tiny_door

SECONDS = ("seconds/writing", "seconds/drawing", "seconds/scoring", "seconds/update")


@pytest.fixture
def drawing(bundle, monkeypatch):
    """Every rollout asks for a depth map first."""
    processor, honest = bundle.processor, sampler_module.requests_of
    turn = (*processor.encode(DEPTH), processor.geometry.eos)
    monkeypatch.setattr(
        sampler_module, "requests_of", lambda *given: [replace(request, script=(turn,)) for request in honest(*given)]
    )


@pytest.mark.usefixtures("drawing")
def test_the_first_line_says_where_the_seconds_of_its_update_went(recipe):
    reinforce(replace(recipe, steps=1))
    (line,) = [line for line in read_metrics(recipe.out / "metrics.jsonl") if "loss" in line]
    assert all(line[name] > 0 for name in SECONDS)
    assert sum(line[name] for name in SECONDS) <= line["seconds_per_step"] + 0.001
    assert line["maps/depth"] >= 1 and line["maps/segmentation"] == 0


def test_an_exam_leaves_the_figures_of_its_step_where_they_belong(recipe, scene_folder):
    examined = replace(recipe, steps=1, val=scene_folder, eval_questions=2, record=RecordSettings(log_every=1, eval_every=1))
    reinforce(examined)
    exam, step = read_metrics(recipe.out / "metrics.jsonl")
    assert "eval_interleaved_accuracy" in exam and not {"reward", "maps/drawing"} & exam.keys()
    assert {"loss", "reward", "maps/drawing", "seconds/update"} <= step.keys()


def test_shares_are_of_all_rollouts_and_a_kind_that_nobody_drew_counts_as_none(tmp_path):
    door = tiny_door(tmp_path)
    rollouts = scripted(door, item(0), ([DEPTH, ANSWER], [ANSWER]), door.options())
    rollouts += scripted(door, item(1), ([ANSWER], ["<think>I was just" + CUT]), door.options())
    tasks = Tasks(SimpleNamespace(), {"q0": "positive"}, set_aside={7: "not readable"})  # pyright: ignore[reportArgumentType]
    found = figures_of(rollouts, tasks, Sampler(door, door.options(), 2), processes=2)
    assert found["maps/depth"] == [1, 0, 0, 0] and found["maps/segmentation"] == [0, 0, 0, 0]
    assert found["maps/drawing"] == [1, 0, 0, 0]
    assert found["maps/drawing_positive"] == [1, 0] and found["maps/drawing_boundary"] == [0, 0]
    assert found["maps/drawing_negative"] == []
    assert found["questions/set_aside"] == [2]  # a mean over two processes, which is to be their sum


def test_the_spread_of_rewards_is_that_within_groups():
    rewards = torch.tensor([1.0, 1.0, 1.0, 5.0, 5.0, torch.nan, 0.0, 1.0, torch.nan, 3.0, torch.nan, torch.nan])
    assert stds_in_groups(rewards, 3) == pytest.approx([0.0, 0.0, 0.5**0.5])
