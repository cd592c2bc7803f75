"""Which type a network is loaded in, by what it needs and what is free; and how free memory is read."""

import pytest
import torch

from cooper.errors import CooperError
from cooper.model.checkpoints import memory
from cooper.model.checkpoints.memory import FreeMemory, Needs, fitting_dtype, free_of_machine, room_of, size

GB = 10**9
BIG = Needs(linear=13 * GB, rest=GB, kept=GB, token=57_344, stored=torch.bfloat16)  # much like the published network


def free(device, gigabytes):
    return FreeMemory(device=device, free=None if gigabytes is None else int(gigabytes * GB))


def test_needs_are_weights_and_an_allowance_for_keys_and_values():
    assert BIG.weights(torch.float32) == 57 * GB and BIG.weights(torch.bfloat16) == 29 * GB
    assert BIG.weights(torch.bfloat16, 8) == 16 * GB and BIG.weights(torch.bfloat16, 4) == 9.5 * GB
    assert BIG.total(torch.bfloat16) - BIG.weights(torch.bfloat16) == 16_384 * 57_344 * 2


@pytest.mark.parametrize(
    ("room", "dtype", "bits", "chosen"),
    [
        (free("cpu", 100), None, None, torch.float32),
        (free("cpu", 40), None, None, torch.bfloat16),
        (free("cpu", 30), None, 8, torch.float32),
        (free("cpu", 19), None, 8, torch.bfloat16),
        (free("cpu", None), None, None, torch.float32),
        (free("cuda:0", 80), None, None, torch.bfloat16),
        (free("cuda:0", 80), torch.float32, None, torch.float32),
        (free("cuda:0", 14), None, 4.5, torch.bfloat16),
        (free("mps", None), None, None, torch.bfloat16),
    ],
)
def test_the_type_that_fits(room, dtype, bits, chosen):
    assert fitting_dtype(BIG, [room], "it", dtype, bits) == chosen


@pytest.mark.parametrize(
    ("rooms", "dtype", "bits", "said"),
    [
        (
            [free("cuda:0", 24)],
            None,
            None,
            "it needs 30.9 GB of memory on cuda:0 (29.0 GB of weights in bfloat16, 1.9 GB for keys and values), and 24.0 GB "
            "are free; this fits: quantization int8 (17.9 GB), quantization 4bit (12.2 GB)",
        ),
        ([free("cuda:0", 14)], None, None, "this fits: quantization 4bit (12.2 GB)"),
        ([free("cuda:0", 14)], None, 8, "weights in 8 bits and bfloat16"),
        ([free("cuda:0", 24), free("cpu", 100)], None, 8 * 2, "(12.2 GB), device cpu (34.8 GB)"),
        ([free("cpu", 40)], torch.float32, None, "this fits: dtype bfloat16 (30.9 GB), quantization int8 (21.8 GB)"),
        ([free("cpu", 24), free("cuda:0", 80)], None, None, "device cuda:0 (30.9 GB)"),
        ([free("cpu", 8)], None, None, "no smaller type fits either: free some memory, or name another device"),
    ],
)
def test_what_does_not_fit_is_one_sentence_with_advice(rooms, dtype, bits, said):
    with pytest.raises(CooperError) as refused:
        fitting_dtype(BIG, rooms, "it", dtype, bits)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_sizes_in_words():
    assert (size(29_300_000_000), size(85_564_012)) == ("29.3 GB", "85.6 MB")


@pytest.fixture
def system(tmp_path, monkeypatch):
    """The files by which a system tells its memory, in a folder."""
    (tmp_path / "meminfo").write_text("MemTotal: 2000 kB\nMemAvailable:    1000 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    return tmp_path


def test_what_the_system_calls_available_is_free(system):
    assert free_of_machine() == 1_024_000
    assert room_of(torch.device("cpu")) == FreeMemory(device="cpu", free=1_024_000)
    (system / "meminfo").write_text("MemTotal: 2000 kB\n")
    assert free_of_machine() is None


def test_a_control_group_may_allow_less(system):
    for name, text in (("max", "500000"), ("current", "300000"), ("stat", "anon 1\ninactive_file 1000\nactive_file 100\n")):
        (system / f"memory.{name}").write_text(text)
    assert free_of_machine() == 201_100
    (system / "memory.max").write_text("max\n")
    assert free_of_machine() == 1_024_000


def test_an_older_control_group_is_read_too(system):
    (system / "memory").mkdir()
    for name, text in (("limit_in_bytes", "500000"), ("usage_in_bytes", "600000"), ("stat", "inactive_file 0\n")):
        (system / "memory" / f"memory.{name}").write_text(text)
    assert free_of_machine() == 0
