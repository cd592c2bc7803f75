"""The headline experiment: every command of its makefile is one that we have, with a recipe that reads."""

import shlex
import subprocess
from pathlib import Path

import pytest

from cooper.files.values import read_recipe
from cooper.training.rl.recipe import GrpoRecipe
from cooper.training.stages.maps import AmgRecipe
from cooper.training.stages.reasoning import SftRecipe

ROOT = Path(__file__).resolve().parents[2]
RECIPES = {"amg": AmgRecipe, "sft": SftRecipe, "grpo": GrpoRecipe}


@pytest.fixture(scope="module")
def commands(tmp_path_factory) -> list[list[str]]:
    """What `make reproduce-nano` would run, words apart, with sums worked out."""
    told = ["make", "-n", "-f", "recipes/nano/reproduce.mk", "study", "SEEDS=1 2", "COOPER=cooper"]
    folder = tmp_path_factory.mktemp("reproduce")
    said = subprocess.run(
        [*told, f"OUT={folder}/out", f"DATA={folder}/data"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = said.stdout.replace("\\\n", " ").splitlines()
    sums = {"$(( 200 + 300 ))": "500", "$(( 720 / 4 ))": "180"}
    for written, value in sums.items():
        lines = [line.replace(written, value) for line in lines]
    return [shlex.split(line) for line in lines]


def test_every_recipe_reads_and_models_have_equal_steps(commands):
    read = {}
    for command in commands:
        if command[:2] != ["cooper", "train"]:
            continue
        stage, overrides = command[2], [word for word in command[5:] if "=" in word]
        recipe = read_recipe(RECIPES[stage], ROOT / command[4], overrides)
        read[recipe.out.parent.name, recipe.out.name] = recipe
    names = {"fresh", "amg", "base", "amg-only", "perception", "reasoning", "text", "interleaved"}
    assert set(read) == {(seed, name) for seed in ("1", "2") for name in names}
    for seed in ("1", "2"):
        runs = {name: read[seed, name] for name in names}
        assert {run.seed for run in runs.values()} == {int(seed)}
        steps = {name: run.optimiser.steps for name, run in runs.items() if name not in ("text", "interleaved")}
        assert {steps["base"]} == {steps["amg"] + steps[name] for name in ("amg-only", "perception", "reasoning")}
        text, interleaved = runs["text"], runs["interleaved"]
        assert (text.init, text.steps, text.flags) == (interleaved.init, interleaved.steps, interleaved.flags)
        assert (text.mode, interleaved.mode) == ("text", "interleaved") and text.rewards.exploration == 0


def test_the_study_names_a_run_for_every_seed_of_every_model(commands):
    made = {word for command in commands if command[:2] == ["cooper", "eval"] for word in command[command.index("--out") + 1 :]}
    (study,) = [command for command in commands if command[:2] == ["cooper", "study"]]
    models = dict(word.split("=", 1) for word in study[4:] if "/eval-" in word)
    assert set(models) == {
        "base", "amg-only", "perception", "text", "interleaved", "text-before", "interleaved-before"
    }  # fmt: skip
    for runs in models.values():
        places = [run.rpartition(":")[0] for run in runs.split(",")]
        assert len(places) == 2 and set(places) <= made
