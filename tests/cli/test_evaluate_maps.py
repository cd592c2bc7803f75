"""`cooper eval segmentation` and `cooper eval depth` with a made model."""

import json

import pytest

import cooper.reasoning.cooper as door
from tests.evaluation.maps.test_segmented import Draws, ade  # noqa: F401 - a fixture


@pytest.fixture
def loaded(monkeypatch):
    """The names of the models that were loaded."""
    names = []

    def load(cls, name, base=None, device_map=None, quantization=None):
        names.append(name)
        return Draws()

    monkeypatch.setattr(door.Cooper, "from_pretrained", classmethod(load))
    return names


@pytest.mark.usefixtures("loaded")
def test_segmentation_from_the_command_line(run, ade, tmp_path):  # noqa: F811
    ran = run("eval", "segmentation", "--dataset", "ade20k", "--data", ade, "--limit", "1", "--out", tmp_path / "a")
    assert ran.code == 0 and "# nano on segmentation on ade20k" in ran.out and "region IoU, class-agnostic" in ran.out
    assert (tmp_path / "a" / "sheet.png").is_file()
    ran = run("eval", "segmentation", "--dataset", "ade20k", "--data", ade, "--out", tmp_path / "b", "--json")
    assert json.loads(ran.out)["segmentation"]["region_pq"]["rows"] == 2


def test_mistakes_are_one_sentence_before_a_model_is_loaded(run, loaded, tmp_path):
    for arguments, words in [
        (["segmentation"], "no data set of segmentation is named (--dataset); known: ade20k, scenes"),
        (["depth", "--dataset", "ade20k"], "unknown data set 'ade20k' of depth; known: nyu, kitti, hypersim, vkitti, scenes"),
        (["segmentation", "--dataset", "ade20k"], "on ade20k needs the folder of the data set: --data segmentation=FOLDER"),
        (
            ["depth", "--dataset", "scenes"],
            "`cooper scenes render --count 100 --split val --out data/scenes/val` makes one, then",
        ),
        (["depth", "--dataset", "nyu", "--data", tmp_path / "gone"], "gone is no folder; --data must name that of"),
    ]:
        ran = run("eval", *arguments, "--out", tmp_path / "x")
        assert ran.code == 1 and words in " ".join(ran.err.split())
    assert loaded == []
