"""Golden group 09 through the scorer of reinforcement learning: `turn*.logprobs` of the published network."""

import pytest
import torch

from cooper.data.item import Item
from cooper.training.rl.policy import Policy, Words
from cooper.training.rl.rollouts import rollouts_of
from cooper.training.rl.scoring import Scorer
from tests.parity.test_interleave import EXACT, Scenario


@pytest.mark.parametrize("name", ["depth", "depth_seg"])
def test_turns_are_scored_as_published(golden_dir, model, processor, name):
    scenario = Scenario(golden_dir, name, model, processor)
    trace = scenario.run([tuple(scenario.target_ids)])[0]
    item = Item("golden", "", "spatial", scenario.question, "YN", "yes")
    rollout = rollouts_of(item, [trace], scenario.layout, scenario.options)[0]
    uncut = Words(model.config.vocab_size)  # the published code normalises over all rows of the embedding
    with torch.no_grad():
        scored = Scorer(processor.geometry, uncut)(Policy(model), [rollout], torch.device("cpu"))[0]
    written = scored.logprobs[torch.tensor(rollout.mask, dtype=torch.bool)]
    for turn, ours in enumerate(written.split([len(each.token_ids) for each in trace.turns])):
        golden = scenario.tensors[f"turn{turn}.logprobs"]
        torch.testing.assert_close(ours, golden, atol=EXACT, rtol=0)
