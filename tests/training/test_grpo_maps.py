"""Reinforcement learning with maps in the rollouts: a tiny network is made to ask for them, the maps are its own."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from cooper.curation.counts import Flag
from cooper.files.values import read_recipe
from cooper.trace.prompts import DEFAULT
from cooper.trace.steps import MapStep, Step, TextStep
from cooper.trace.trace import Trace
from cooper.training.bundles import load_bundle
from cooper.training.recipe import RecordSettings
from cooper.training.rl.figures import figures_of
from cooper.training.rl.recipe import GrpoRecipe, RewardSettings
from cooper.training.rl.rollouts import Rollout
from cooper.training.rl.run import assemble, reinforce
from cooper.training.rl.sampler import Clock
from cooper.training.rl.tasks import Tasks
from cooper.training.rl.trainer import InterleavedGRPOTrainer
from tests.networks import picture
from tests.training.grpo_runs import Turns, changed, lines, script
from tests.training.rollout_groups import ANSWER, CUT, DEPTH, PARTS, item

JOINT = Path(__file__).parents[2] / "recipes" / "nano" / "grpo_joint.yaml"
MIXED: Sequence[Turns] = ([ANSWER], [DEPTH, ANSWER], [DEPTH, PARTS, ANSWER])
SCRIPTS: dict[str, Sequence[Turns]] = {
    "positive": ([DEPTH, ANSWER], [ANSWER], [ANSWER + CUT]),  # 1 of 3 draws
    "negative": ([DEPTH, ANSWER], [DEPTH, ANSWER], [DEPTH, PARTS, ANSWER]),  # all draw
    "boundary": ([ANSWER], [ANSWER], [ANSWER]),  # none
    "without a flag": ([DEPTH, ANSWER], [PARTS, ANSWER], [ANSWER]),  # 2 of 3
}


@pytest.fixture
def drawing(recipe: GrpoRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GrpoRecipe:
    """Every update asks the same four questions, three of them flagged."""
    path = tmp_path / "flags.jsonl"
    flagged = replace(recipe, questions=4, rows=12, scenes=1, max_turns=3, num_timesteps=4, flags=path)
    flagged = replace(flagged, rewards=RewardSettings(threshold=2))
    bundle = load_bundle(recipe.init)
    ids = assemble(replace(flagged, flags=None), bundle).tasks.source.ids()
    kinds = dict(zip(ids, SCRIPTS, strict=True))
    path.write_text("".join(json.dumps({"id": id, "flag": kind}) + "\n" for id, kind in list(kinds.items())[:3]))
    script(monkeypatch, bundle.processor, lambda id: SCRIPTS[kinds[id]])
    return flagged


@pytest.fixture
def ratios(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """New over old probabilities of all scored entries, pass by pass, as the loss compares them."""
    found: list[torch.Tensor] = []
    scores, loss = InterleavedGRPOTrainer._get_per_token_logps_and_entropies, InterleavedGRPOTrainer._compute_loss
    last: list[torch.Tensor] = []

    def remembered(self, *inputs, **named):
        scored = scores(self, *inputs, **named)
        last[:] = [scored[0].detach()]
        return scored

    def compared(self, model, inputs):
        value = loss(self, model, inputs)
        scored = (inputs["completion_mask"] * inputs["tool_mask"]).bool()
        assert int(scored.sum()) == sum(sum(rollout.mask) for rollout in inputs["rollout"])
        found.append((last[0] - inputs["old_per_token_logps"]).exp()[scored])
        return value

    monkeypatch.setattr(InterleavedGRPOTrainer, "_get_per_token_logps_and_entropies", remembered)
    monkeypatch.setattr(InterleavedGRPOTrainer, "_compute_loss", compared)
    return found


def _spread(values: list[float]) -> list[float]:
    """Where values lie between the first and the third."""
    return [(value - values[0]) / (values[2] - values[0]) for value in values]


@pytest.mark.parametrize("noise", [0.0, 0.6])
def test_rollouts_with_maps_are_trained_on_what_the_sampler_saw(drawing, ratios, noise):
    run = replace(drawing, map_noise=noise)
    folder = reinforce(run)
    assert len(ratios) == 2 and all(len(ratio) > 100 for ratio in ratios)
    for ratio in ratios:
        torch.testing.assert_close(ratio, torch.ones_like(ratio), atol=1e-4, rtol=0)
    logged = [line for line in lines(run) if "reward" in line]
    assert len(logged) == 2
    for line in logged:
        assert all(line[f"clip_ratio/{name}"] == 0 for name in ("region_mean", "low_mean", "low_min", "high_mean", "high_max"))
        assert line["maps/depth"] == pytest.approx(5 / 12) and line["maps/segmentation"] == pytest.approx(2 / 12)
        assert line["maps/drawing"] == pytest.approx(6 / 12)
        by_flag = [line[f"maps/drawing_{flag}"] for flag in ("positive", "negative", "boundary")]
        assert by_flag == pytest.approx([1 / 3, 1, 2 / 6])  # a question without a flag is on the boundary
        assert line["rollouts/truncated"] == pytest.approx(1 / 12)
        assert line["rewards/exploration/mean"] == pytest.approx((0.2 - 3 * 0.2) / 12, abs=1e-6)
        assert line["rewards/format/mean"] == 1 and line["seconds/drawing"] > 0
    moved = changed(run.init, folder)
    assert any(".und." in name for name in moved)
    assert any(name.endswith("latent_out.weight") for name in moved) == (noise > 0)  # only noisy steps can be rewarded


def test_later_iterations_move_away_from_the_sampler(drawing, ratios):
    run = replace(drawing, map_noise=0.6, learning_rate=1e-2, trl={"num_iterations": 2}, record=RecordSettings(1, 2))
    reinforce(run)
    assert (ratios[0] - 1).abs().max() < 1e-4 < 1e-2 < (ratios[1] - 1).abs().max()


def test_a_run_leaves_curves_of_what_it_logged(drawing):
    reinforce(drawing)
    curves, use = ((drawing.out / name).read_text() for name in ("curves.svg", "tool-use.svg"))
    logged = lines(drawing)
    names = {name for line in logged for name in line} - {"step", "seconds_per_step"}
    assert {"loss", "entropy", "grad_norm", "reward", "seconds/scoring"} <= names
    for name in names:
        numbers = [line[name] for line in logged if name in line and math.isfinite(line[name])]
        assert (f">{name}<" in curves) == bool(numbers), name
    shares = {f"maps/drawing{flag}" for flag in ("", "_positive", "_negative", "_boundary")}
    assert all(f">{name}<" in use for name in shares) and "share of rollouts that draw" in use
    heights = [float(found) for found in re.findall(r'<path d="M \S+ (\S+) \nL \S+ \1 \n" clip-path.*', use)]
    assert _spread(heights[-4:]) == pytest.approx(_spread([1 / 2, 1 / 3, 1, 1 / 3]), abs=1e-3)  # level lines over two steps


def test_the_joint_recipe_trains_words_and_drawing(recipe, ratios, monkeypatch):
    bundle = load_bundle(recipe.init)
    script(monkeypatch, bundle.processor, lambda id: MIXED)
    small = ["val=null", "flags=null", "steps=3", "questions=2", "group=3", "rows=3", "sampling.max_tokens=5"]
    places = [f"{name}={getattr(recipe, name)}" for name in ("out", "init", "data")]
    rewards = ["rewards.format=0", "rewards.exploration=0"]
    joint = read_recipe(GrpoRecipe, JOINT, [*small, *places, *rewards, "trl.warmup_steps=1"])
    assert joint.map_noise > 0 and "gen" not in joint.frozen and joint.mode == "interleaved"
    monkeypatch.setattr("cooper.training.rl.run.rewards_of", lambda recipe, door, flags, source: [Drawn()])
    moved = changed(joint.init, reinforce(joint))
    assert any(name.endswith("latent_out.weight") for name in moved) and any(".und." in name for name in moved)
    assert not any(name.startswith(("vit", "vae")) for name in moved)
    assert len(ratios) == 6 and all((ratio - 1).abs().max() < 1e-4 for ratio in ratios)
    assert [line["maps/depth"] for line in lines(joint) if "reward" in line] == pytest.approx([2 / 3] * 3)


class Drawn:
    """The more maps, the better."""

    name = "drawn"

    def __call__(self, item, traces):
        return [float(len(trace.maps)) for trace in traces]


MAP = {kind: MapStep(kind, drawn=None, image=picture()) for kind in ("depth", "segmentation")}  # pyright: ignore


def _rollout(number: int, *drawn: str, truncated: bool = False, end: str = ANSWER) -> Rollout:
    asked = item(number)
    steps: list[Step] = []
    for kind in drawn:
        steps += [TextStep(DEPTH), MAP[kind], TextStep("Go on.", author="prompt")]
    trace = Trace(asked.question, (*steps, TextStep(end, truncated=truncated)))
    return Rollout(asked, trace, (), ())


def test_figures_of_made_rollouts():
    rollouts = [
        _rollout(0, "depth"),  # positive
        _rollout(0, "depth", "depth", "segmentation"),
        _rollout(0),
        _rollout(1, "segmentation"),  # negative
        _rollout(1, truncated=True, end="<think>I was"),
        _rollout(2),  # boundary
        _rollout(3, "depth"),  # not flagged: on the boundary
        _rollout(3),
    ]
    flags: dict[str, Flag] = {"q0": "positive", "q1": "negative", "q2": "boundary"}
    sampler = SimpleNamespace(
        clock=Clock(writing=3.0, drawing=2.0, halvings=1),
        door=SimpleNamespace(engine=SimpleNamespace(parts=SimpleNamespace(prompts=DEFAULT))),
    )
    found = figures_of(rollouts, Tasks(SimpleNamespace(), flags), sampler, 1)  # pyright: ignore[reportArgumentType]
    assert {name: sum(values) / len(values) for name, values in found.items()} == pytest.approx(
        {
            "maps/depth": 4 / 8,
            "maps/segmentation": 2 / 8,
            "maps/drawing": 4 / 8,
            "maps/drawing_positive": 2 / 3,
            "maps/drawing_negative": 1 / 2,
            "maps/drawing_boundary": 1 / 3,
            "rollouts/truncated": 1 / 8,
            "rollouts/unanswered": 1 / 8,
            "rollouts/turns": 14 / 8,
            "rollouts/halvings": 1.0,
            "questions/set_aside": 0.0,
            "seconds/writing": 3.0,
            "seconds/drawing": 2.0,
        }
    )
    assert (sampler.clock.writing, sampler.clock.drawing) == (0.0, 0.0)
    unflagged = figures_of(rollouts, Tasks(SimpleNamespace()), sampler, 1)  # pyright: ignore[reportArgumentType]
    assert not any(name.startswith("maps/drawing_") for name in unflagged)
