"""Several sources by weight, through the command: what is learned of each, gone on with, and refused."""

import shutil

import pytest
import torch
import yaml

from cooper.data.batches import rng_of, shuffled
from cooper.sequence.packing import pack
from cooper.training.feed.rows import packed
from cooper.training.stages.rows import MapBatches, MapRows
from tests.cli.conftest import run  # noqa: F401 - the command line in this process
from tests.training.feed.conftest import OPTIMISER, assert_same_model, killed_after, steps_of
from tests.training.stages.test_map_rows import _recipe

MAPS = ("depth", "segmentation")


def test_each_source_teaches_the_maps_it_has_and_a_resumed_run_is_the_same(run, amg, tmp_path):  # noqa: F811
    path = amg()
    ran = run("train", "amg", "--config", path)
    assert ran.code == 0, ran.err
    told = " ".join(ran.err.split())
    assert "deep: 5 pictures, depth of 5, segmentation of 0" in told
    assert "labelled: 3 pictures, depth of 0, segmentation of 3" in told
    whole = steps_of(tmp_path / "run")
    assert [line["step"] for line in whole] == [1, 2, 3, 4]
    shutil.copytree(tmp_path / "run", tmp_path / "kept")
    killed_after(tmp_path / "run", 2)
    again = run("train", "amg", "--config", path)
    assert again.code == 0, again.err
    assert steps_of(tmp_path / "run") == whole
    assert_same_model(tmp_path / "run", tmp_path / "kept")
    assert yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())["data"]["deep"]["weight"] == 0.6


def test_files_of_traces_are_mixed(run, sft, tmp_path):  # noqa: F811
    path = sft(optimiser={**OPTIMISER, "steps": 2})
    ran = run("train", "sft", "--config", path)
    assert ran.code == 0, ran.err
    told = " ".join(ran.err.split())
    assert "drawn.jsonl: 6 rows (interleaved 6), 4 with maps" in told and "words.jsonl: 2 rows (text 2)" in told
    assert all(line["ce"] > 0 for line in steps_of(tmp_path / "run"))
    changed = run("train", "sft", "--config", path, "data.words.weight=3")
    assert changed.code == 1 and "data.words.weight was 1.0 and is 3.0" in " ".join(changed.err.split())

    shutil.rmtree(tmp_path / "run" / "model")
    lines = (tmp_path / "words.jsonl").read_text().splitlines()
    (tmp_path / "words.jsonl").write_text(lines[0] + "\n")
    refused = run("train", "sft", "--config", path)
    assert refused.code == 1 and "(data.words of the recipe) has changed since" in " ".join(refused.err.split())


def test_one_source_gives_the_rows_it_always_gave(map_rows: MapRows, tmp_path):
    """Row r of a run shows the shuffled example number r, mirrored as (seed, r, 3) says: old runs go on with these rows."""
    recipe = _recipe(tmp_path)
    numbers = range(5, 9)
    rows = [map_rows.row(number, shuffled(0, number, 4), bool(rng_of(0, number, 3).random() < 0.5), MAPS) for number in numbers]
    expected, found = pack(rows, map_rows.processor.geometry), packed(MapBatches(map_rows, recipe), numbers)
    for name in ("tokens_ND", "t_N"):
        assert torch.equal(getattr(expected.latents, name), getattr(found.latents, name))
    assert torch.equal(expected.vit.patches_PC, found.vit.patches_PC)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"a": {"kind": "pictures"}}}, "data.a: the key 'path' is missing"),
        ({"data": {"a": {"kind": "pictures", "path": "deep", "weight": -1}}}, "data.a.weight is -1.0; it must be at least 0"),
        ({"data": {"a": {"kind": "pictures", "path": "deep", "weight": 0}}}, "data must give one of its sources a weight"),
        ({"data": {"a": {"kind": "pictures", "path": "gone"}}}, "gone: not found"),
        ({"val": {"a": {"kind": "pictures", "path": "deep"}}}, "val: unknown key 'a'"),
    ],
)
def test_mixtures_that_do_not_fit_are_refused(run, amg, tmp_path, monkeypatch, changes, said):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    ran = run("train", "amg", "--config", amg(**changes))
    assert ran.code == 1 and said in " ".join(ran.err.split()) and "Traceback" not in ran.err


def test_other_stages_take_one_source(run, amg, sft, tmp_path):  # noqa: F811
    recipe = yaml.safe_load(amg().read_text())
    modes = run("train", "sft", "--config", sft(mixture={"text": 1}))
    assert modes.code == 1 and "of several, each has its `weight` in data" in " ".join(modes.err.split())
    values = {"out": recipe["out"], "data": recipe["data"], "val": recipe["val"], "optimiser": recipe["optimiser"]}
    path = tmp_path / "autoencoder.yaml"
    modalities = {"depth": {"near": 0.3, "far": 8.0, "metric": True}, "segmentation": {"codec": "colours"}}
    path.write_text(yaml.safe_dump({**values, "modalities": modalities}))
    refused = run("train", "autoencoder", "--config", path)
    assert refused.code == 1 and "data has several sources (deep, labelled)" in " ".join(refused.err.split())
