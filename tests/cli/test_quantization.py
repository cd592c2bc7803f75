"""`--quantization`: the command answers with weights of few bits, or says what is missing."""

import sys

import pytest

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
