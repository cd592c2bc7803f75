"""Every file that CONTRIBUTING shows works from outside the package: as an installed plugin, or imported by a script."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cooper.errors import CooperError
from cooper.files.plugins import register
from cooper.perception import Reading, build_modalities, modality
from cooper.trace.example import example
from cooper.training.stages.table import STAGES
from tests.docs.pages import ROOT, blocks
from tests.training.conftest import autoencoder, bundle, recipe, records, scene_folder, start  # noqa: F401 - fixtures

FILES = {block.title: block.text for block in blocks(ROOT / "CONTRIBUTING.md") if block.title}


def imported(name: str, folder: Path) -> None:
    """Import one file of the page as a script would."""
    path = folder / name
    path.write_text(FILES[name], encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def installed(name: str, folder: Path) -> dict[str, str]:
    """Install one file of the page as a package with an entry point; the environment that finds it."""
    site = folder / "site"
    told = site / "mine-1.dist-info"
    told.mkdir(parents=True)
    (site / name).write_text(FILES[name], encoding="utf-8")
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n", encoding="utf-8")
    (told / "entry_points.txt").write_text(f"[cooper.plugins]\nmine = {Path(name).stem}\n", encoding="utf-8")
    paths = [str(site), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def cooper(*words: object, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cooper", *map(str, words)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(autouse=True)
def registries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a file registers in this process is gone after its test, and nothing of another test stands in its way."""
    kept = {name: factory for name, factory in modality._FACTORIES.items() if name != "normals"}
    monkeypatch.setattr(modality, "_FACTORIES", kept)
    yield
    STAGES.pop("average", None)


def test_the_page_shows_all_five():
    assert list(FILES) == ["my_normals.py", "my_garden.py", "my_quiz.py", "my_brevity.py", "my_average.py"]


def test_a_modality(tmp_path):
    imported("my_normals.py", tmp_path)
    normals = build_modalities({"normals": {}})["normals"]
    truth = np.zeros((4, 4, 3), np.float32)
    truth[..., 2] = -1
    read = normals.decode(normals.encode(Reading({"normals": truth}, {})))
    np.testing.assert_allclose(read.arrays["normals"], truth, atol=1e-6)


def test_a_data_set(tmp_path):
    data = tmp_path / "garden"
    data.mkdir()
    example().images[0].save(data / "gate.jpg")
    Image.fromarray(np.linspace(1000, 4000, 128 * 128, dtype=np.uint16).reshape(128, 128)).save(data / "gate.depth.png")
    env, out = installed("my_garden.py", tmp_path), tmp_path / "out"
    ran = cooper("eval", "depth", "--dataset", "garden", "--data", data, "--out", out, env=env)
    assert ran.returncode == 0, ran.stderr
    assert json.loads((out / "report.json").read_text())["settings"]["benchmark"] == "depth on garden"
    config, source = tmp_path / "garden.yaml", f"{{kind: garden, path: {data}}}"
    rest = "init: nano\nmaps: [depth]\neval_scenes: 1\noptimiser: {steps: 1, batch: 1, learning_rate: 1.0e-4}\n"
    config.write_text(f"out: {tmp_path / 'run'}\ndata: {source}\nval: {source}\n{rest}", encoding="utf-8")
    ran = cooper("train", "amg", "--config", config, env=env)
    assert ran.returncode == 0, ran.stderr
    assert "1 picture, depth of 1" in ran.stderr


def test_a_benchmark(tmp_path):
    example().images[0].save(tmp_path / "room.png")
    (tmp_path / "quiz.tsv").write_text("room.png\tIs there a green cone in the picture?\tNo\n", encoding="utf-8")
    env, out = installed("my_quiz.py", tmp_path), tmp_path / "out"
    ran = cooper("eval", "quiz", "--data", tmp_path / "quiz.tsv", "--mode", "direct", "--out", out, env=env)
    assert ran.returncode == 0, ran.stderr
    (row,) = map(json.loads, (out / "rows.jsonl").read_text().splitlines())
    assert (row["id"], row["truth"]) == ("quiz-1", "No")


def test_a_reward(recipe, tmp_path):  # noqa: F811
    pytest.importorskip("trl")
    from cooper.training.rl.recipe import RewardSettings
    from cooper.training.rl.run import reinforce
    from tests.training.grpo_runs import lines

    with pytest.raises(CooperError, match="others names 'brevity'; registered: none"):
        RewardSettings(others={"brevity": 1.0})
    imported("my_brevity.py", tmp_path)
    asked = RewardSettings(answer=0.0, format=0.0, exploration=0.0, others={"brevity": 1.0})
    reinforce(replace(recipe, rewards=asked))
    rewarded = [line for line in lines(recipe) if "reward" in line]
    assert len(rewarded) == 2 and all(0 < line["rewards/brevity/mean"] <= 1 for line in rewarded)


def test_a_stage(tmp_path):
    from cooper.training.run import train

    imported("my_average.py", tmp_path)
    config = tmp_path / "average.yaml"
    config.write_text(f"out: {tmp_path / 'run'}\nmodels: [nano, nano]\n", encoding="utf-8")
    folder = train("average", config)
    assert (folder / "model.safetensors").is_file() and (tmp_path / "run" / "recipe.yaml").is_file()
    with pytest.raises(CooperError, match=r"unknown stage 'mean'; choose .*average"):
        train("mean", config)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("import nothing_of_this_name", "No module named"),
        ("raise ValueError", "ValueError"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_named(tmp_path, fault, said):
    env = installed("my_quiz.py", tmp_path)
    (tmp_path / "site" / "my_quiz.py").write_text(f"{fault}\n", encoding="utf-8")
    for words in (
        ("eval", "quiz", "--data", tmp_path, "--out", tmp_path / "out"),
        ("ask", example_picture(tmp_path), "Where?"),
    ):
        ran = cooper(*words, env=env)
        assert ran.returncode == 1 and "Traceback" not in ran.stderr
        assert ran.stderr.startswith(f"cooper: the plugin 'mine' (my_quiz) cannot be loaded: {said}"), ran.stderr


def example_picture(folder: Path) -> Path:
    example().images[0].save(folder / "room.png")
    return folder / "room.png"


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(ValueError, match="a reward named 'a' is registered already"):
        register({"a": 1}, "reward", "a", 2)
