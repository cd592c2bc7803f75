"""What is seen of a run while it goes on and afterwards: a live line, metrics.jsonl, curves, and a tracker."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cooper.errors import CooperError
from cooper.files.rows import Row, read_rows, write_whole
from cooper.training.recipe import RecordSettings

METRICS_FILE = "metrics.jsonl"
_HIDDEN = ("epoch", "total_flos", "train_runtime", "train_samples_per_second", "train_steps_per_second", "train_loss")


class Watching(TrainerCallback):
    """Writes every logged line to `metrics.jsonl` and shows it: a live bar on a terminal, plain lines elsewhere.

    After a resume, lines of steps that are run again are dropped, so the file reads like one unbroken run.
    """

    def __init__(self, folder: Path, title: str, console: Console | None = None) -> None:
        self._path, self._title = folder / METRICS_FILE, title
        self._console = console or Console(stderr=True)
        self._progress: Progress | None = None
        self._task: Any = None
        self._started = (0.0, 0)  # seconds, step

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if not state.is_world_process_zero:
            return
        self._started = (time.monotonic(), state.global_step)
        kept = [line for line in read_metrics(self._path) if line["step"] <= state.global_step]
        write_whole(self._path, "".join(json.dumps(line) + "\n" for line in kept))
        if self._console.is_terminal:
            columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}")]
            columns += [TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[figures]}")]
            self._progress = Progress(*columns, console=self._console)
            self._task = self._progress.add_task(self._title, total=args.max_steps, completed=state.global_step, figures="")
            self._progress.start()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._progress is not None:
            self._progress.update(self._task, completed=state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        figures = {name: value for name, value in (logs or {}).items() if name not in _HIDDEN and value is not None}
        if not figures or not state.is_world_process_zero:
            return
        seconds, step = self._started
        pace = (time.monotonic() - seconds) / max(1, state.global_step - step)
        line = {"step": state.global_step, **figures, "seconds_per_step": round(pace, 3)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        shown = " ".join(f"{name} {value:.4g}" for name, value in figures.items() if isinstance(value, float))
        if self._progress is not None:
            self._progress.update(self._task, figures=shown)
        else:
            self._console.print(f"{self._title} {state.global_step}/{args.max_steps} {shown} {pace:.2f} s/step", soft_wrap=True)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._progress is not None:
            self._progress.stop()


class Evaluating(TrainerCallback):
    """Runs `measure(step)` on every process at intervals and at the end, and hands the figures of the first to `report`."""

    def __init__(
        self,
        every: int,
        measure: Callable[[int], Mapping[str, float]],
        report: Callable[[dict[str, float]], None],
    ) -> None:
        self._every, self._measure, self._report = every, measure, report

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step % self._every and state.global_step < args.max_steps:
            return
        measured = self._measure(state.global_step)
        if state.is_world_process_zero:
            due = control.should_log  # reporting counts as logging, which must not swallow the line of the losses
            self._report({f"eval_{name}": value for name, value in measured.items()})
            control.should_log = due


class Tracking(TrainerCallback):
    """Sends every logged line to trackio, locally and without an account."""

    def __init__(self, project: str, run: str, config: Mapping[str, Any]) -> None:
        try:
            import trackio
        except ImportError:
            raise CooperError("record.tracker is trackio, which is not installed: pip install trackio") from None
        self._trackio = trackio
        self._settings = {"project": project, "name": run, "config": dict(config)}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self._trackio.init(**self._settings, resume="allow", embed=False)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if state.is_world_process_zero:
            told = {name: value for name, value in (logs or {}).items() if value is not None}
            self._trackio.log(told, step=state.global_step)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self._trackio.finish()


def watchers(stage: str, folder: Path, record: RecordSettings, config: Mapping[str, Any]) -> list[TrainerCallback]:
    """What watches a run of a stage: lines and metrics, and a tracker where the recipe names one; it is told the recipe."""
    tracked = [Tracking("cooper", f"{stage}-{folder.name}", config)] if record.tracker == "trackio" else []
    return [Watching(folder, stage), *tracked]


def read_metrics(path: Path) -> list[Row]:
    """The lines of a metrics file, without one that was torn when the run was killed; none where there is no file."""
    return read_rows(path, lenient=True)  # a figure that is no number was written as one
