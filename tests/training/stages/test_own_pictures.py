"""Stages on pictures of one's own, through the command: trained, killed, gone on with, examined, and every fault named."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from cooper.data.sources.pictures import read_pictures
from cooper.perception import build_modalities
from cooper.perception.depth import DepthModality
from cooper.reasoning.cooper import Cooper
from cooper.sequence.packing import pack
from cooper.training.bundles import Bundle, load_bundle, save_bundle
from cooper.training.feed.latents import LatentStore
from cooper.training.loop.folder import plain
from cooper.training.loop.watching import read_metrics
from cooper.training.stages.rows import MapBatches, MapRows, Noise, PictureKey
from cooper.training.targets import map_targets
from tests.cli.conftest import run  # noqa: F401 - the command line in this process
from tests.own_pictures import NAMES, make_pictures, save
from tests.training.conftest import MODALITIES, SHAPE
from tests.training.stages.test_map_rows import _recipe

OPTIMISER = {"steps": 3, "batch": 2, "learning_rate": 1e-3, "warmup": 1}
RECORD = {"log_every": 1, "save_every": 1, "eval_every": 3, "keep": 9}
RELATIVE_DEPTH = {"near": 0.0, "far": 1.0, "metric": False}
MINE = {"segmentation": {"names": list(NAMES), "stuff": ["void", "floor", "wall"]}}
RELATIVE = {**MINE, "depth": RELATIVE_DEPTH}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return make_pictures(tmp_path / "mine")


@pytest.fixture
def recipe(mine: Path, start: Path, tmp_path: Path) -> Callable[..., Path]:
    """A recipe file of amg from the tiny checkpoint, with changes."""

    def written(**changes: object) -> Path:
        places = {"out": str(tmp_path / "run"), "data": str(mine), "val": str(mine), "init": str(start)}
        values = {**places, "modalities": MINE, "eval_scenes": 3, "optimiser": OPTIMISER, "record": RECORD, **changes}
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not None}))
        return path

    return written


def test_maps_are_learnt_examined_and_gone_on_with(run, recipe, start, tmp_path):  # noqa: F811
    path = recipe()
    ran = run("train", "amg", "--config", path)
    assert ran.code == 0, ran.err
    assert f"{tmp_path / 'mine'}: 4 pictures, depth of 4, segmentation of 4" in ran.err.replace("\n", "")
    folder = tmp_path / "run"
    lines = read_metrics(folder / "metrics.jsonl")
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3]
    exam = {name for line in lines for name in line if name.startswith("eval_")}
    assert {"eval_abs_rel", "eval_abs_rel_aligned", "eval_miou"} <= exam
    assert (folder / "maps-000003.png").is_file()
    weights = load_file(folder / "model" / "model.safetensors")
    for name in ("checkpoint-3", "checkpoint-2", "model"):  # as kill -9 after the first step leaves it
        shutil.rmtree(folder / name)
    (folder / "finished.json").unlink()
    again = run("train", "amg", "--config", path)
    assert again.code == 0, again.err
    for name, weight in load_file(folder / "model" / "model.safetensors").items():
        assert torch.equal(weight, weights[name]), name
    door = Cooper.from_pretrained(folder / "model")
    assert door.modalities["segmentation"].names == list(NAMES), "the checkpoint draws the classes of the data"
    assert load_bundle(start).model.config.modalities == MODALITIES
    wide = Image.open(tmp_path / "mine" / "images" / "hall" / "3.png")
    assert door.depth(wide).reading.units == {"depth": "m"}
    save(tmp_path / "mine" / "depth" / "hall" / "9.png", np.ones((8, 8)), np.uint16)
    refused = run("train", "amg", "--config", path, "--force-recipe", "optimiser.steps=4")
    assert refused.code == 1 and "depth/hall/9.png has no picture" in " ".join(refused.err.split())


def test_data_that_changed_under_a_run_are_refused(run, recipe, mine):  # noqa: F811
    path = recipe(optimiser={**OPTIMISER, "steps": 1})
    assert run("train", "amg", "--config", path).code == 0
    shutil.rmtree(mine.parent / "run" / "model")
    (mine / "data.yaml").write_text((mine / "data.yaml").read_text().replace("far: 7.0", "far: 6.0"))
    refused = run("train", "amg", "--config", path)
    assert refused.code == 1 and "began with other data" in refused.err


@pytest.mark.slow
def test_a_killed_run_goes_on(recipe, tmp_path):
    path, folder = recipe(optimiser={**OPTIMISER, "steps": 400}, record={**RECORD, "eval_every": 1000}), tmp_path / "run"
    command = [sys.executable, "-m", "cooper", "train", "amg", "--config", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (folder / "checkpoint-2" / "manifest.json").is_file() and process.poll() is None:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    taken = max(line["step"] for line in read_metrics(folder / "metrics.jsonl") if "loss" in line)
    more = [*command, "--force-recipe", f"optimiser.steps={taken + 2}"]
    ran = subprocess.run(more, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    steps = [line["step"] for line in read_metrics(folder / "metrics.jsonl") if "loss" in line]
    assert steps[-1] == taken + 2 and (folder / "model" / "model.safetensors").is_file()


def test_depth_alone_may_be_learnt_of_part_of_the_pictures(run, recipe, mine, tmp_path):  # noqa: F811
    for name in ("labels", "instances"):
        shutil.rmtree(mine / name)
    (mine / "data.yaml").unlink()
    source = {"kind": "pictures", "path": str(mine), "far": 7.5, "limit": 2}
    path = recipe(data=source, val={**source, "limit": 1}, maps=["depth"], modalities={"depth": {"far": 7.5}})
    ran = run("train", "amg", "--config", path)
    assert ran.code == 0, ran.err
    assert "2 pictures, depth of 2" in ran.err and yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())["data"] == {
        **source,
        **dict.fromkeys(("split", "metres_per_count", "near", "names", "void", "things", "mode", "image_root")),
    }
    exam = {name for line in read_metrics(tmp_path / "run" / "metrics.jsonl") for name in line if name.startswith("eval_")}
    assert "eval_abs_rel" in exam and not exam & {"eval_miou", "eval_region_iou"}
    assert run("train", "amg", "--config", path).code == 0
    assert "holds the finished run" in run("train", "amg", "--config", path).err


def test_pictures_with_one_map_each_are_learnt_together(run, recipe, mine, tmp_path):  # noqa: F811
    for path in ("depth/hall/1", "depth/hall/3", "labels/kitchen/0", "instances/kitchen/0"):
        (mine / f"{path}.png").unlink()
    ran = run("train", "amg", "--config", recipe())
    assert ran.code == 0, ran.err
    assert "4 pictures, depth of 2, segmentation of 3" in ran.err
    exam = {name for line in read_metrics(tmp_path / "run" / "metrics.jsonl") for name in line}
    assert {"eval_abs_rel", "eval_miou"} <= exam


def test_a_network_begins_on_pictures_of_ones_own(run, mine, tmp_path):  # noqa: F811
    places = {"data": str(mine), "val": str(mine), "optimiser": OPTIMISER, "record": RECORD, "eval_scenes": 2}
    modalities = {"depth": MODALITIES["depth"], "segmentation": {"codec": "scenes", **MINE["segmentation"]}}
    geometry = {
        "base_channels": 8,
        "channel_multipliers": [1, 2],
        "blocks_per_level": 1,
        "latent_channels": 2,
        "norm_groups": 4,
    }
    first, second = tmp_path / "autoencoder.yaml", tmp_path / "amg.yaml"
    encoder = {"out": str(tmp_path / "zero"), "modalities": modalities, "geometry": geometry, "crop": 16}
    first.write_text(yaml.safe_dump({**places, **encoder}))
    ran = run("train", "autoencoder", "--config", first)
    assert ran.code == 0, ran.err
    assert any("eval_miou" in line for line in read_metrics(tmp_path / "zero" / "metrics.jsonl"))
    begun = {
        "out": str(tmp_path / "one"),
        "autoencoder": str(tmp_path / "zero" / "model"),
        "network": plain(SHAPE),
        "words": 400,
    }
    second.write_text(yaml.safe_dump({**places, **begun}))
    ran = run("train", "amg", "--config", second)
    assert ran.code == 0, ran.err
    assert Cooper.from_pretrained(tmp_path / "one" / "model").modalities["segmentation"].names == list(NAMES)


def test_what_is_not_known_carries_no_loss(bundle: Bundle, mine, tmp_path):
    found = read_pictures(mine)
    modalities = build_modalities({**MODALITIES, "segmentation": {"codec": "scenes", "names": list(NAMES)}})
    store = LatentStore(tmp_path, bundle.model.vae)
    rows = MapRows(found.items, modalities, store, bundle.processor, bundle.prompts, Noise(1.0, 0))
    square = next(place for place, item in enumerate(found.items) if item.id == "kitchen/2")  # 80 x 80, holes of 40 x 20
    known = rows.known(PictureKey(square, "depth"), (4, 4))
    assert known is not None and known.view(4, 4).tolist() == [[False, False, True, True], *[[True] * 4] * 3]
    mirrored = rows.known(PictureKey(square, "depth", True), (4, 4))
    assert mirrored is not None and mirrored.view(4, 4)[0].tolist() == [True, True, False, False]
    batch = MapBatches(replace(rows, examples=[found.items[square]]), replace(_recipe(tmp_path), mirror=False))(range(1))
    assert len(batch.targets.velocity_index_M) == 2 * 14 == len(batch.targets.velocity_MD)
    whole = replace(found.items[square], void=None)
    assert (
        MapRows([whole], modalities, store, bundle.processor, bundle.prompts, Noise(1.0, 0)).known(
            PictureKey(0, "segmentation"), (4, 4)
        )
        is None
    )
    row = rows.row(0, square, False, ("depth",))
    assert bundle.model.losses(pack([row], bundle.processor.geometry)).mse_count == 14


@pytest.fixture
def refused(run, recipe):  # noqa: F811
    def of(stage: str = "amg", *overrides: str, **changes: object) -> str:
        ran = run("train", stage, "--config", recipe(**changes), *overrides)
        told = [line for line in ran.err.splitlines() if line.startswith("cooper: ")]
        assert ran.code == 1 and len(told) == 1, ran.err
        return told[0]

    return of


FAULTS = {
    "another unit": (
        lambda f: (f / "data.yaml").write_text((f / "data.yaml").read_text() + "metres_per_count: 0.1\n"),
        "is the unit right?",
    ),
    "8 bits": (lambda f: save(f / "depth/kitchen/0.png", np.ones((64, 96))), "depth must be a PNG of 16 bits in one channel"),
    "beyond the names": (
        lambda f: save(f / "labels/kitchen/0.png", np.full((64, 96), 9)),
        "labels/kitchen/0.png holds class 9, and 4 classes have names",
    ),
    "no names": (
        lambda f: (f / "data.yaml").write_text("void: 0\n"),
        "does not name its classes, and the model draws void, floor",
    ),
    "an empty folder": (lambda f: shutil.rmtree(f / "images") or (f / "images").mkdir(), "mine/images holds no pictures"),
    "no folder": (shutil.rmtree, "dataset.json: not found"),
    "something else": (lambda f: (f / "images").rename(f / "photos"), "holds no pictures of your own (images/ with depth/"),
    "no labels": (
        lambda f: [shutil.rmtree(f / name) for name in ("labels", "instances")],
        "has a true map of segmentation; say `maps: [depth]` in the recipe",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_data_are_told_before_a_run_begins(refused, mine, fault):
    harm, said = FAULTS[fault]
    harm(mine)
    assert said in refused()


def test_a_file_that_is_torn_during_a_run_is_named(run, recipe, mine, tmp_path):  # noqa: F811
    path = recipe(optimiser={**OPTIMISER, "steps": 1})
    assert run("train", "amg", "--config", path).code == 0
    victim = mine / "depth" / "kitchen" / "2.png"
    data = bytearray(victim.read_bytes())
    data[60:] = bytes(len(data) - 60)
    victim.write_bytes(bytes(data))
    ran = run("train", "amg", "--config", path, "--force-recipe", "optimiser.steps=3")
    assert ran.code == 1 and "depth/kitchen/2.png" in ran.err.replace("\n", "") and "Traceback" not in ran.err
    assert (tmp_path / "run" / "checkpoint-1").is_dir()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"modalities": None}, "has the classes void, floor, wall, box, and the model draws void, floor, wall, table"),
        ({"init": "nano", "modalities": None}, "say `modalities: {segmentation: {codec: scenes, names: [...]"),
        ({"modalities": {"normals": {}}}, "modalities names 'normals'; the checkpoint draws depth, segmentation"),
        ({"modalities": {"depth": {"fra": 1}}}, "modalities.depth: unknown key 'fra'"),
        ({"modalities": {**MINE, "depth": {"near": 7.5, "far": 9.0}}}, "none of it within 7.5 to 9 m"),
        ({"modalities": {**MINE, "depth": {"metric": False}}, "data": {"kind": "pictures"}}, "the key 'path' is missing"),
        ({"data": {"kind": "pictures", "path": "gone"}}, "gone: not found"),
        ({"data": {"kind": "hyperism", "path": "."}}, "unknown kind of data 'hyperism'; known: ade20k, hypersim, kitti"),
        ({"data": {"kind": "ade20k", "path": "."}}, "the kind ade20k needs its split: training or validation"),
        ({"data": {"kind": "nyu", "path": ".", "metres_per_count": 1}}, "metres_per_count is no key of the kind nyu; it takes"),
        ({"data": {"kind": "nyu", "path": "."}, "maps": ["segmentation"]}, "holds no pictures with depth beside them"),
        ({"data": None}, "the key 'data' is missing"),
        ({"data": 5}, "data must be a path, not 5"),
    ],
)
def test_recipes_that_do_not_fit_are_told_what_to_do(refused, changes, said):
    assert said in refused(**changes)


def test_relative_depth_needs_a_range(refused, mine):
    (mine / "data.yaml").write_text("names: [void, floor, wall, box]\n")
    assert "say near and far, in metres, in data.yaml" in refused(modalities=RELATIVE)


def test_relative_depth_covers_the_range_of_the_data(run, recipe, tmp_path):  # noqa: F811
    ran = run("train", "amg", "--config", recipe(modalities=RELATIVE, maps=["depth"], optimiser={**OPTIMISER, "steps": 1}))
    assert ran.code == 0, ran.err
    depth = map_targets(tmp_path / "mine", tmp_path / "mine", {**MODALITIES, "depth": RELATIVE_DEPTH}, ("depth",), (4, 1))
    drawn = depth.modalities["depth"]
    assert isinstance(drawn, DepthModality) and (drawn.near, drawn.far, drawn.metric) == (0.5, 7.0, False)


def test_depth_beyond_what_the_model_draws_is_said(run, recipe, mine):  # noqa: F811
    (mine / "data.yaml").write_text((mine / "data.yaml").read_text().replace("far: 7.0", "far: 20"))
    done = run("train", "amg", "--config", recipe(optimiser={**OPTIMISER, "steps": 1}))
    said = r"note: .* counts up to 20 m, and the model draws 0\.3 to 8 m: .* `modalities: \{depth: \{far: 20\}\}` in the recipe"
    assert done.code == 0 and re.search(said, done.err)


def test_stages_that_need_scenes_say_so(refused, mine):
    shape = plain(SHAPE)
    sight = {"modalities": MODALITIES, "vit": shape["vit"], "transforms": shape["transforms"], "init": None}
    assert "colours and materials of objects, which only scenes tell" in refused("vision", **sight)
    words = {"mixture": {"text": 1}, "questions": {"text": 1}, "modalities": None, "eval_scenes": 1}
    assert "questions and traces from the geometry behind the pictures, which only scenes tell" in refused("sft", **words)


def test_a_recipe_of_phases_checks_pictures_too(run, mine, start, tmp_path):  # noqa: F811
    phase = {"stage": "amg", "init": str(start), "modalities": MINE, "eval_scenes": 1, "optimiser": {**OPTIMISER, "steps": 1}}
    path = tmp_path / "phases.yaml"
    path.write_text(
        yaml.safe_dump({"out": str(tmp_path / "all"), "data": str(mine), "val": str(mine), "phases": {"maps": phase}})
    )
    (mine / "images" / "kitchen" / "0.jpg").rename(mine / "images" / "kitchen" / "00.jpg")
    ran = run("train", "phases", "--config", path)
    assert ran.code == 1 and "phases.maps: " in ran.err.replace("\n", "") and "has no picture" in " ".join(ran.err.split())
    (mine / "images" / "kitchen" / "00.jpg").rename(mine / "images" / "kitchen" / "0.jpg")
    ran = run("train", "phases", "--config", path)
    assert ran.code == 0, ran.err


def test_the_same_folder_is_evaluated_on(run, mine, bundle: Bundle, tmp_path):  # noqa: F811
    save_bundle(bundle, tmp_path / "model")
    for name in ("depth", "segmentation"):
        words = ("--dataset", "pictures", "--data", mine, "--model", tmp_path / "model", "--out", tmp_path / name)
        ran = run("eval", name, *words)
        assert ran.code == 0, ran.err
        assert len((tmp_path / name / f"{name}.jsonl").read_text().splitlines()) == 4
