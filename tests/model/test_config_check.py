"""A configuration or a file of weights that makes no network is refused before anything of its size is made."""

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cooper.errors import CooperError
from cooper.files.hub import resolve
from cooper.model.checkpoints.inspection import inspect
from cooper.model.cooper import CooperModel

NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A copy of nano, whose files a test may change back and forth."""
    return Path(shutil.copytree(resolve("nano"), tmp_path_factory.mktemp("checkpoint") / "nano"))


@pytest.fixture
def config(small):
    """`config(field=value)` writes nano's configuration with changes; what it was comes back at the end."""
    path = small / "config.json"
    before = path.read_text()

    def write(changes: dict, group: str = "") -> Path:
        values = json.loads(before)
        (values[group] if group else values).update(changes)
        path.write_text(json.dumps(values))
        return small

    yield write
    path.write_text(before)


@pytest.mark.parametrize(
    ("group", "changes", "said"),
    [
        ("", {"num_attention_heads": 0}, "num_attention_heads is 0"),
        ("", {"hidden_size": None}, "hidden_size"),
        ("", {"hidden_size": 192.5}, "hidden_size"),
        ("", {"hidden_size": "big"}, "hidden_size"),
        ("", {"hidden_size": 193}, "even width"),
        ("", {"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000"),
        ("", {"num_hidden_layers": -1}, "num_hidden_layers"),
        ("", {"num_key_value_heads": 4}, "does not divide"),
        ("", {"vocab_size": 10**12}, "vocab_size"),
        ("", {"rope_theta": 0}, "rope_theta is 0"),
        ("", {"rope_theta": "a"}, "rope_theta"),
        ("", {"rope_theta": NAN}, "rope_theta"),
        ("", {"rms_norm_eps": -1e-6}, "rms_norm_eps"),
        ("", {"vit": {"hidden_size": 0}}, "vit.hidden_size"),
        ("", {"vit": 5}, "configuration"),
        ("", {"vit": {"colour": 5}}, "configuration"),
        ("", {"transforms": {"vae": [128, 128]}}, "transforms.vae"),
        ("", {"transforms": {"vae": [128, 128, 0]}}, "transforms.vae"),
        ("", {"transforms": {"vae": [128, 128, 7]}}, "one token"),
        ("transforms", {"vit": [10**6, 10**6, 14]}, "transforms.vit"),
        ("transforms", {"vit": [14000, 14000, 14]}, "transforms.vit"),
        ("", {"transforms": 7}, "configuration"),
        ("", {"modalities": {"heat": {}}}, "unknown modality 'heat'"),
        ("", {"modalities": {"depth": {"near": 5, "far": 1, "metric": True}}}, "depth range"),
        ("", {"modalities": {"depth": {"near": "a", "far": 1, "metric": True}}}, "modalities"),
        ("", {"modalities": []}, "modalities"),
        ("vae", {"channel_multipliers": "abc"}, "channel_multipliers"),
        ("vae", {"channel_multipliers": [1, "2", 4]}, "channel_multipliers"),
        ("vae", {"channel_multipliers": []}, "channel_multipliers"),
        ("vae", {"norm_groups": 0}, "norm_groups"),
        ("vae", {"scale": NAN}, "vae.scale"),
        ("vae", {"scale": 0}, "vae.scale"),
        ("vae", {"shift": INF}, "vae.shift"),
        ("drawing", {"num_timesteps": 0}, "num_timesteps"),
        ("drawing", {"interval": [1]}, "interval"),
        ("drawing", {"timestep_shift": NAN}, "timestep_shift"),
        ("", {"views": {"input": ["radar"]}}, "radar"),
        ("", {"special_tokens": {"bos": 5}}, "bos"),
    ],
)
def test_a_configuration_that_makes_no_network_is_named(config, group, changes, said):
    directory = config(changes, group)
    report = inspect(directory, values=False)
    assert not report.is_loadable and any(said in finding.what for finding in report.findings), report.findings
    with pytest.raises(CooperError, match=r"config\.json") as refused:
        CooperModel.from_pretrained(directory)
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "", "{", '{"a": ' + "9" * 5000 + "}", "\0", "null"])
def test_a_configuration_that_is_no_object_is_named(small, config, text):
    config({})
    (small / "config.json").write_text(text)
    assert not inspect(small).is_loadable
    with pytest.raises(CooperError, match=r"config\.json"):
        CooperModel.from_pretrained(small)


@pytest.fixture
def weights(tmp_path) -> Path:
    """A copy of nano of the test's own; its weights are in model.safetensors."""
    return Path(shutil.copytree(resolve("nano"), tmp_path / "nano"))


def rewritten(directory: Path, change) -> Path:
    """The header of the weights after `change(header)`."""
    path = directory / "model.safetensors"
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    text = json.dumps(change(header) or header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    return directory


def first(header: dict) -> dict:
    return header["lm_head.weight"]


@pytest.mark.parametrize(
    "change",
    [
        lambda header: first(header).update(dtype="F99"),
        lambda header: first(header).update(dtype="I16"),
        lambda header: first(header).update(dtype=None),
        lambda header: first(header).update(shape=[-1, 192]),
        lambda header: first(header).update(shape=[10**30]),
        lambda header: first(header).update(shape="big"),
        lambda header: first(header).update(data_offsets=[0, 2]),
        lambda header: first(header).update(data_offsets=[5]),
        lambda header: first(header).update(data_offsets=["a", "b"]),
        lambda header: header.update({"lm_head.weight": dict(header["norm.und.weight"])}),
        lambda header: {"a": []},
    ],
    ids=range(11),
)
def test_a_header_that_the_library_refuses_is_refused_by_inspect_and_by_the_door(weights, change):
    rewritten(weights, change)
    assert not inspect(weights).is_loadable
    with pytest.raises(CooperError, match=r"model\.safetensors"):
        CooperModel.from_pretrained(weights)


@pytest.mark.parametrize("tail", [b"x", b"\0" * 4096])
def test_bytes_behind_the_last_tensor_are_refused(weights, tail):
    with (weights / "model.safetensors").open("ab") as file:
        file.write(tail)
    assert not inspect(weights).is_loadable
    with pytest.raises(CooperError, match=r"model\.safetensors"):
        CooperModel.from_pretrained(weights)


@pytest.mark.parametrize("number", [NAN, INF, -INF])
@pytest.mark.parametrize("name", ["lm_head.weight", "vae.encoder.conv_in.weight", "latent_pos.table"])
def test_numbers_that_are_not_finite_are_named(weights, name, number):
    state = load_file(weights / "model.safetensors")
    state[name].view(-1)[-1] = number
    save_file(state, weights / "model.safetensors", {"format": "pt"})
    report = inspect(weights)
    assert not report.is_loadable and name in report.findings[-1].what
    assert inspect(weights, values=False).is_loadable  # only the headers were asked for
    with pytest.raises(CooperError, match=f"tensor {name} holds numbers that are not finite"):
        CooperModel.from_pretrained(weights)


@pytest.mark.parametrize("kept", [torch.float16, torch.float32, torch.bfloat16])
def test_auto_keeps_the_type_of_the_weights_whatever_the_configuration_says(weights, kept):
    state = load_file(weights / "model.safetensors")
    state = {name: tensor if name.startswith("vae.") else tensor.to(kept) for name, tensor in state.items()}
    save_file(state, weights / "model.safetensors", {"format": "pt"})
    model = CooperModel.from_pretrained(weights)
    assert model.lm_head.weight.dtype == model.latent_pos.table.dtype == kept
    assert {weight.dtype for weight in model.vae.parameters()} == {torch.float32}
    assert torch.equal(model.lm_head.weight, state["lm_head.weight"])


def adapter(weights: Path, folder: Path, base: object) -> Path:
    """An adapter for nano as PEFT writes it."""
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(
        CooperModel.from_pretrained(weights), LoraConfig(target_modules=["lm_head"], init_lora_weights=False)
    )
    model.save_pretrained(folder)
    config = folder / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": base}))
    return folder


def test_an_adapter_loads_on_a_network_that_was_checked(weights, tmp_path):
    folder = adapter(weights, tmp_path / "adapter", str(weights))
    plain = CooperModel.from_pretrained(weights)
    adapted = CooperModel.from_pretrained(folder)
    hidden = torch.ones(1, plain.config.hidden_size, dtype=plain.lm_head.weight.dtype)
    assert not torch.equal(plain.text_logits(hidden), adapted.text_logits(hidden))
    state = load_file(weights / "model.safetensors")
    save_file({name: state[name] for name in list(state)[1:]}, weights / "model.safetensors", {"format": "pt"})
    with pytest.raises(CooperError, match="is missing"):
        CooperModel.from_pretrained(folder)


def test_pickles_are_not_opened(weights, tmp_path):
    """A file that would run code when it is unpickled lies where adapters, quantised and plain weights may lie."""

    class Runs:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    folder = adapter(weights, tmp_path / "adapter", str(weights))
    (folder / "adapter_model.safetensors").unlink()
    torch.save({"a": Runs()}, folder / "adapter_model.bin")
    with pytest.raises(CooperError, match=r"holds no adapter_model\.safetensors"):
        CooperModel.from_pretrained(folder)
    (weights / "model.safetensors").unlink()
    torch.save({"a": Runs()}, weights / "pytorch_model.bin")
    with pytest.raises(CooperError, match=r"no config\.json|neither model\.safetensors|not a checkpoint"):
        CooperModel.from_pretrained(weights)
    values = json.loads((weights / "config.json").read_text())
    (weights / "config.json").write_text(json.dumps(values | {"quantization_config": {"quant_method": "torchao"}}))
    with pytest.raises(CooperError, match=r"model\.safetensors"):
        CooperModel.from_pretrained(weights)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("base", "said"), [(None, "base_model_name_or_path"), (5, "base_model_name_or_path"), ("/no/where", "no directory")]
)
def test_an_adapter_without_its_network_is_one_sentence(weights, tmp_path, base, said):
    folder = adapter(weights, tmp_path / "adapter", base)
    with pytest.raises(CooperError, match=said):
        CooperModel.from_pretrained(folder)


def test_an_array_of_weights_that_overflow_a_sum_is_finite():
    from cooper.model.checkpoints.tensor_files import is_finite

    assert is_finite(torch.full((1000,), float(np.finfo(np.float16).max), dtype=torch.float16))
    assert is_finite(torch.empty(0)) and is_finite(torch.ones(3, dtype=torch.int8))
    assert not is_finite(torch.tensor([1.0, NAN]).to(torch.float8_e4m3fn))
