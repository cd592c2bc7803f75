"""What was sampled is what is scored, in float32, whatever a rollout holds."""

from dataclasses import replace
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cooper.errors import CooperError
from cooper.model.flow import noisy_step
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.trace.example import example
from cooper.trace.trace import Trace
from cooper.training.rl.sampler import Sampler
from tests.training.rollout_groups import (
    ANSWER,
    CUT,
    DEPTH,
    GROUP,
    PARTS,
    THOUGHT,
    check_scorer_is_sampler,
    item,
    scores_of,
    scripted,
    tiny_door,
)

ASSETS = Path(str(files("cooper"))) / "assets" / "demo"
FEW = settings(max_examples=15, deadline=None, derandomize=True)
chains = st.lists(st.sampled_from([DEPTH, PARTS, THOUGHT, THOUGHT + CUT, ANSWER + CUT]), max_size=2)


@pytest.fixture(scope="module")
def door(tmp_path_factory) -> Cooper:
    return tiny_door(tmp_path_factory.mktemp("tokenizer"))


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("noise", [0.0, 0.6])
def test_scorer_is_sampler(door, noise, temperature):
    options = replace(door.options(sampling=Sampling(temperature, max_tokens=60)), map_noise=noise)
    rollouts = scripted(door, item(), GROUP, options)
    assert [len(rollout.trace.maps) for rollout in rollouts] == [0, 1, 2, 1, 1]
    assert rollouts[-1].trace.turns[-1].truncated
    assert all(rollout.beginning is rollouts[0].beginning for rollout in rollouts)
    check_scorer_is_sampler(door, rollouts, temperature)


@pytest.fixture(scope="module")
def nano() -> Cooper:
    return Cooper.from_pretrained("nano")


@pytest.mark.parametrize(
    ("noise", "max_tokens", "temperature"), [(0.0, 64, 1.0), (0.0, 14, 1.6), (0.3, 64, 1.6), (0.3, 14, 1.0)]
)
def test_scorer_is_sampler_on_the_bundled_network(nano, noise, max_tokens, temperature):
    """Maps are asked for by force, so that every group has them; all turns behind a script are the network's own."""
    drawing = replace(nano.defaults.drawing, num_timesteps=4)
    options = replace(nano.options("interleaved", Sampling(temperature, max_tokens=max_tokens), drawing), map_noise=noise)
    asked = replace(item(), question=example())
    scripts = ([ANSWER], [], [DEPTH], [DEPTH, PARTS], [THOUGHT, DEPTH], [DEPTH, "<think>I was just" + CUT])
    rollouts = scripted(nano, asked, scripts, options)
    maps = [len(rollout.trace.maps) for rollout in rollouts]
    assert maps[0] == 0 and maps[2] >= 1 and maps[3:5] == [2, 1]
    assert len({len(rollout.ids) for rollout in rollouts}) >= 4
    assert all(rollout.trace.turns[-1].truncated for rollout in rollouts[1:]) == (max_tokens == 14)
    check_scorer_is_sampler(nano, rollouts, temperature)


@FEW
@given(st.lists(chains, min_size=1, max_size=3), st.booleans())
def test_scorer_is_sampler_for_any_group(door, bodies, noisy):
    options = replace(door.options(sampling=Sampling(1.0, max_tokens=60)), map_noise=0.5 if noisy else 0.0)
    check_scorer_is_sampler(door, scripted(door, item(), tuple([*body, ANSWER] for body in bodies), options))


@pytest.mark.parametrize("mode", ["interleaved", "text", "direct", "perception"])
def test_free_rollouts_of_several_questions(door, mode):
    sampler = Sampler(door, door.options(mode), at_once=2)
    rollouts = sampler.sample([item(0), item(1), item(2)], samples=3, seed=4)
    assert [rollout.item.id for rollout in rollouts] == ["q0"] * 3 + ["q1"] * 3 + ["q2"] * 3
    check_scorer_is_sampler(door, rollouts)
    shuffled = [rollouts[place] for place in (8, 0, 4, 1, 3, 7)]
    check_scorer_is_sampler(door, shuffled)
    again = Sampler(door, door.options(mode), at_once=1).sample([item(1)], samples=3, seed=4)
    assert [rollout.ids for rollout in again] == [rollout.ids for rollout in rollouts[3:6]]


def test_noisy_maps_are_drawn_from_what_scores_them(door):
    options = replace(door.options(), map_noise=0.6)
    first, second = scripted(door, item(), ([DEPTH, ANSWER], [DEPTH, ANSWER]), options)
    one, two = first.trace.maps[0], second.trace.maps[0]
    assert one.path.shape == (3, 4, 16) and len(one.logprobs) == 2  # 4 times are 3 steps, the last without noise
    assert not np.allclose(one.path[1], two.path[1])
    plain = scripted(door, item(), ([DEPTH, ANSWER],), replace(options, map_noise=0.0))[0].trace.maps[0]
    assert plain.path is None and plain.logprobs == ()


def test_a_noisy_step_without_noise_is_an_euler_step():
    x, v = torch.randn(3, 2), torch.randn(3, 2)
    likely = noisy_step(x, v, 0.8, 0.5, 1e-6)
    torch.testing.assert_close(likely.mean_ND, x - 0.3 * v)


def test_noisy_steps_keep_the_distribution():
    """For data that are a point, the velocity is known: the states of the noisy path must keep mean and spread of the flow."""
    torch.manual_seed(0)
    point, x = 2.0, torch.randn(40_000, 1)
    times = torch.linspace(1, 0, 101).tolist()
    for t, after in pairwise(times[:61]):
        step = noisy_step(x, (x - point) / t, t, after, 0.5)
        x = step.mean_ND + step.std * torch.randn_like(x)
    t = times[60]
    assert float(x.mean()) == pytest.approx((1 - t) * point, abs=0.02)
    assert float(x.std()) == pytest.approx(t, rel=0.05)


def test_noisy_drawings_survive_saving(door, tmp_path):
    trace = scripted(door, item(), ([DEPTH, ANSWER],), replace(door.options(), map_noise=0.6))[0].trace
    trace.save(tmp_path / "trace")
    again = Trace.load(tmp_path / "trace").maps[0]
    assert np.array_equal(again.path, trace.maps[0].path) and again.logprobs == trace.maps[0].logprobs


def test_noise_and_guidance_do_not_go_together(door):
    guided = door.options(drawing=replace(door.defaults.drawing, text_scale=4.0))
    with pytest.raises(CooperError, match="without guidance"):
        replace(guided, map_noise=0.5)


def test_gradients_reach_words_and_drawing(door):
    options = replace(door.options(), map_noise=0.6)
    rollouts = scripted(door, item(), ([DEPTH, ANSWER],), options)
    from cooper.training.rl.policy import Policy, Words
    from cooper.training.rl.scoring import Scorer

    parts = door.engine.parts
    scorer = Scorer(parts.layout.processor.geometry, Words(parts.layout.processor.vocabulary))
    model = parts.model
    try:
        scorer(Policy(model), rollouts, torch.device("cpu"))[0].logprobs.sum().backward()
        assert model.lm_head.weight.grad.abs().sum() > 0 and model.latent_out.weight.grad.abs().sum() > 0
    finally:
        model.zero_grad()


def test_memory_that_runs_out_halves_what_is_sampled_at_once(door, monkeypatch):
    sampler = Sampler(door, door.options("direct"), at_once=4)
    honest = Sampler._together

    def short_of_memory(self, items, samples, seed):
        if len(items) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(self, items, samples, seed)

    monkeypatch.setattr(Sampler, "_together", short_of_memory)
    rollouts = sampler.sample([item(0), item(1), item(2)], samples=2, seed=0)
    assert len(rollouts) == 6 and sampler.at_once == 1 and sampler.clock.halvings == 1
    monkeypatch.setattr(Sampler, "_together", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("out of memory")))
    with pytest.raises(torch.OutOfMemoryError):
        sampler.sample([item(0)], samples=2, seed=0)


def test_scores_do_not_depend_on_neighbours(door):
    rollouts = scripted(door, item(), GROUP, door.options())
    together = scores_of(door, rollouts)
    for place, rollout in enumerate(rollouts):
        torch.testing.assert_close(scores_of(door, [rollout])[0].logprobs, together[place].logprobs, atol=1e-5, rtol=0)
