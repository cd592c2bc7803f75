"""Weights of few bits: which layers, of both layouts and by both libraries, and that answers stay in shape."""

import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cooper.errors import CooperError
from cooper.model.checkpoints.export import export
from cooper.model.checkpoints.quantising import KEPT, QUANTISED, bits_of, settings_of
from cooper.model.cooper import CooperModel
from cooper.model.mot import MotLayer, SwiGLU
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.trace.asked import question_of
from cooper.trace.prompts import DEFAULT
from tests.networks import picture, tiny_model, tiny_processor

LIBRARIES = {"int8": "torchao", "4bit": "bitsandbytes"}


@pytest.fixture(params=LIBRARIES)
def few(request):
    pytest.importorskip(LIBRARIES[request.param], reason=f"{LIBRARIES[request.param]} is not installed")
    return request.param


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A network in our layout and in the published one; its widths are multiples of 64, as bits of 4 are grouped."""
    ours, published = (tmp_path_factory.mktemp(name) for name in ("ours", "published"))
    model = tiny_model(hidden_size=64, intermediate_size=128)
    model.save_pretrained(ours)
    tiny_processor(model, ours)
    DEFAULT.to_json(ours / "prompts.json")
    export(ours, published / "all")
    return {"ours": ours, "published": published / "all"}


def is_plain(weight):
    return type(weight) is torch.nn.Parameter and weight.dtype == torch.float32


@pytest.mark.parametrize("layout", ["ours", "published"])
def test_linear_layers_of_the_decoder_alone_have_few_bits(folders, few, layout):
    model = CooperModel.from_pretrained(folders[layout], dtype=torch.float32, quantization_config=few)
    for name, weight in model.named_parameters():
        assert is_plain(weight) != bool(QUANTISED.fullmatch(name)), name
    plain = CooperModel.from_pretrained(folders[layout], dtype=torch.float32)
    assert {name for name, _ in model.named_parameters()} == {name for name, _ in plain.named_parameters()}
    for (name, weight), other in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert not is_plain(weight) or torch.equal(weight, other), name


def test_nothing_of_few_bits_is_merged_and_the_rest_computes_as_before(folders, few):
    plain, door = Cooper.from_pretrained(folders["ours"]), Cooper.from_pretrained(folders["ours"], quantization=few)
    for layer in door.engine.parts.model.layers:
        assert isinstance(layer, MotLayer) and isinstance(layer.mlp.und, SwiGLU) and isinstance(layer.mlp.gen, SwiGLU)
        assert not layer.attention.merged and layer.mlp.und.merged is None and layer.mlp.gen.merged is None
    assert all(isinstance(layer, MotLayer) and layer.attention.merged for layer in plain.engine.parts.model.layers)
    one, other = (each.depth(picture()).reading.arrays["depth"] for each in (plain, door))
    assert 0 < np.abs(one - other).mean() < 1.0  # metres of 8: another draw of the same map would be further off


def test_the_same_question_has_the_same_answer(folders, few):
    def answered():
        door = Cooper.from_pretrained(folders["published"], quantization=few)
        options = door.options("perception", Sampling(temperature=1.0, max_tokens=5))
        return door.batch([question_of(picture(), "Where?")], options, seed=3)[0][0]

    one, other = answered(), answered()
    assert [turn.token_ids for turn in one.turns] == [turn.token_ids for turn in other.turns]
    assert [turn.logprobs for turn in one.turns] == [turn.logprobs for turn in other.turns]
    assert len(one.maps) == 2
    for a, b in zip(one.maps, other.maps, strict=True):
        np.testing.assert_array_equal(np.asarray(a.latents), np.asarray(b.latents))


def test_configurations_of_the_libraries_keep_off_the_same_parts(folders):
    pytest.importorskip("bitsandbytes")
    pytest.importorskip("torchao")
    from torchao.quantization import Int8WeightOnlyConfig
    from transformers import BitsAndBytesConfig, TorchAoConfig

    given = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=["q.und"])
    found = settings_of(given, torch.float32)
    assert given.llm_int8_skip_modules == ["q.und"] and set(found.llm_int8_skip_modules) == {*KEPT, "q.und"}
    torchao = TorchAoConfig(Int8WeightOnlyConfig(), include_input_output_embeddings=True)
    door = Cooper.from_pretrained(folders["ours"], quantization=torchao)
    names = {name for name, weight in door.engine.parts.model.named_parameters() if not is_plain(weight)}
    assert names and all(QUANTISED.fullmatch(name) for name in names)
    assert (bits_of(given), bits_of(BitsAndBytesConfig(load_in_4bit=True)), bits_of(torchao)) == (8, 4.5, 8)


@pytest.mark.parametrize("asked", ["3bit", 8, {"load_in_8bit": True}, True])
def test_what_is_no_quantization_is_one_sentence(folders, asked):
    for load in (
        lambda: Cooper.from_pretrained(folders["ours"], quantization=asked),
        lambda: CooperModel.from_pretrained(folders["ours"], quantization_config=asked),
    ):
        with pytest.raises(CooperError, match="quantization must be int8"):
            load()


def test_a_library_that_is_not_installed_is_asked_for(folders, monkeypatch):
    for name, library in LIBRARIES.items():
        monkeypatch.setitem(sys.modules, library, None)  # as where it is not installed
        with pytest.raises(CooperError, match=rf"quantising needs {library}: pip install {library}"):
            Cooper.from_pretrained(folders["ours"], quantization=name)


def test_what_a_library_cannot_quantise_is_one_sentence(folders):
    pytest.importorskip("torchao")
    from torchao.quantization import Int8WeightOnlyConfig, PerGroup
    from transformers import TorchAoConfig

    settings = TorchAoConfig(Int8WeightOnlyConfig(granularity=PerGroup(7)))  # 64 is no multiple of it
    with pytest.raises(CooperError, match="the weights cannot be quantised here"):
        Cooper.from_pretrained(folders["ours"], quantization=settings)


def test_numbers_that_are_not_finite_are_found_before_they_are_quantised(folders, few, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in folders["ours"].iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    state = load_file(broken / "model.safetensors")
    state["layers.1.mlp.gen.down_proj.weight"][3, 4] = float("nan")
    save_file(state, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CooperError, match=r"layers\.1\.mlp\.gen\.down_proj\.weight holds numbers that are not finite"):
        Cooper.from_pretrained(broken, quantization=few)


def test_a_run_of_an_evaluation_knows_its_bits():
    from cooper.evaluation.runs.origin import Origin

    assert "quantization" not in Origin.of("nano").record
    assert Origin.of("nano", quantization="int8").record["quantization"] == "int8"
