"""`cooper plan`: memory by part, what sharding divides, what to change, and one sentence for each mistake."""

import json
from pathlib import Path

import pytest
import yaml

from cooper.files.values import read_recipe
from cooper.training.stages.table import STAGES

FOLDER = Path(__file__).parents[2] / "recipes/7b"
RECIPES = [path for stage in ("amg", "sft", "grpo") for path in sorted(FOLDER.glob(f"{stage}*.yaml"))]
ROW = ("--picture", "128x128", "--text", "60", "--learnt", "40")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    said = {
        "out": "run",
        "data": "scenes/train",
        "val": "scenes/val",
        "init": "nano",
        "frozen": ["vit"],
        "optimiser": {"steps": 10, "batch": 8, "learning_rate": 1e-4},
    }
    path = tmp_path_factory.mktemp("plan") / "amg.yaml"
    path.write_text(yaml.safe_dump(said))
    return path


@pytest.fixture
def plan(run):
    def of(recipe, *options):
        found = run("plan", recipe, *ROW, "--json", *options)
        assert found.code == 0, found.err
        return json.loads(found.out)

    return of


def test_parts_add_up_and_time_follows(plan, recipe):
    found = plan(recipe, "--teraflops", "1", "--mfu", "0.5", "--price", "2")
    parts = dict(found["bytes"])
    assert parts.pop("total") == pytest.approx(sum(parts.values()))
    assert found["seconds_per_step"] == pytest.approx(found["flops_per_step"] / 0.5e12)
    assert found["hours"] == pytest.approx(10 * found["seconds_per_step"] / 3600)
    assert found["cost"] == pytest.approx(2 * found["hours"])
    assert found["fits"] and found["change"] is None


def test_sharding_divides_states(plan, recipe):
    alone = plan(recipe, "optimiser.batch=8")["bytes"]
    dealt = plan(recipe, "--gpus", "4", "sharding={fsdp: true}", "optimiser.batch=32")["bytes"]
    assert dealt["optimiser"] == pytest.approx(alone["optimiser"] / 4)
    assert dealt["gradients"] == pytest.approx(alone["gradients"] / 4)
    assert dealt["activations"] == pytest.approx(alone["activations"])  # each has as many rows
    assert dealt["weights gathered from other GPUs"] > 0


def test_adapters_and_quantised_weights_need_less(plan, recipe):
    whole = plan(recipe)["bytes"]
    adapted = plan(recipe, "lora={rank: 4}")["bytes"]
    quantised = plan(recipe, "lora={rank: 4}", "quantise=4bit")["bytes"]
    assert adapted["optimiser"] < whole["optimiser"] / 10
    assert quantised["weights"] < adapted["weights"] / 1.5


def test_the_smallest_change_that_fits_is_named(plan, run, recipe):
    whole = plan(recipe)["bytes"]["total"]
    less = plan(recipe, "checkpointing=true")["bytes"]["total"]
    between = str((whole + less) / 2 / 2**30)
    assert plan(recipe, "--memory", between)["change"]["overrides"] == "checkpointing=true"
    told = run("plan", str(recipe), *ROW, "--memory", between).out
    assert "The smallest change that fits" in told and "checkpointing=true" in told


def test_stages_two_and_three_are_planned(plan, run, recipe, tmp_path):
    said = yaml.safe_load(recipe.read_text())
    rows = tmp_path / "sft.yaml"
    rows.write_text(yaml.safe_dump({**said, "mixture": {"interleaved": 1}, "questions": {"interleaved": 1}}))
    found = plan(rows, "packing={expected: 2000, maximum: 2000, sample: 2000}")
    assert 1000 < found["tokens_per_step"] <= 8 * 2000
    asked = {"out": "run", "data": "scenes", "init": "nano", "steps": 5, "learning_rate": 1e-5, "rows": 8, "group": 4}
    rollouts = tmp_path / "grpo-small.yaml"
    rollouts.write_text(yaml.safe_dump({**asked, "questions": 8, "sampling": {"max_tokens": 32}}))
    assert plan(rollouts)["steps"] == 5
    assert "Rollouts are sampled" in run("plan", str(rollouts), *ROW).out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--stage", "vision"), "stage 'vision' cannot be planned"),
        (("--picture", "big"), "--picture is 'big'"),
        (("--learnt", "99"), "--learnt is 99, more than --text"),
        (("--gpus", "3"), "optimiser.batch is 8, which does not divide into 3 packs"),
        (("packing={expected: 10, maximum: 10, sample: 10}",), "(packing.sample): it would be dropped"),
        (("no_such_key=1",), "no_such_key"),
    ],
)
def test_mistakes_are_one_sentence(run, recipe, options, sentence):
    found = run("plan", str(recipe), *ROW, *options)
    assert found.code == 1 and sentence in found.err and "Traceback" not in found.err


def test_a_name_that_tells_no_stage(plan, run, recipe, tmp_path):
    other = tmp_path / "mine.yaml"
    other.write_text(recipe.read_text())
    assert "name one of amg, sft, grpo by --stage" in run("plan", str(other), *ROW).err
    assert plan(other, "--stage", "amg")["fits"]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_of_7b_are_read(path):
    recipe = read_recipe(STAGES[path.stem.split("-")[0]].recipe, path, ())
    assert recipe.init
