"""What is logged of a generation of rollouts, and of the update behind it, beside what TRL logs."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cooper.curation.counts import FLAGS
from cooper.training.rl.rollouts import Rollout
from cooper.training.rl.sampler import Sampler
from cooper.training.rl.tasks import Tasks


def figures_of(rollouts: Sequence[Rollout], tasks: Tasks, sampler: Sampler, processes: int) -> dict[str, list[float]]:
    """Maps per rollout by kind, the share that drew (over all, and by flag), truncated and unanswered rollouts, seconds.

    One value for each rollout that a figure is about, so that the mean over all values of all processes is that over all
    rollouts. Questions that were set aside are added up over processes. The clock of the sampler is read and set back.
    """
    clock, drew = sampler.clock, [bool(rollout.trace.maps) for rollout in rollouts]
    kinds = sampler.door.engine.parts.prompts.tags
    found: dict[str, list[Any]] = {f"maps/{kind}": [_drawn(rollout, kind) for rollout in rollouts] for kind in kinds}
    found["maps/drawing"] = drew
    for flag in FLAGS if tasks.flags else ():
        flagged = [tasks.flags.get(rollout.item.id, "boundary") == flag for rollout in rollouts]
        found[f"maps/drawing_{flag}"] = [drawing for drawing, wanted in zip(drew, flagged, strict=True) if wanted]
    found["rollouts/truncated"] = [any(turn.truncated for turn in rollout.trace.turns) for rollout in rollouts]
    found["rollouts/unanswered"] = [rollout.trace.answer is None for rollout in rollouts]
    found["rollouts/turns"] = [len(rollout.trace.turns) for rollout in rollouts]
    found["rollouts/halvings"] = [clock.halvings]
    found["questions/set_aside"] = [len(tasks.set_aside) * processes]
    found["seconds/writing"], found["seconds/drawing"] = [clock.writing], [clock.drawing]
    clock.writing = clock.drawing = 0.0
    return {name: [float(value) for value in values] for name, values in found.items()}


def log_each(figures: Mapping[str, Sequence[float]], log: Callable[[str, float], None]) -> None:
    """Hand every value to `log`, which TRL then averages over values and processes; a name without values is not logged."""
    for name, values in figures.items():
        for value in values:
            log(name, value)


def _drawn(rollout: Rollout, kind: str) -> int:
    return sum(step.modality == kind for step in rollout.trace.maps)


def stds_in_groups(rewards_B: Tensor, group: int) -> list[float]:
    """Standard deviation of the rewards of each group, those that are NaN left out; none for a group with fewer than two.

    >>> stds_in_groups(torch.tensor([1.0, 0.0, torch.nan, 1.0, torch.nan, torch.nan]), 3)
    [0.7071067690849304]
    """
    known = [rewards[~rewards.isnan()] for rewards in rewards_B.view(-1, group)]
    return [float(rewards.std()) for rewards in known if len(rewards) > 1]


class Timing(TrainerCallback):
    """Seconds of an update that this process scored rollouts, and moved weights by them (loss, backward passes, optimiser)."""

    def __init__(self, report: Callable[[str, float], None]) -> None:
        self._report = report
        self._scoring = self._update = 0.0
        self._scored = 0.0  # when the last pass ended

    @contextmanager
    def scoring(self) -> Iterator[None]:
        """Around a pass that scores rollouts."""
        started = _now()
        yield
        self._scored = _now()
        self._scoring += self._scored - started

    def on_substep_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._update += _now() - self._scored

    def on_optimizer_step(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._update += _now() - self._scored
        self._report("seconds/scoring", self._scoring)
        self._report("seconds/update", self._update)
        self._scoring = self._update = 0.0


def _now() -> float:
    """Seconds, when the device has done all that it was asked for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
