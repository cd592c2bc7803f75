"""The door opens checkpoints of both layouts, and says what is wrong with others."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from cooper.errors import CooperError
from cooper.model.cooper import CooperModel
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.trace.asked import question_of
from cooper.trace.prompts import DEFAULT
from tests.networks import picture, tiny_model, tiny_processor


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """A checkpoint folder in our own layout."""
    folder = tmp_path_factory.mktemp("ours")
    model = tiny_model()
    model.save_pretrained(folder)
    tiny_processor(model, folder)
    DEFAULT.to_json(folder / "prompts.json")
    return folder


def test_our_layout(ours, recwarn):
    model = Cooper.from_pretrained(ours)
    assert not [warning for warning in recwarn if "prompts" in str(warning.message)]
    assert set(model.modalities) == {"depth", "segmentation"}
    drawn = model.depth(picture())
    assert drawn.reading.units == {"depth": "m"}


def test_types(ours):
    model = Cooper.from_pretrained(ours, dtype=torch.bfloat16)
    assert model.engine.parts.model.lm_head.weight.dtype == torch.bfloat16
    assert model.depth(picture()).reading.arrays["depth"].shape == (32, 32)


def test_a_checkpoint_without_prompts_warns_and_uses_our_wording(ours, tmp_path):
    folder = shutil.copytree(ours, tmp_path / "bare")
    (folder / "prompts.json").unlink()
    with pytest.warns(UserWarning, match=r"holds no prompts\.json"):
        model = Cooper.from_pretrained(folder)
    assert model.engine.parts.prompts == DEFAULT


def test_weights_and_base_in_two_places(ours, tmp_path):
    from cooper.model.checkpoints.export import export

    published, weights = tmp_path / "published", tmp_path / "weights"
    export(ours, published)
    weights.mkdir()
    for name in ("ema.safetensors", "prompts.json"):
        shutil.move(published / name, weights / name)
    with pytest.raises(CooperError, match="base"):
        Cooper.from_pretrained(weights)
    both = Cooper.from_pretrained(weights, base=published)
    whole = Cooper.from_pretrained(ours)
    a, b = (m.depth(picture()).reading.arrays["depth"] for m in (both, whole))
    assert (a == b).all()


def test_missing_and_broken_checkpoints(ours, tmp_path):
    with pytest.raises(CooperError, match="nowhere"):
        Cooper.from_pretrained(tmp_path / "nowhere")
    broken = shutil.copytree(ours, tmp_path / "broken")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(CooperError, match=r"model\.safetensors"):
        Cooper.from_pretrained(broken)


def test_several_pictures_in_one_question():
    asked = question_of([picture(1), picture(2)], "Which is nearer?", subject=0)
    assert len(asked.images) == 2
    with pytest.raises(CooperError, match="picture 2 is asked for"):
        question_of([picture(1), picture(2)], "Which?", subject=2)
    with pytest.raises(CooperError, match="at least one picture"):
        question_of([], "Which?")


def test_settings_of_a_file_take_the_place_of_the_defaults(ours, tmp_path):
    from cooper.files.values import read_recipe
    from cooper.reasoning.options import Inference

    path = tmp_path / "inference.yaml"
    path.write_text(
        "max_turns: 2\nsampling: {max_tokens: 7}\ndrawing: {num_timesteps: 3, text_scale: 1.0, interval: [0.0, 1.0]}\n"
    )
    plain = Cooper.from_pretrained(ours)
    asked = plain.with_inference(read_recipe(Inference, path)).options("text")
    assert (asked.mode, asked.max_turns, asked.sampling.max_tokens, asked.drawing.num_timesteps) == ("text", 2, 7, 3)
    assert asked.drawing.interval == (0.0, 1.0)
    path.write_text("max_turns: 2\n")
    assert plain.with_inference(read_recipe(Inference, path)).defaults.drawing == plain.defaults.drawing


def test_layers_on_several_devices(ours, tmp_path):
    """Half of the layers wait on the disk and come to the processor when they are needed; the answers stay the same."""
    pytest.importorskip("accelerate")
    whole = Cooper.from_pretrained(ours)
    names = [name for name, _ in whole.engine.parts.model.named_children()]
    places = {name: "cpu" for name in names if name != "layers"} | {"layers.0": "cpu", "layers.1": "disk"}
    model = CooperModel.from_pretrained(ours, dtype=torch.float32, device_map=places, offload_folder=str(tmp_path))
    parts = whole.engine.parts
    spread = Cooper.of(model.eval(), parts.layout.processor, parts.prompts)
    for mode in ("interleaved", "perception"):
        one, other = (
            door.batch([question_of(picture(), "Where?")], replace(door.options(mode), sampling=Sampling(max_tokens=5)))[0][0]
            for door in (whole, spread)
        )
        assert [turn.token_ids for turn in one.turns] == [turn.token_ids for turn in other.turns]
        for a, b in zip(one.maps, other.maps, strict=True):
            np.testing.assert_allclose(a.latents, b.latents, atol=1e-5)
