"""Curves of a run: what is shown and what is left out."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from cooper.training.loop.curves import draw_curves, draw_together, running_mean


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    lines = [{"step": step, "reward": 0.4 + 0.01 * step, "clipped": 0.0, "maps/drawing": 0.5} for step in range(1, 41)]
    lines.append({"step": 40, "maps/drawing_positive": float("nan"), "eval_accuracy": 0.5})
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_every_figure_has_a_panel_the_level_ones_too(metrics: Path, tmp_path: Path):
    draw_curves(metrics, tmp_path / "curves.svg")
    drawn = (tmp_path / "curves.svg").read_text()
    assert all(f">{name}<" in drawn for name in ("reward", "clipped", "maps/drawing", "eval_accuracy"))
    assert ">maps/drawing_positive<" not in drawn, "it has no number"
    assert len(set(re.findall(r'id="(axes_\d+)"', drawn))) == 6, "a grid of three columns"


def test_some_figures_share_a_panel(metrics: Path, tmp_path: Path):
    draw_together(metrics, tmp_path / "use.svg", ("maps/drawing", "maps/drawing_positive"), "drawing")
    drawn = (tmp_path / "use.svg").read_text()
    assert "maps/drawing" in drawn and "maps/drawing_positive" not in drawn
    draw_together(metrics, tmp_path / "none.svg", ("maps/none",), "nothing")
    assert not (tmp_path / "none.svg").exists()


def test_nothing_is_drawn_of_nothing(tmp_path: Path):
    draw_curves(tmp_path / "none.jsonl", tmp_path / "curves.svg")
    assert not (tmp_path / "curves.svg").exists()


def test_a_running_mean_covers_a_tenth_and_less_at_the_ends():
    values = np.arange(30.0) ** 2
    means = running_mean(values)
    assert means[10] == pytest.approx(values[9:12].mean()) and means[0] == pytest.approx(values[:2].mean())
    assert means[-1] == pytest.approx(values[-2:].mean())
