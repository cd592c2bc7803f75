"""`record.best`: the finished model is that of the best evaluation."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cooper.errors import CooperError
from cooper.training.loop.trainer import run_stage
from cooper.training.loop.watching import read_metrics
from cooper.training.recipe import Optimiser, RecordSettings
from tests.training.toy import ToyObjective, make_batch

ACCURACY = {1: 0.2, 2: 0.6, 3: 0.5, 4: 0.6}  # by step; the first of the two best ones counts


@dataclass(frozen=True)
class ToyRecipe:
    out: Path
    best: str = "text_accuracy"
    seed: int = 0
    optimiser: Optimiser = Optimiser(steps=4, batch=2, learning_rate=1e-2)
    record: RecordSettings = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "record", RecordSettings(log_every=1, save_every=1, eval_every=1, best=self.best))


def finished(recipe: ToyRecipe) -> str:
    """The step whose model a run has left."""
    step = 0

    def figures(now: int) -> dict[str, float]:
        nonlocal step
        step = now
        return {"text_accuracy": ACCURACY[now]}

    def export(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "step").write_text(str(step))

    return (run_stage("toy", recipe, ToyObjective(), make_batch, figures, export) / "step").read_text()


def test_the_best_evaluation_is_kept(tmp_path: Path):
    assert finished(ToyRecipe(tmp_path / "best")) == "2"
    told = [
        line["eval_text_accuracy"] for line in read_metrics(tmp_path / "best" / "metrics.jsonl") if "eval_text_accuracy" in line
    ]
    assert told == list(ACCURACY.values())
    assert finished(ToyRecipe(tmp_path / "last", best="")) == "4"


def test_a_figure_that_is_not_measured_is_named(tmp_path: Path):
    with pytest.raises(CooperError, match=r"record\.best is 'taste', which is not measured; there is text_accuracy"):
        finished(ToyRecipe(tmp_path / "odd", best="taste"))
