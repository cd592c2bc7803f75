"""The folder of a run: whose recipe it holds, and whether it is finished. A run that goes on keeps its recipe."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from cooper.errors import CooperError
from cooper.evaluation.judge.endpoint import shown_url
from cooper.evaluation.runs.processes import wait_for_others
from cooper.files.digests import digests_in
from cooper.files.folders import output_folder
from cooper.files.plain import read_plain
from cooper.files.rows import write_whole
from cooper.files.values import build, shown
from cooper.training.data import data_digest
from cooper.training.loop.sealing import checkpoints, step_of

RECIPE_FILE = "recipe.yaml"
FINISHED_FILE = "finished.json"
DATA_FILE = "data.json"  # digests of the data that the run began with
MODEL_FOLDER = "model"  # the finished model, of averaged weights
FREE = (  # keys that cannot change what a run learns: where it lies, what it prints and keeps, how fast it goes
    "out",
    "record",
    "latents",
    "workers",
    "at_once",
    "checkpointing",
    *(f"judge.{name}" for name in ("key", "concurrency", "timeout", "retries", "backoff", "cache")),
)
MOST_SHOWN = 5  # differences in one message


def is_finished(recipe: Any, result: Path) -> bool:
    """Whether the folder holds the finished run of this very recipe; said on stderr, for then there is nothing to do."""
    folder: Path = recipe.out
    if not (folder / FINISHED_FILE).exists() or not is_there(result) or _differences(recipe, folder):
        return False
    if os.environ.get("RANK", "0") == "0":
        print(f"{folder} holds the finished run of this recipe: {result}", file=sys.stderr)
    return True


def is_there(result: Path) -> bool:
    """Whether what a run leaves for a later one lies there: a file, or a folder of weights or maps."""
    return result.is_file() or any(path.suffix in (".safetensors", ".png") for path in result.rglob("*"))


def is_begun(folder: Path) -> bool:
    """Whether a run has left something there that it learnt or made."""
    return bool(checkpoints(folder)) or any((folder / name).exists() for name in (MODEL_FOLDER, FINISHED_FILE))


def enter(recipe: Any, force: bool) -> None:
    """Make the folder and write the recipe into it, defaults included.

    CooperError: the folder cannot be written, or holds a run of another recipe; with `force` that run goes on by the new
    recipe, and its old one is kept as `recipe-until-STEP.yaml`.
    """
    folder = output_folder(recipe.out)
    step = max((step_of(path) for path in checkpoints(folder)), default=0)
    begun = bool(step) or (folder / MODEL_FOLDER).exists()
    differences = _differences(recipe, folder) if begun else []
    if differences and not force:
        more = f" and {len(differences) - MOST_SHOWN} more" if len(differences) > MOST_SHOWN else ""
        raise CooperError(
            f"{folder} holds a run of another recipe: {'; '.join(differences[:MOST_SHOWN])}{more}; choose another out, or "
            "go on from its last checkpoint by the new recipe with --force-recipe"
        )
    data = data_digests(recipe)
    known = digests_in(folder / DATA_FILE, "digests") if begun else {}
    changed = [name for name, digest in data.items() if known.get(name, digest) != digest]
    if changed and not force:
        raise CooperError(
            f"{folder} began with other data: {_data_of(recipe)[changed[0]]} ({changed[0]} of the recipe) has changed since; "
            "put the data back, choose another out, or go on with the new data by --force-recipe"
        )
    asked = _steps(recipe)
    if step > asked:
        raise CooperError(f"{folder} has taken {step} steps already, and the recipe asks for {asked}; choose another out")
    if (folder / FINISHED_FILE).exists() and differences and not step:
        raise CooperError(f"{folder} holds a finished run and no checkpoint to go on from; choose another out")
    if os.environ.get("RANK", "0") != "0":  # what it writes before the first has looked would be other things to that one
        wait_for_others(lambda: int(not (folder / RECIPE_FILE).exists()), f"file {folder / RECIPE_FILE}")
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FINISHED_FILE).unlink(missing_ok=True)
    if differences and (folder / RECIPE_FILE).exists():
        (folder / RECIPE_FILE).replace(folder / f"recipe-until-{step}.yaml")
    # the recipe first: by it the other processes of this run know that they may begin
    write_whole(folder / RECIPE_FILE, yaml.safe_dump(plain(recipe), sort_keys=False, allow_unicode=True))
    write_whole(folder / DATA_FILE, json.dumps({"digests": data}) + "\n")


def data_digests(recipe: Any) -> dict[str, str]:
    """What tells the data of a run from others, by the key that names them."""
    found = {key: data_digest(data) for key, data in _data_of(recipe).items()}
    return {key: digest for key, digest in found.items() if digest}


def _data_of(recipe: Any) -> dict[str, Any]:
    """The data of a run by key: `data`, `val`, or `data.NAME` of several sources."""
    found: dict[str, Any] = {}
    for key in ("data", "val"):
        data = getattr(recipe, key, None)
        found |= {f"{key}.{name}": each for name, each in data.items()} if isinstance(data, Mapping) else {key: data}
    return found


def finish(recipe: Any) -> None:
    """Mark the run as finished."""
    if os.environ.get("RANK", "0") == "0":
        write_whole(recipe.out / FINISHED_FILE, json.dumps({"steps": _steps(recipe)}) + "\n")


def plain(recipe: Any) -> dict[str, Any]:
    """A recipe as values that YAML and JSON can hold, without what an address of a judge may keep secret."""
    values = _plain(asdict(recipe))
    judge = values.get("judge")
    if isinstance(judge, dict) and isinstance(judge.get("url"), str):
        judge["url"] = shown_url(judge["url"])
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _steps(recipe: Any) -> int:
    """Updates of the weights; none where a stage only makes data."""
    return getattr(recipe, "optimiser", recipe).steps if hasattr(recipe, "record") else 0


def _differences(recipe: Any, folder: Path) -> list[str]:
    """Keys in which a recipe differs from that of the run in its folder, with both values."""
    path = folder / RECIPE_FILE
    if not path.exists():
        return [f"{RECIPE_FILE} is missing"]
    try:
        before = _flat(plain(build(type(recipe), read_plain(path), str(path))))
    except CooperError as error:
        return [f"it is one of another stage or version ({error})"]
    now = _flat(plain(recipe))
    free = tuple(f"{key}." for key in FREE)
    return [
        f"{key} was {_said(before, key)} and is {_said(now, key)}"
        for key in dict.fromkeys((*before, *now))
        if not f"{key}.".startswith(free) and before.get(key) != now.get(key)
    ]


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{above}{key}.") if isinstance(value, Mapping) else {f"{above}{key}": value}
    return found


def _said(values: Mapping[str, Any], key: str) -> str:
    return shown(values[key]) if key in values else "not there"
