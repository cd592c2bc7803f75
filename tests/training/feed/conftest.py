"""Pictures and files of traces as a user would have them, and recipes that learn from several of them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from cooper.training.loop.watching import read_metrics
from tests.cli.conftest import run  # noqa: F401 - the command line in this process
from tests.own_pictures import NAMES, make_pictures
from tests.reasoning_files import interleaved_file

OPTIMISER = {"steps": 4, "batch": 2, "learning_rate": 1e-3, "warmup": 1}
RECORD = {"log_every": 1, "save_every": 2, "eval_every": 9, "keep": 9}
MINE = {"segmentation": {"names": list(NAMES), "stuff": ["void", "floor", "wall"]}}


@pytest.fixture
def amg(start: Path, tmp_path: Path) -> Callable[..., Path]:
    """A recipe file of stage 1 on pictures with depth alone and others with labels alone."""
    deep, labelled = make_pictures(tmp_path / "deep", 5), make_pictures(tmp_path / "labelled", 3)
    for name in ("labels", "instances"):
        shutil.rmtree(deep / name)
    shutil.rmtree(labelled / "depth")
    sources = {
        "deep": {"kind": "pictures", "path": str(deep), "weight": 0.6},
        "labelled": {"kind": "pictures", "path": str(labelled), "weight": 0.4},
    }

    def written(**changes: object) -> Path:
        values = {"out": str(tmp_path / "run"), "init": str(start), "data": sources, "val": str(deep), "modalities": MINE}
        values |= {"eval_scenes": 1, "optimiser": OPTIMISER, "record": RECORD, **changes}
        path = tmp_path / "amg.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    return written


@pytest.fixture
def sft(start: Path, tmp_path: Path) -> Callable[..., Path]:
    """A recipe file of stage 2 on two files of published rows."""
    files = {name: interleaved_file(tmp_path / f"{name}.jsonl", count) for name, count in (("drawn", 6), ("words", 2))}
    sources = {name: {"kind": "reasoning", "path": str(path), "weight": 1} for name, path in files.items()}
    sources["words"]["mode"] = "text"

    def written(**changes: object) -> Path:
        values = {"out": str(tmp_path / "run"), "init": str(start), "data": sources, "optimiser": OPTIMISER, "record": RECORD}
        path = tmp_path / "sft.yaml"
        path.write_text(yaml.safe_dump({**values, **changes}))
        return path

    return written


FIGURES = ("step", "loss", "ce", "mse", "grad_norm", "tokens", "padding")


def steps_of(folder: Path) -> list[dict[str, float]]:
    """What a run logged of its steps, but for what depends on the clock."""
    lines = read_metrics(folder / "metrics.jsonl")
    return [{name: line[name] for name in FIGURES if name in line} for line in lines if "loss" in line]


def killed_after(folder: Path, step: int) -> None:
    """Leave a run as kill -9 some steps after the checkpoint of `step` leaves it."""
    for path in folder.glob("checkpoint-*"):
        if int(path.name.split("-")[1]) > step:
            shutil.rmtree(path)
    shutil.rmtree(folder / "model")
    (folder / "finished.json").unlink()


def assert_same_model(one: Path, two: Path) -> None:
    first, second = (load_file(folder / "model" / "model.safetensors") for folder in (one, two))
    for name, weight in first.items():
        assert torch.equal(weight, second[name]), name
