"""Processes of the tests of reinforcement learning: `python -m torch.distributed.run ... grpo_worker.py WHAT ...`."""

import os
import sys
from pathlib import Path

import torch

import cooper.training.reinforcing as reinforcing
from cooper.training.checkpoints import load_bundle
from cooper.training.grpo_recipe import GrpoRecipe, RewardSettings, SamplingSettings
from cooper.training.recipe import Record
from cooper.training.sharding import gathered


class Lengths:
    """A reward that a random network can earn."""

    name = "short"

    def __call__(self, item, traces):
        return [-float(sum(map(ord, "".join(turn.text for turn in trace.turns))) % 7) for trace in traces]


def run(start: str, data: str, out: str, rows: str, steps: str, rate: str) -> None:
    """A whole run with that reward."""
    reinforcing.rewards_of = lambda recipe, door, flags: [Lengths()]
    RewardSettings.terms = {"lengths": 1.0}  # pyright: ignore
    recipe = GrpoRecipe(
        out=Path(out),
        init=Path(start),
        data=Path(data),
        steps=int(steps),
        learning_rate=float(rate),
        questions=2,
        group=2,
        rows=int(rows),
        sampling=SamplingSettings(max_tokens=5),
        max_turns=2,
        record=Record(log_every=1, save_every=1, keep=10),
        frozen=("vit",),
        trl={"optim": "sgd"},
    )
    reinforcing.reinforce(recipe, {})


def shard(start: str, data: str, out: str) -> None:
    """Weights are gathered once, then ranks sample different numbers of rollouts; sharded training goes on as before."""
    from torch import distributed
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    from cooper.reasoning.cooper import Cooper
    from cooper.training.policy import Policy, Words
    from cooper.training.sampler import Sampler
    from cooper.training.scoring import Scorer
    from cooper.training.tasks import SceneTasks

    distributed.init_process_group("gloo")
    rank, mesh = distributed.get_rank(), init_device_mesh("cpu", (2,))
    bundle = load_bundle(Path(start))
    bundle.model.vae.requires_grad_(False)
    door = Cooper.of(bundle.model, bundle.processor, bundle.prompts)
    options = door.options("direct")
    items = [SceneTasks(Path(data), 0, 2, 4).item(number) for number in range(4)]
    policy = Policy(bundle.model)
    whole = {name: weight.detach().clone() for name, weight in policy.named_parameters()}
    before = Sampler(door, options, 2).sample(items[: 1 + 3 * rank], 2, seed=1)
    for layer in bundle.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(policy, mesh=mesh)
    scorer = Scorer(bundle.processor.geometry, Words(bundle.processor.vocabulary))
    for _ in range(2):
        with gathered(policy, lambda: scorer.idle(policy, torch.device("cpu"))):
            sampled = Sampler(door, options, 2).sample(items[: 1 + 3 * rank], 2, seed=1)  # 1 question here, 4 there
        assert [rollout.ids for rollout in sampled] == [rollout.ids for rollout in before]
        scored = scorer(policy, sampled[:2], torch.device("cpu"))
        torch.testing.assert_close(scored[0].logprobs, torch.tensor(sampled[0].logprobs), atol=1e-4, rtol=0)
        sum(each.logprobs.sum() for each in scored).backward()
        policy.zero_grad()
    for name, weight in policy.named_parameters():
        assert torch.equal(weight.full_tensor(), whole[name]), name
    Path(out, f"rank-{rank}").write_text("fine")
    distributed.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    {"run": run, "shard": shard}[sys.argv[1]](*sys.argv[2:])
