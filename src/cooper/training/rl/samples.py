"""Sample rollouts of a run, to be looked at: traces with pages in the run folder, and a table with pictures in the tracker."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cooper.curation.counts import FLAGS
from cooper.trace.page import save_with_page
from cooper.trace.steps import MapStep, Step
from cooper.training.loop.curves import draw_curves, draw_together
from cooper.training.loop.watching import METRICS_FILE
from cooper.training.rl.rollouts import Rollout

FOLDER = "samples"
TOOL_USE = ("maps/drawing", *(f"maps/drawing_{flag}" for flag in FLAGS))


@dataclass(frozen=True, eq=False)
class Sampled:
    """One rollout with what each term of the reward gave it."""

    rollout: Rollout
    rewards: Mapping[str, float]


class Showing(TrainerCallback):
    """Every so many updates, keeps the rollouts that `latest` gives: `samples/step-000010/00/trace.json` with its `page.html`,
    and draws the curves so far.

    `tracked`: also as a table of trackio.
    """

    def __init__(self, latest: Callable[[], Sequence[Sampled]], every: int, folder: Path, tracked: bool) -> None:
        self._latest, self._every, self._folder, self._tracked = latest, every, folder, tracked

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if not state.is_world_process_zero or state.global_step % self._every:
            return
        samples = self._latest()
        keep([sample.rollout for sample in samples], self._folder / FOLDER / f"step-{state.global_step:06d}")
        draw_run(self._folder)
        if self._tracked:
            import trackio

            trackio.log({"samples": trackio.Table(dataframe=_table(samples))}, step=state.global_step)


def draw_run(folder: Path) -> None:
    """`curves.svg` of all figures, and `tool-use.svg`: the share of rollouts that drew, by flag of the question."""
    draw_curves(folder / METRICS_FILE, folder / "curves.svg")
    draw_together(folder / METRICS_FILE, folder / "tool-use.svg", TOOL_USE, "share of rollouts that draw")


def fault_folder(args: TrainingArguments, step: int) -> Path:
    """Where a process keeps the rollouts of a step whose loss is not a number; each of several has a folder of its own."""
    rank = f"-rank-{args.process_index}" if args.world_size > 1 else ""
    return Path(str(args.output_dir)) / "not-a-number" / f"step-{step}{rank}"


def keep(rollouts: Sequence[Rollout], folder: Path) -> Path:
    """Save the traces of rollouts with their pages, numbered; returns the folder."""
    for place, rollout in enumerate(rollouts):
        save_with_page(rollout.trace, folder / f"{place:02d}")
    return folder


def _table(samples: Sequence[Sampled]) -> Any:
    """One line per rollout: question, truth, picture, what was written, its maps, rewards."""
    import pandas
    import trackio

    lines = []
    for sample in samples:
        trace, item = sample.rollout.trace, sample.rollout.item
        line: dict[str, Any] = {
            "question": trace.question.text,
            "truth": item.truth,
            "picture": trackio.Image(trace.question.images[0].convert("RGB")),
            "written": " ".join(_told(step) for step in trace.steps),
            "maps": [trackio.Image(step.image.convert("RGB"), caption=step.modality) for step in trace.maps],
        }
        lines.append(line | dict(sample.rewards))
    return pandas.DataFrame(lines)


def _told(step: Step) -> str:
    return f"[{step.modality}]" if isinstance(step, MapStep) else step.text
