"""Where a checkpoint goes and in which type, at the doors of users, on a machine whose free memory the tests choose."""

import pytest
import torch

from cooper.cli.main import main
from cooper.errors import CooperError
from cooper.files.hub import resolve
from cooper.model.checkpoints import placing
from cooper.model.checkpoints.export import export
from cooper.model.checkpoints.memory import FreeMemory
from cooper.model.checkpoints.placing import needs_of, placement
from cooper.model.cooper import CooperModel
from cooper.reasoning.cooper import Cooper
from cooper.training.bundles import load_bundle
from tests.networks import picture as picture_of_noise
from tests.networks import tiny_model, tiny_processor

NANO = resolve("nano")
NEEDED = needs_of(NANO)
FLOAT32, BFLOAT16 = (NEEDED.total(dtype) for dtype in (torch.float32, torch.bfloat16))
INT8 = NEEDED.total(torch.bfloat16, 8)


@pytest.fixture
def machine(monkeypatch):
    """A machine with so much free memory: the true amounts cannot be chosen, and an accelerator is seldom there."""

    def of(cpu, cuda=None):
        monkeypatch.setattr(placing, "accelerator", lambda: None if cuda is None else torch.device("cuda", 0))
        monkeypatch.setattr(
            placing, "room_of", lambda each: FreeMemory(device=str(each), free=cpu if each.type == "cpu" else cuda)
        )
        monkeypatch.setattr(placing, "checked_device", lambda asked: asked)

    return of


def test_headers_count_what_loading_takes():
    model = CooperModel.from_pretrained(NANO, dtype=torch.float32)
    weights = sum(weight.numel() for weight in (*model.parameters(), *model.buffers()))
    assert NEEDED.weights(torch.float32) == 4 * weights
    assert NEEDED.linear == sum(
        weight.numel() for name, weight in model.layers.named_parameters() if weight.dim() == 2 and name.endswith("weight")
    )
    assert NEEDED.stored == torch.bfloat16
    config = model.config
    assert NEEDED.token == 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim


def test_both_layouts_need_the_same(tmp_path):
    (ours := tmp_path / "ours").mkdir()
    model = tiny_model()
    model.save_pretrained(ours)
    tiny_processor(model, ours)
    export(ours, tmp_path / "published")
    assert needs_of(ours) == needs_of(tmp_path / "published")


@pytest.mark.parametrize(
    ("cpu", "cuda", "asked", "dtype", "device"),
    [
        (FLOAT32, None, {}, torch.float32, None),
        (0, BFLOAT16, {}, "auto", torch.device("cuda", 0)),
        (FLOAT32, 0, {"device_map": "cpu"}, torch.float32, "cpu"),
        (0, FLOAT32, {"dtype": "float32"}, torch.float32, torch.device("cuda", 0)),
        (BFLOAT16, None, {"dtype": "auto"}, "auto", None),
        (INT8, None, {"dtype": torch.bfloat16, "quantization": "int8"}, torch.bfloat16, None),
        (0, 0, {"device_map": "auto"}, "auto", "auto"),
        (0, 0, {"device_map": {"": "cpu"}, "dtype": "bfloat16"}, torch.bfloat16, {"": "cpu"}),
    ],
)
def test_where_it_goes_and_in_which_type(machine, cpu, cuda, asked, dtype, device):
    machine(cpu, cuda)
    found = placement(NANO, **asked)
    assert (found.dtype, found.device_map) == (dtype, device)


def test_bfloat16_where_float32_does_not_fit(machine):
    machine(FLOAT32 - 1)
    with pytest.warns(UserWarning, match="float32 does not fit into the free memory, so weights are bfloat16"):
        door = Cooper.from_pretrained("nano")
    assert door.engine.parts.model.lm_head.weight.dtype == torch.bfloat16


def test_what_does_not_fit_is_refused_before_weights_are_read(machine, monkeypatch):
    machine(INT8)
    monkeypatch.setattr(CooperModel, "from_pretrained", lambda *_, **__: pytest.fail("weights are read"))
    with pytest.raises(CooperError, match=r"nano needs .* MB of memory on cpu .*; this fits: quantization int8"):
        Cooper.from_pretrained("nano")


def test_the_command_says_so_too(machine, monkeypatch, capsys, tmp_path):
    picture = tmp_path / "room.png"
    picture_of_noise().save(picture)
    machine(1_000_000)
    monkeypatch.setattr("sys.argv", ["cooper", "ask", str(picture), "Which?"])
    with pytest.raises(SystemExit) as stop:
        main()
    said = capsys.readouterr().err
    assert stop.value.code == 1 and "1.0 MB are free; no smaller type fits either" in " ".join(said.split())
    assert "Traceback" not in said


def test_a_network_to_be_trained_lies_on_the_cpu(machine, monkeypatch):
    asked = []
    machine(FLOAT32, FLOAT32)
    inner = placing.placement
    monkeypatch.setattr("cooper.reasoning.cooper.placement", lambda *a, **k: asked.append(k["device_map"]) or inner(*a, **k))
    assert load_bundle(NANO).model.device.type == "cpu" and asked == ["cpu"]
