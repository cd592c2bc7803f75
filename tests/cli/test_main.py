import json
import subprocess
import sys
from pathlib import Path

import pytest

from cooper.training import run as training_run
from cooper.training.loop.stopping import Interrupted

HEAVY = ("torch", "transformers", "numpy", "mitsuba", "diffusers")


def test_the_package_loads_nothing_heavy():
    code = f"import sys, cooper; cooper.__version__; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_door_of_the_package():
    import cooper
    from cooper.reasoning.cooper import Cooper
    from cooper.trace.trace import Trace

    assert cooper.Cooper is Cooper and cooper.Trace is Trace and callable(cooper.stream)
    assert set(dir(cooper)) >= {"Cooper", "Question", "Trace", "__version__", "example", "stream"}
    assert all(getattr(cooper, name) is not None for name in dir(cooper))
    with pytest.raises(AttributeError, match="no attribute 'Copper'"):
        cooper.Copper  # noqa: B018


def test_help_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['cooper', '--help']\n"
        "from cooper.cli.main import main\n"
        "try: main()\n"
        f"finally: print([name for name in {HEAVY} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout.strip().splitlines()[-1] == "[]" and "segment" in ran.stdout


COMMANDS = [
    "ask",
    "example",
    "read",
    "depth",
    "segment",
    "train",
    "inspect",
    "export",
    "scenes render",
    "data flags",
    "eval",
    "compare",
    "study",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run, command):
    ran = run(*command.split(), "--help")
    assert ran.code == 0 and "Usage" in ran.out


def test_version(run):
    assert run("--version").out.strip() == __import__("cooper").__version__


def test_inspect_reports_what_is_wrong(run, tmp_path):
    ran = run("inspect", tmp_path)
    assert ran.code == 1 and "fault: " in ran.out and "It cannot be loaded." in ran.out
    assert json.loads(run("inspect", tmp_path, "--json").out)["is_loadable"] is False
    assert run("export", tmp_path, tmp_path / "out").code == 1


def test_train_passes_on_stage_recipe_and_changes(run, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(training_run, "train", lambda *arguments: calls.append(arguments))
    recipe = tmp_path / "amg.yaml"
    recipe.write_text("{}")
    assert run("train", "amg", "--config", recipe, "optimiser.steps=3").code == 0
    assert calls == [("amg", recipe, ("optimiser.steps=3",), False)]
    assert "absent.yaml" in run("train", "amg", "--config", tmp_path / "absent.yaml").err


def test_an_unknown_stage_is_one_sentence(run, tmp_path):
    recipe = tmp_path / "amg.yaml"
    recipe.write_text("{}")
    ran = run("train", "magic", "--config", recipe)
    assert ran.code == 1 and "unknown stage 'magic'; choose autoencoder, vision, amg, sft, grpo" in ran.err


def test_an_interrupted_training_says_how_to_go_on(run, tmp_path, monkeypatch):
    def stop(*_):
        raise Interrupted(7, Path("runs/checkpoint-7"))

    monkeypatch.setattr(training_run, "train", stop)
    recipe = tmp_path / "amg.yaml"
    recipe.write_text("{}")
    ran = run("train", "amg", "--config", recipe)
    assert ran.code == 130 and "checkpoint-7" in ran.err


def test_a_bad_number_of_scenes_is_one_sentence(run, tmp_path):
    ran = run("scenes", "render", "--count", 0, "--out", tmp_path / "set")
    assert ran.code == 1 and "count" in ran.err and not (tmp_path / "set").exists()


def test_the_command_prints_the_notes(run, tmp_path):
    ran = run("export", "nano", tmp_path / "out")
    assert ran.code == 0 and "note: autoencoder.norm_groups is 8, published 32" in ran.err and "note" not in ran.out
