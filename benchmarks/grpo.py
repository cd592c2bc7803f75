"""One group of rollouts of reinforcement learning: sampled and scored together against one by one, in the same run.

    python benchmarks/grpo.py [--model nano] [--group 8] [--repeat 3] [--out FILE.json]

Both ways sample the same rollouts of the bundled question from the same seeds, score them with gradients, and take one step
of AdamW. Reported are seconds per rollout, their ratio, and the share of each phase.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from statistics import median

import torch
from PIL import Image

from cooper.data.item import Item
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.trace.steps import Question
from cooper.training.rl.policy import Policy, Words
from cooper.training.rl.rollouts import Rollout
from cooper.training.rl.sampler import Sampler
from cooper.training.rl.scoring import Scorer

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Phases:
    """Seconds of one group, phase by phase."""

    writing: float
    drawing: float
    scoring: float
    updating: float

    @property
    def seconds(self) -> float:
        return self.writing + self.drawing + self.scoring + self.updating


@dataclass(frozen=True, eq=False)
class Setting:
    """What is timed."""

    door: Cooper
    policy: Policy
    scorer: Scorer
    optimiser: torch.optim.Optimizer
    item: Item
    group: int


def setting_of(model: str, group: int) -> Setting:
    door = Cooper.from_pretrained(model)
    parts = door.engine.parts
    parts.model.vae.requires_grad_(False)
    policy, processor = Policy(parts.model), parts.layout.processor
    scorer = Scorer(processor.geometry, Words(processor.vocabulary))
    trained = [weight for weight in policy.parameters() if weight.requires_grad]
    demo = Path(str(files("cooper"))) / "assets" / "demo"
    question = Question((Image.open(demo / "room.png"), (demo / "question.txt").read_text().strip()), id="demo")
    item = Item("demo", "", "spatial", question, "YN", "yes")
    return Setting(door, policy, scorer, torch.optim.AdamW(trained, lr=0.0), item, group)


def timed(setting: Setting, together: bool, seed: int) -> Phases:
    """One group; `together` or rollout by rollout."""
    options = setting.door.options("interleaved", Sampling(1.0, max_tokens=128))
    sampler = Sampler(setting.door, options, at_once=1)
    if together:
        groups = [sampler.sample([setting.item], setting.group, seed)]
    else:
        groups = [sampler.sample([setting.item], 1, seed + number) for number in range(setting.group)]
    start = time.perf_counter()
    for rollouts in groups:
        score(setting, rollouts)
    scored = time.perf_counter()
    setting.optimiser.step()
    setting.optimiser.zero_grad()
    return Phases(sampler.clock.writing, sampler.clock.drawing, scored - start, time.perf_counter() - scored)


def score(setting: Setting, rollouts: list[Rollout]) -> None:
    """Forward and backward pass of a policy gradient."""
    found = setting.scorer(setting.policy, rollouts, CPU)
    torch.stack([each.logprobs.sum() for each in found]).sum().backward()


def measure(setting: Setting, repeat: int) -> dict[str, object]:
    timed(setting, True, 99)  # warm up
    ways: dict[str, list[Phases]] = {"together": [], "one_by_one": []}
    for seed in range(repeat):
        for name, found in ways.items():
            found.append(timed(setting, name == "together", 1000 * seed))
    middle = {name: sorted(found, key=lambda each: each.seconds)[len(found) // 2] for name, found in ways.items()}
    seconds = {name: median(each.seconds for each in found) for name, found in ways.items()}
    return {
        "model": setting.door.engine.name,
        "group": setting.group,
        "threads": torch.get_num_threads(),
        "seconds_per_rollout": {name: round(value / setting.group, 4) for name, value in seconds.items()},
        "speed_up": round(seconds["one_by_one"] / seconds["together"], 2),
        "shares": {name: {k: round(v / each.seconds, 3) for k, v in asdict(each).items()} for name, each in middle.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="nano")
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    result = measure(setting_of(arguments.model, arguments.group), arguments.repeat)
    print(json.dumps(result, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
