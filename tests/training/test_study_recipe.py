"""The study: every command of its makefile is one that we have, with a recipe that reads, and the arms are comparable."""

import shlex
import subprocess
from pathlib import Path

import pytest

from cooper.cli.main import app
from cooper.files.values import read_recipe
from cooper.training.rl.recipe import GrpoRecipe
from cooper.training.stages.maps import AmgRecipe
from cooper.training.stages.reasoning import SftRecipe
from cooper.training.stages.vision import VisionRecipe

ROOT = Path(__file__).resolve().parents[2]
RECIPES = {"vision": VisionRecipe, "amg": AmgRecipe, "sft": SftRecipe, "grpo": GrpoRecipe}
ARMS = {"base", "amg-only", "perception", "text-base", "text", "interleaved"}


@pytest.fixture(scope="module")
def commands(tmp_path_factory) -> list[list[str]]:
    """What `make reproduce-nano` would run, words apart, without the stamps."""
    folder = tmp_path_factory.mktemp("study")
    told = ["make", "-n", "-f", "recipes/study/study.mk", "tower", "gates", "study", "COOPER=cooper"]
    said = subprocess.run(
        [*told, f"OUT={folder}/out", f"DATA={folder}/data"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = said.stdout.replace("\\\n", " ").replace("$(( 400 / 4 ))", "100").splitlines()
    return [shlex.split(line.split(" && touch")[0].split("; status=")[0]) for line in lines]


@pytest.fixture(scope="module")
def recipes(commands) -> dict[tuple[str, ...], object]:
    """The recipes of all trainings, by their place under the folder of the study."""
    read = {}
    for command in commands:
        if command[:2] == ["cooper", "train"]:
            recipe = read_recipe(RECIPES[command[2]], ROOT / command[4], [word for word in command[5:] if "=" in word])
            read[recipe.out.parts[recipe.out.parts.index("out") + 1 :]] = recipe
    return read


def test_each_seed_has_all_arms_at_the_primary_number_of_traces(recipes):
    assert ("tower",) in recipes
    for seed in ("1", "2"):
        assert {place[2] for place in recipes if place[:2] == (seed, "1000")} == ARMS | {"text-rl", "interleaved-rl"}
        for number in ("500", "4000"):
            assert {place[2] for place in recipes if place[:2] == (seed, number)} == {"text", "interleaved"}


def test_arms_differ_in_nothing_but_what_they_are_called_after(recipes):
    for seed in ("1", "2"):
        runs = {name: recipes[seed, "1000", name] for name in ARMS}
        assert {(run.traces, run.questions_seed, run.seed, run.optimiser) for run in runs.values()} == {
            (1000, 0, int(seed), runs["text"].optimiser)
        }
        assert runs["text"].init == runs["interleaved"].init == runs["perception"].init
        assert runs["base"].init == runs["text-base"].init != runs["amg-only"].init
        assert {tuple(run.mixture) for run in runs.values()} == {("direct",), ("text",), ("perception",), ("interleaved",)}
        assert all(run.record.best == f"{next(iter(run.mixture))}_accuracy" for run in runs.values())
        text, interleaved = recipes[seed, "1000", "text-rl"], recipes[seed, "1000", "interleaved-rl"]
        assert (text.steps, text.flags, text.data) == (interleaved.steps, interleaved.flags, interleaved.data)
        assert (text.mode, interleaved.mode) == ("text", "interleaved") and text.rewards.exploration == 0


def test_every_command_and_option_is_one_that_there_is(commands):
    from typer.main import get_command

    for command in commands:
        place = get_command(app)
        words = command[1:]
        while words and getattr(place, "commands", {}).get(words[0]):
            place, words = place.commands[words[0]], words[1:]
        known = {option for parameter in place.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, command


def test_the_study_names_a_run_for_every_seed_of_every_arm(commands):
    made = {word for command in commands if command[:2] == ["cooper", "eval"] for word in command[command.index("--out") + 1 :]}
    primary, page = [command for command in commands if command[:2] == ["cooper", "study"]]
    for study, names in ((primary, {"text-base", "text", "interleaved"}), (page, ARMS | {"text-rl", "interleaved-rl"})):
        models = dict(word.split("=", 1) for word in study[4:] if "/eval-" in word)
        assert set(models) == names
        for runs in models.values():
            places = [run.rpartition(":")[0] for run in runs.split(",")]
            assert len(places) == 2 and set(places) <= made
