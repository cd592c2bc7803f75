"""Checkpoints of sharded runs: every process writes its part, and any number of processes reads them."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as shards
from torch import Tensor, nn
from torch.distributed.checkpoint import CheckpointException, FileSystemReader
from torch.optim import Optimizer
from transformers import Trainer

from cooper.errors import CooperError
from cooper.training.loop.averaging import Average

FOLDER, SCHEDULE_FILE = "shards", "scheduler.pt"  # in a checkpoint
AVERAGE, OPTIMISER, WEIGHTS = "average", "optimiser", "weights"


class WithShards(Trainer):
    """A trainer whose checkpoints may lie in shards; `average` holds its averaged weights."""

    in_shards = False
    average: Average

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.in_shards:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        save_shards(Path(output_dir), _of(self.model), self.average.weights, _bare(self.optimizer))
        if self.args.should_save:
            torch.save(_of(self.lr_scheduler).state_dict(), Path(output_dir) / SCHEDULE_FILE)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None or not self.in_shards:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        load_optimiser(Path(checkpoint), _of(self.model), _bare(self.optimizer))
        schedule = _of(self.lr_scheduler)
        schedule.load_state_dict(torch.load(Path(checkpoint) / SCHEDULE_FILE, weights_only=True))
        for group, rate in zip(_bare(self.optimizer).param_groups, schedule.get_last_lr(), strict=True):
            group["lr"] = rate


def _of(made: Any) -> Any:
    """What the trainer has made by now."""
    assert made is not None
    return made


def _bare(optimiser: Any) -> Optimizer:
    """An optimiser without accelerate's wrapping."""
    return getattr(optimiser, "optimizer", optimiser)


def trained_weights(module: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that are trained, by name."""
    return {name: weight for name, weight in module.named_parameters() if weight.requires_grad}


def save_shards(checkpoint: Path, module: nn.Module, average: Mapping[str, Tensor], optimiser: Optimizer) -> None:
    """Write weights, averages and the optimiser's numbers by name. Every process must call it."""
    named = trained_weights(module)
    state: dict[str, Any] = {
        WEIGHTS: {name: weight.detach() for name, weight in named.items()},
        AVERAGE: dict(average),
        OPTIMISER: {name: dict(optimiser.state[weight]) for name, weight in named.items() if optimiser.state[weight]},
    }
    with _plainly():
        shards.save(state, checkpoint_id=checkpoint / FOLDER)


def load_weights(checkpoint: Path, module: nn.Module, average: Mapping[str, Tensor]) -> None:
    """Read weights and averages into those that there are. CooperError: they are of another network."""
    named = {name: weight.detach() for name, weight in trained_weights(module).items()}
    stored = stored_names(checkpoint, WEIGHTS)
    if stored != set(named):
        odd = sorted(stored ^ set(named))[0]
        raise CooperError(f"{checkpoint} belongs to another model: {odd} is not in both")
    with _plainly():
        shards.load({WEIGHTS: named, AVERAGE: dict(average)}, checkpoint_id=checkpoint / FOLDER)


def load_optimiser(checkpoint: Path, module: nn.Module, optimiser: Optimizer) -> None:
    """Read the numbers of AdamW for every weight that has some."""
    stored = stored_names(checkpoint, OPTIMISER)
    state = {}
    for name, weight in trained_weights(module).items():
        if f"{name}.exp_avg" in stored:
            kept = weight.detach()
            state[name] = {"step": torch.tensor(0.0), "exp_avg": kept.clone(), "exp_avg_sq": kept.clone()}
    if state:
        with _plainly():
            shards.load({OPTIMISER: state}, checkpoint_id=checkpoint / FOLDER)
    named = trained_weights(module)
    for name, numbers in state.items():
        optimiser.state[named[name]] = numbers


def stored_names(checkpoint: Path, group: str) -> set[str]:
    """Names in a group of a checkpoint. CooperError: it has no shards."""
    if not (checkpoint / FOLDER).is_dir():
        raise CooperError(f"{checkpoint} was written without sharding, and can only be gone on from without it")
    keys = FileSystemReader(checkpoint / FOLDER).read_metadata().state_dict_metadata
    return {key.removeprefix(f"{group}.") for key in keys if key.startswith(f"{group}.")}


@contextmanager
def _plainly() -> Iterator[None]:
    """What went wrong on a rank as it was raised there, such as a full disk; no warnings where one process is by itself."""
    with warnings.catch_warnings(action="ignore"):
        try:
            yield
        except CheckpointException as error:
            raise next(iter(error.failures.values()))[0] from None
