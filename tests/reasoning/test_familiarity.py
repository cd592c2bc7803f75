"""A picture unlike those that the model knows is noted wherever its answer is shown."""

import json
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

import cooper
from cooper.model.checkpoints.config_check import check_config
from cooper.model.config import CooperConfig
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.questions import returned_db
from cooper.scenes.store import SceneSet

PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"  # a photograph that comes with a library


@pytest.fixture(scope="module")
def nano() -> Cooper:
    return Cooper.from_pretrained("nano")


def test_a_photograph_is_noted_and_a_room_is_not(nano, tmp_path):
    strange = nano.ask(PHOTO, "Is there a cube in the picture?", "direct")
    assert len(strange.notes) == 1 and "unlike the rendered rooms" in strange.notes[0]
    strange.save(tmp_path / "trace")
    assert cooper.Trace.load(tmp_path / "trace").notes == strange.notes
    assert nano.ask(cooper.example(), mode="direct").notes == ()
    assert nano.depth(PHOTO).trace.notes and not nano.depth(cooper.example().images[0]).trace.notes


def test_of_several_pictures_the_strange_ones_are_named(nano):
    room = cooper.example().images[0]
    assert nano.ask([room, PHOTO], "Which?", "direct").notes[0].startswith("picture 1 (counted from 0)")


def test_the_command_says_so(tmp_path):
    command = [sys.executable, "-m", "cooper", "ask", str(PHOTO), "Is there a cube?", "--mode", "direct"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "note: the picture looks unlike the rendered rooms" in " ".join(printed.split())
    answered = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout
    assert len(json.loads(answered)["notes"]) == 1


def test_noise_and_stripes_are_no_rooms(nano):
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    stripes = (np.indices((128, 128)).sum(0) % 2 * 255).astype(np.uint8)
    for picture in (noise, stripes):
        assert nano.ask(picture, "What?", "direct").notes


def test_other_checkpoints_say_nothing(nano, monkeypatch):
    monkeypatch.setattr(nano.engine.parts.model.config, "trained_on", None)
    assert nano.ask(PHOTO, "What?", "direct").notes == ()


@pytest.mark.parametrize("home", [5, {}, {"pictures": 5, "min_psnr": 1}, {"pictures": "a", "min_psnr": "b"}])
def test_a_configuration_says_both_or_nothing(home):
    with pytest.raises(cooper.errors.CooperError, match="trained_on"):
        check_config(CooperConfig(trained_on=home), "config.json")


@pytest.mark.slow
def test_rooms_of_every_split_come_back(nano, tmp_path):
    for split in ("train", "val", "test", "compositional"):
        render = ["scenes", "render", "--count", "100", "--seed", "501", "--split", split, "--out", str(tmp_path / split)]
        subprocess.run([sys.executable, "-m", "cooper", *render], check=True)
        parts = nano.engine.parts
        rooms = [Image.fromarray(record.rgb) for record in SceneSet(tmp_path / split)]
        known = [returned_db(parts.model, parts.layout.processor, room) >= 29 for room in rooms]
        assert np.mean(known) >= 0.98
