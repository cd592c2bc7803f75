"""Processes of the tests of reinforcement learning: `python -m torch.distributed.run ... grpo_worker.py WHAT ...`."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model
from torch.distributed.tensor import DTensor

import cooper.training.rl.run as reinforcing
import cooper.training.scale.results as results
from cooper.training.bundles import load_bundle
from cooper.training.recipe import RecordSettings
from cooper.training.rl.recipe import GrpoRecipe, RewardSettings, SamplingSettings
from cooper.training.rl.sampler import Clock
from cooper.training.rl.trainer import InterleavedGRPOTrainer
from cooper.training.scale.adapters import LoraSettings, lora_config
from cooper.training.scale.sharding import gathered


class Lengths:
    """A reward that a random network can earn."""

    name = "short"

    def __call__(self, item, traces):
        return [-float(sum(map(ord, "".join(turn.text for turn in trace.turns))) % 7) for trace in traces]


class Killing:
    """Ends this process by SIGKILL at a moment of its third update (steps 0, 1, 2): `sampling`, in the midst of a rollout;
    `scoring`, before the gradients; `writing`, half way through a checkpoint; or at `saving`, before the finished model."""

    def __init__(self, moment: str) -> None:
        self.moment, self.step, self.events = moment, 0, 0
        doors = {
            "sampling": (Clock, "lap"),
            "scoring": (InterleavedGRPOTrainer, "_compute_loss"),
            "writing": (InterleavedGRPOTrainer, "_save_optimizer_and_scheduler"),
            "saving": (results, "save_bundle"),
        }
        owner, name = doors[moment]
        self._before(InterleavedGRPOTrainer, "sample", self.generation)
        self._before(owner, name, self.kill)

    def _before(self, owner: Any, name: str, told: Callable[..., None]) -> None:
        honest = getattr(owner, name)

        def patched(*values: Any, **named: Any) -> Any:
            told(*values)
            return honest(*values, **named)

        setattr(owner, name, patched)

    def generation(self, trainer: InterleavedGRPOTrainer, *_: Any) -> None:
        self.step, self.events = trainer.state.global_step, 0

    def kill(self, *_: Any) -> None:
        self.events += 1
        if self.moment == "saving" or (self.step == 2 and self.events == (10 if self.moment == "sampling" else 1)):
            os.kill(os.getpid(), signal.SIGKILL)


def shard_on_cpus() -> None:
    """accelerate shards on accelerators only: here it takes two processes on a CPU for those."""
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.utils import DistributedType

    honest = AcceleratorState.__init__

    def patched(self: AcceleratorState, *values: Any, fsdp_plugin: Any = None, **named: Any) -> None:
        honest(self, *values, fsdp_plugin=fsdp_plugin, **named)
        if fsdp_plugin is not None:
            self.fsdp_plugin = fsdp_plugin
            for state in (AcceleratorState, PartialState):
                state._shared_state["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = patched


def run(start: str, data: str, out: str, rows: str, steps: str, rate: str, way: str = "") -> None:
    """A whole run with that reward. `way`: the moment at which it is killed, or some of `examined`, `sharded`, `lora` and
    `beta` (a reference model), with a plus between them."""
    ways = set(way.split("+")) - {""}
    plain = ways <= {"examined", "sharded", "lora", "beta"}
    trl: dict[str, Any] = {"optim": "adamw_torch" if plain and ways else "sgd"}
    trl |= {"beta": 0.05} if "beta" in ways else {}
    if "sharded" in ways:
        shard_on_cpus()
        trl |= {"fsdp": True, "fsdp_config": {"transformer_layer_cls_to_wrap": ["MotLayer"]}}
    elif not plain:
        Killing(way)
    reinforcing.rewards_of = lambda recipe, door, flags, source: [Lengths()]
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
        record=RecordSettings(log_every=1, save_every=1, keep=10),
        frozen=() if "lora" in ways else ("vit",),
        lora=LoraSettings(rank=2, alpha=8) if "lora" in ways else None,
        trl=trl,
        val=Path(data) if ways & {"sharded", "examined"} else None,
        eval_questions=4,
    )
    honest, made = reinforcing.assemble, []
    reinforcing.assemble = lambda *given: made.append(honest(*given)) or made[-1]
    reinforcing.reinforce(recipe)
    assert {isinstance(weight, DTensor) for weight in made[0].policy.parameters()} == {"sharded" in ways}


def shard(start: str, data: str, out: str, way: str = "") -> None:
    """Weights are gathered once, then ranks sample different numbers of rollouts; sharded training goes on as before. `lora`:
    with adapters that change what is sampled."""
    from torch import distributed
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    from cooper.reasoning.cooper import Cooper
    from cooper.scenes.problems import SceneTasks
    from cooper.training.rl.policy import Policy, Words
    from cooper.training.rl.sampler import Sampler
    from cooper.training.rl.scoring import Scorer

    distributed.init_process_group("gloo")
    rank, mesh = distributed.get_rank(), init_device_mesh("cpu", (2,))
    bundle = load_bundle(Path(start))
    bundle.model.vae.requires_grad_(False)
    door = Cooper.of(bundle.model, bundle.processor, bundle.prompts)
    options = door.options("direct")
    items = [SceneTasks(Path(data), 0, 2, 4).item(number) for number in range(4)]
    policy = Policy(bundle.model)
    wrapped: Any = policy
    if way == "lora":
        plain = Sampler(door, options, 2).sample(items[:1], 2, seed=1)
        torch.manual_seed(0)  # of the first factors, which must be the same on both processes
        wrapped = get_peft_model(policy, lora_config(LoraSettings(rank=2, alpha=8), bundle.model))  # as TRL does
        for name, weight in policy.named_parameters():
            if ".lora_B." in name:
                torch.nn.init.normal_(weight, std=0.5, generator=torch.Generator().manual_seed(len(name)))
        policy.eval()
    whole = {name: weight.detach().clone() for name, weight in policy.named_parameters()}
    before = Sampler(door, options, 2).sample(items[: 1 + 3 * rank], 2, seed=1)
    for layer in bundle.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(wrapped, mesh=mesh)
    scorer = Scorer(bundle.processor.geometry, Words(bundle.processor.vocabulary))
    for _ in range(2):
        with gathered(wrapped, lambda: scorer.idle(wrapped, torch.device("cpu"))):
            sampled = Sampler(door, options, 2).sample(items[: 1 + 3 * rank], 2, seed=1)  # 1 question here, 4 there
        assert [rollout.ids for rollout in sampled] == [rollout.ids for rollout in before]
        scored = scorer(wrapped, sampled[:2], torch.device("cpu"))
        torch.testing.assert_close(scored[0].logprobs, torch.tensor(sampled[0].logprobs), atol=1e-4, rtol=0)
        if way == "lora":
            with torch.no_grad(), wrapped.disable_adapter():  # the reference, as TRL asks for it
                below = scorer(wrapped, plain, torch.device("cpu"))
            torch.testing.assert_close(below[0].logprobs, torch.tensor(plain[0].logprobs), atol=1e-4, rtol=0)
            assert [rollout.ids for rollout in plain] != [rollout.ids for rollout in sampled[:2]]
        sum(each.logprobs.sum() for each in scored).backward()
        learnt = {name for name, weight in policy.named_parameters() if weight.grad is not None}
        assert learnt and (way != "lora" or all(".lora_" in name for name in learnt))
        policy.zero_grad()
    for name, weight in policy.named_parameters():
        assert torch.equal(weight.full_tensor(), whole[name]), name
    Path(out, f"rank-{rank}").write_text("fine")
    distributed.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    {"run": run, "shard": shard}[sys.argv[1]](*sys.argv[2:])
