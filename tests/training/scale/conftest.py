"""Recipes of short runs of stages 1 and 2, on one process or several."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import run  # noqa: F401 - the command line in this process

OPTIMISER = {"steps": 3, "batch": 4, "accumulation": 2, "learning_rate": 0.02, "warmup": 1}
RECORD = {"log_every": 1, "save_every": 1, "eval_every": 3, "keep": 9}


@pytest.fixture
def recipes(start: Path, scene_folder: Path, tmp_path: Path):
    """`recipes("sft", seed=1)` writes a recipe and gives its path."""

    def of(stage: str, **changes: Any) -> Path:
        values: dict[str, Any] = {"out": str(tmp_path / "run"), "data": str(scene_folder), "init": str(start), "seed": 3}
        values |= {"optimiser": OPTIMISER, "record": RECORD}
        if stage == "amg":
            values |= {"val": str(scene_folder), "eval_scenes": 1}
        else:
            values |= {"mixture": {"interleaved": 1, "replay": 1}, "questions": {"interleaved": 2}}
        path = tmp_path / f"{stage}.yaml"
        path.write_text(yaml.safe_dump(values | changes))
        return path

    return of
