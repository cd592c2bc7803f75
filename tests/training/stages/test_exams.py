"""Exams that the processes of a run share."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WORKER = Path(__file__).parents[1] / "exam_worker.py"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.slow
def test_processes_share_an_exam_and_all_know_the_figures_of_one(start, scene_folder, tmp_path):
    """Questions and maps of three scenes; then maps of one scene, so that one of two processes has nothing to draw."""
    for processes in (1, 2):
        out = tmp_path / str(processes)
        out.mkdir()
        several = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
        words = [sys.executable, *several, str(WORKER), str(out), str(start), str(scene_folder)]
        done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    (alone,) = _told(tmp_path / "1")
    first, second = _told(tmp_path / "2")
    for exam in (0, 1):
        assert first[exam] == second[exam] == pytest.approx(alone[exam], rel=1e-4, abs=1e-6)
    assert {"abs_rel", "miou", "direct_accuracy", "interleaved_maps"} <= first[0].keys()
    assert (alone[2], first[2], second[2]) == (5, 3, 2), "each answers its part of the questions"
    sheets = sorted(path.name for path in (tmp_path / "2").glob("*.png"))
    assert sheets == ["one-0.png", "sheet-0.png"], "the first process writes the sheets"
    for name in sheets:  # maps of other batches agree up to rounding, so a pixel may be a step off
        one, other = (np.asarray(Image.open(tmp_path / folder / name)).astype(int) for folder in ("1", "2"))
        assert one.shape == other.shape and (abs(one - other) > 2).mean() < 0.01


def _told(folder: Path) -> list[list]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("figures-*.json"))]
