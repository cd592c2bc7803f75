"""`--quantization`: the command answers with weights of few bits, or says what is missing."""

import sys

import pytest

from tests.cli.test_bad_data import whole_set  # noqa: F401 - a fixture

LIBRARIES = {"int8": "torchao", "4bit": "bitsandbytes"}


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_command_answers_with_few_bits_and_says_nothing_else(name, run, picture):
    pytest.importorskip(LIBRARIES[name])
    ran = run("ask", picture, "Which of these is closest?", "--mode", "direct", "--quantization", name)
    assert ran.code == 0 and ran.out and "Failed" not in ran.err and "Warning" not in ran.err, ran.err


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_that_is_missing_is_named_with_the_line_that_installs_it(name, run, picture, monkeypatch):
    monkeypatch.setitem(sys.modules, LIBRARIES[name], None)  # as where it is not installed
    ran = run("ask", picture, "Which?", "--quantization", name)
    said = f"cooper: quantising needs {LIBRARIES[name]}: pip install {LIBRARIES[name]}"
    assert ran.code == 1 and said in " ".join(ran.err.split()) and "Traceback" not in ran.err


def test_other_names_are_refused(run, picture):
    ran = run("ask", picture, "Which?", "--quantization", "3bit")
    assert ran.code == 1 and "quantization must be int8 or 4bit, not '3bit'" in " ".join(ran.err.split())


@pytest.fixture
def commands(whole_set, tmp_path):  # noqa: F811
    """Every command that makes data with a model, on a scene."""
    data = ("--data", whole_set)
    return {
        "flags": ("data", "flags", *data, "--out", tmp_path / "out", "--limit", "1", "--samples", "2"),
        "draw": ("data", "draw", *data, "--out", tmp_path / "out", "--limit", "1", "--maps", "depth"),
        "curate": (
            "data",
            "curate",
            *data,
            "--out",
            tmp_path / "out",
            "--teacher",
            "scenes",
            "--limit",
            "1",
            "--maps",
            "depth",
        ),
    }


@pytest.mark.parametrize("name", ["flags", "draw", "curate"])
def test_commands_that_make_data_take_base_device_and_quantization(name, run, commands, tmp_path):
    for option, value, said in (
        ("--quantization", "3bit", "quantization must be int8 or 4bit, not '3bit'"),
        ("--device", "nowhere", "nowhere"),
        ("--base", str(tmp_path / "none"), "none"),
    ):
        ran = run(*commands[name], option, value)
        assert ran.code == 1 and said in " ".join(ran.err.split()) and "Traceback" not in ran.err, ran.err


def test_maps_drawn_with_few_bits_do_not_meet_others_in_one_folder(run, commands):
    pytest.importorskip("torchao")
    assert run(*commands["draw"], "--quantization", "int8", "--device", "cpu").code == 0
    ran = run(*commands["draw"])
    assert ran.code == 1 and "quantization" in ran.err
