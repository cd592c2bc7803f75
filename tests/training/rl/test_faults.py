"""Each fault that was proven in the published reinforcement learning, put back: every one is noticed.

The numbers are those of `docs/explanation/differences.md`. A mutation is a small patch; `check_scorer_is_sampler` or the
property of the rewards, which hold for the code as it is (`test_rollouts.py`, `test_rewards.py`), must then fail.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

import cooper.sequence.packing as packing
import cooper.training.rl.sampler as sampler_module
from cooper.model.cooper import CooperModel
from cooper.reasoning import writing
from cooper.reasoning.cooper import Cooper
from cooper.sequence.layout import Layout, Views
from cooper.sequence.segments import TextSegment
from cooper.trace.grammar import Think, parse_turn
from cooper.training.rl.rewards.format import FormatReward
from tests.training.rl.rewards import test_rewards
from tests.training.rollout_groups import ANSWER, CUT, DEPTH, THOUGHT, check_scorer_is_sampler, item, scripted, tiny_door


@pytest.fixture
def door(tmp_path) -> Cooper:
    return tiny_door(tmp_path)


def check(door: Cooper, *scripts: Sequence[str | tuple[int, ...]]) -> None:
    check_scorer_is_sampler(door, scripted(door, item(), scripts, door.options()))


def test_the_code_as_it_is_passes(door):
    check(door, [DEPTH, ANSWER], [THOUGHT, ANSWER], [THOUGHT + CUT])


def test_1_attention_modes_that_slip_by_a_segment(door, monkeypatch):
    """The text that is scored sees its own future, or nothing."""
    rollouts = scripted(door, item(), ([DEPTH, ANSWER],), door.options())
    honest = packing.visibility

    def slipped(row, span):
        mask = honest(row, span)
        first = len(mask) - span[-1]
        mask[first:, first:] = True
        return mask

    monkeypatch.setattr(packing, "visibility", slipped)
    with pytest.raises(AssertionError):
        check_scorer_is_sampler(door, rollouts)
    monkeypatch.setattr(packing, "visibility", lambda row, span: torch.eye(sum(span), dtype=torch.bool))
    with pytest.raises(AssertionError):
        check_scorer_is_sampler(door, rollouts)


def test_2_log_probabilities_that_are_not_shifted(door, monkeypatch):
    """Every token scored from its own embedding."""
    rollouts = scripted(door, item(), ([DEPTH, ANSWER],), door.options())
    honest = packing._Columns._text

    def unshifted(self, segment, rope):
        before = len(self.target_at)
        honest(self, segment, rope)
        self.target_at[before:] = [place + 1 for place in self.target_at[before:]]

    monkeypatch.setattr(packing._Columns, "_text", unshifted)
    with pytest.raises(AssertionError):
        check_scorer_is_sampler(door, rollouts)


def test_3_maps_scored_with_other_views_than_they_were_read_with(door, monkeypatch):
    honest = sampler_module.rollouts_of
    assert door.engine.parts.layout.views.map == ("vit",)

    def other_views(asked, traces, layout, options):
        return honest(asked, traces, replace(layout, views=Views(map=("vae", "vit"))), options)

    monkeypatch.setattr("tests.training.rollout_groups.rollouts_of", other_views)
    with pytest.raises(AssertionError):
        check(door, [DEPTH, ANSWER])


def test_4_a_reward_that_spoils_what_the_next_one_reads(monkeypatch):
    """As published, format cut the list it was given and exploration then missed the first map."""
    honest = FormatReward.__call__

    def spoiling(self, asked, traces):
        found = honest(self, asked, traces)
        traces[:] = [replace(trace, steps=trace.steps[3:]) for trace in traces]
        return found

    monkeypatch.setattr(FormatReward, "__call__", spoiling)
    property_of_rewards = test_rewards.test_the_order_of_rewards_cannot_matter.hypothesis.inner_test  # pyright: ignore
    with pytest.raises(AssertionError):
        property_of_rewards(test_rewards.group(2), "positive")
    monkeypatch.undo()
    property_of_rewards(test_rewards.group(2), "positive")


def test_5_pictures_encoded_anew_with_fresh_noise(door, monkeypatch):
    honest = door.engine.parts.layout.latent_of
    noisy = replace(door.engine.parts.layout, latent_of=lambda image: honest(image) + 0.3 * torch.randn(4, 4, 4))
    restless = replace(door, engine=replace(door.engine, parts=replace(door.engine.parts, layout=noisy)))
    check(restless, [ANSWER])  # encoded once and kept: even a noisy encoder changes nothing
    monkeypatch.setattr("tests.training.rollout_groups.remembering", lambda latent_of: latent_of)
    with pytest.raises(AssertionError):
        check(restless, [ANSWER])


def test_6_end_tokens_that_nobody_sampled(door, monkeypatch):
    honest = Layout.turn
    monkeypatch.setattr(Layout, "turn", lambda self, step, loss=False: replace(honest(self, step, loss), closed=True))
    with pytest.raises(AssertionError):
        check(door, [THOUGHT + CUT])


def test_7_text_that_is_decoded_and_encoded_again(door, monkeypatch):
    """Ids that end in half a character: the text of them has other ids."""
    processor = door.engine.parts.layout.processor
    half = processor.encode("<think>\u00e4")[:-1]
    assert processor.encode(processor.decode(list(half))) != half
    check(door, [half])

    def through_text(self, step, loss=False):
        return TextSegment(self.processor.encode(step.text), closed=not step.truncated, loss=loss)

    monkeypatch.setattr(Layout, "turn", through_text)
    with pytest.raises(AssertionError):
        check(door, [half])


def test_8_a_turn_without_a_tag_that_is_forgotten(door, monkeypatch):
    honest = writing._take

    def forgetful(session, turn, seconds):
        sample = session.samples[turn.row]
        before = sample.main
        honest(session, turn, seconds)
        tags = [modality.tag for modality in session.parts.modalities.values()]
        if isinstance(parse_turn(sample.steps[-1].text, tags), Think):
            sample.main = before

    monkeypatch.setattr(writing, "_take", forgetful)
    with pytest.raises(AssertionError):
        check(door, [THOUGHT, ANSWER])


def test_a_scorer_with_another_vocabulary_or_temperature_is_noticed(door, monkeypatch):
    """Fault 17: the sampler and the scorer must normalise over the same tokens."""
    rollouts = scripted(door, item(), ([ANSWER],), door.options())
    uncut = "cooper.training.rl.policy.word_logprobs"
    monkeypatch.setattr(uncut, lambda logits, vocabulary, temperature: logits.log_softmax(-1))
    with pytest.raises(AssertionError):
        check_scorer_is_sampler(door, rollouts)
    monkeypatch.undo()
    with pytest.raises(AssertionError):
        check_scorer_is_sampler(door, rollouts, temperature=0.7)
    assert isinstance(door.engine.parts.model, CooperModel)
