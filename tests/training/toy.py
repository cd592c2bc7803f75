"""A regression with two loss terms of uneven counts: enough to test a trainer, and run by itself to be interrupted."""

import atexit
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from cooper.data.batches import rng_of
from cooper.training.loop.stopping import Interrupted
from cooper.training.loop.trainer import Objective, PackedTrainer, TrainingPlan
from cooper.training.loop.watching import Watching
from cooper.training.recipe import Optimiser, RecordSettings


@dataclass(frozen=True, eq=False)
class ToyBatch:
    words_ND: Tensor
    dots_MD: Tensor

    def to(self, device: torch.device) -> "ToyBatch":
        return ToyBatch(self.words_ND.to(device), self.dots_MD.to(device))


class ToyObjective(Objective):
    terms = ("ce", "mse")
    weights = (1.0, 0.5)

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4))
        self.seconds = seconds

    def counts(self, batch: ToyBatch) -> Tensor:
        return torch.tensor([len(batch.words_ND), len(batch.dots_MD)], dtype=torch.float32)

    def forward(self, batch: ToyBatch) -> Tensor:
        time.sleep(self.seconds)
        words = (self.net(batch.words_ND) - batch.words_ND.roll(1, 1)).abs().mean(-1).sum()
        dots = (self.net(batch.dots_MD) - batch.dots_MD.sin()).square().mean(-1).sum()
        return torch.stack([words, dots])


def make_batch(rows: range) -> ToyBatch:
    rngs = [rng_of(5, row) for row in rows]
    words = [torch.from_numpy(rng.standard_normal((3 + row % 4, 4))).float() for rng, row in zip(rngs, rows, strict=True)]
    dots = [torch.from_numpy(rng.standard_normal((row % 3, 4))).float() for rng, row in zip(rngs, rows, strict=True)]
    return ToyBatch(torch.cat(words), torch.cat(dots))


def bad_batch(rows: range) -> ToyBatch:
    """As `make_batch`, but row 10 holds a number that is none."""
    batch = make_batch(rows)
    if 10 in rows:
        batch.words_ND[0, 0] = float("nan")
    return batch


def toy_plan(folder: Path, steps: int = 8, accumulation: int = 1, seconds: float = 0.0) -> TrainingPlan:
    optimiser = Optimiser(steps, batch=4, learning_rate=1e-2, accumulation=accumulation, warmup=2, ema=0.9)
    record = RecordSettings(log_every=1, save_every=4, eval_every=100)
    return TrainingPlan(ToyObjective(seconds), make_batch, optimiser, record, folder, seed=0)


def trained(plan: TrainingPlan) -> PackedTrainer:
    trainer = PackedTrainer(plan)
    trainer.run()
    return trainer


def lines(trainer: PackedTrainer) -> list[dict[str, float]]:
    names = ("step", "loss", "ce", "mse", "grad_norm", "learning_rate")
    return [{name: line[name] for name in names} for line in trainer.state.log_history if "grad_norm" in line]


def _left_behind() -> None:
    """Say how many threads of a process group are still there when the interpreter is about to go."""
    names = [name.read_text().strip() for name in Path("/proc/self/task").glob("*/comm")]
    print("gloo threads:", sum("gloo" in name for name in names))


if __name__ == "__main__":
    atexit.register(_left_behind)  # what is registered first runs last
    what, target = sys.argv[1], Path(sys.argv[2])
    if what == "slow":
        try:
            trained(toy_plan(target, steps=10_000, seconds=0.02))
        except Interrupted as stopped:
            print(stopped)
            sys.exit(130)
    else:
        plan = toy_plan(target, accumulation=int(sys.argv[3]))
        plan = replace(plan, make_batch=bad_batch) if what == "bad" else plan
        target.mkdir(parents=True, exist_ok=True)
        PackedTrainer(plan, [Watching(target, "toy")]).run()
