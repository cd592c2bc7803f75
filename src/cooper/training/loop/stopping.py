"""What ends a run before its last step: a signal, or a loss that is not a number."""

import atexit
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cooper.errors import CooperError
from cooper.training.scale.sharding import anywhere, leave, whole

_signals: list[int] = []  # those that came while `noticing` lasts


@contextmanager
def noticing() -> Iterator[list[int]]:
    """Remembers Ctrl-C while the block lasts, also one that a library swallows or that comes after the last step of a run."""
    _signals.clear()
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: Any) -> None:
        _signals.append(number)
        if callable(before):
            before(number, frame)

    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, note)
    try:
        yield _signals
    finally:
        signal.signal(signal.SIGINT, before)


class Interrupted(Exception):  # noqa: N818 - not an error: the user asked for it
    """A run that was stopped by a signal, after writing the checkpoint `folder`. Not frozen: Python writes into an exception
    under way. `step`: None where nothing is trained; `phase`: what the run is a part of."""

    def __init__(self, step: int | None, folder: Path, phase: str = "") -> None:
        at = "stopped" if step is None else f"stopped at step {step}"
        super().__init__(f"{phase and phase + ': '}{at}; start the same command again to continue from {folder}")
        self.step, self.folder = step, folder


class Finite(TrainerCallback):
    """Ends a run before gradients that are not numbers reach the weights: a loss may be finite without them, and a checkpoint
    of such weights could not be gone on from."""

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        if args.fp16:  # its gradients are scaled until they overflow, and such steps are skipped
            return
        norm = whole(nn.utils.get_total_norm([weight.grad for weight in model.parameters() if weight.grad is not None]))
        if not torch.isfinite(norm):
            raise CooperError(
                f"the gradients are not numbers at step {state.global_step + 1}; lower the learning rate and resume from the "
                "last checkpoint"
            )


class Stopping(TrainerCallback):
    """Ctrl-C and SIGTERM end the run after the step at hand, with a checkpoint; on all processes, though a signal may reach
    one of them later than others. A second signal ends it at once.

    `every`: only a multiple of it ends a run, where others could not be resumed from as if nothing had happened.
    """

    def __init__(self, every: int = 1) -> None:
        self._every, self._asked = every, False
        self._before: dict[int, Any] = {}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        atexit.register(leave)  # and not at the end of the run: another phase or run may come in this process
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)

    def _ask(self, number: int, frame: Any) -> None:
        if self._asked:
            signal.signal(number, self._before[number])
            os.kill(os.getpid(), number)
        self._asked = True
        _signals.append(number)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step % self._every == 0 and anywhere(self._asked, args.device):
            control.should_save = True
            control.should_training_stop = True

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
