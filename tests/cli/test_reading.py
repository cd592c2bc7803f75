"""`cooper read`: the answer and why, nothing read, and options that do not fit."""

import io
import json
import sys
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from cooper.cli.main import app
from cooper.errors import CooperError
from cooper.evaluation.replies import RULES_VERSION

OPTIONS = ("--choices", "red cube", "--choices", "blue ball", "--choices", "cone")


def run(*args, reply=None):
    found = CliRunner().invoke(app, ["read", *args], input=reply)
    if isinstance(found.exception, CooperError):
        return SimpleNamespace(exit_code=1, output=str(found.exception))
    return found


def test_a_choice_and_why():
    found = run("At first A, but the answer is (C).", *OPTIONS)
    assert found.exit_code == 0
    assert found.output.splitlines() == [
        "answer: C 'cone'",
        "  announced: 'At first A, but the answer is (C).' names the option",
    ]


@pytest.mark.parametrize(
    ("kind", "reply", "first"),
    [
        ("yn", "Of course not.", "answer: no"),
        ("count", "4 (2 on the left, 2 on the right)", "answer: 4"),
        ("number", "110.7 m = 11070 cm", "answer: 110.7"),
        ("q-spatial", r"\scalar{2} \distance_unit{ft}", "answer: 0.6096 m"),
    ],
)
def test_other_types(kind, reply, first):
    found = run(reply, "--type", kind)
    assert (found.exit_code, found.output.splitlines()[0]) == (0, first)


def test_no_answer_is_no_failure():
    found = run("No image was provided, so I cannot answer.", "--type", "yn")
    assert (found.exit_code, found.output.splitlines()) == (
        0,
        ["no answer", "  refusal: the reply says that it cannot see the picture"],
    )
    found = run("", "--type", "number")
    assert (found.exit_code, found.output.splitlines()[0]) == (0, "no answer")


def test_as_json_and_from_standard_input():
    found = run("-", "--json", *OPTIONS, reply="<think>A?</think>\nB\n")
    told = json.loads(found.output)
    assert (told["answer"], told["option"], told["type"], told["rules"]) == ("B", "blue ball", "mcq", RULES_VERSION)
    assert told["reasons"][-1] == {"stage": "alone", "reason": "the whole text is one option"}
    assert json.loads(run("who knows", "--type", "number", "--json").output)["answer"] is None
    assert json.loads(run("0", "--type", "count", "--json").output)["answer"] == 0.0


def test_a_console_without_unicode(monkeypatch):
    from cooper.cli.results import read

    console = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", console)
    read("图中有五把椅子", kind="count")
    console.flush()
    assert console.buffer.getvalue().decode("ascii").startswith("answer: 5\n")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("x", "--type", "essay"), "--type 'essay' is unknown; it is one of mcq, yn, number, count, q-spatial"),
        (("x",), "--type mcq needs at least two --choices, got 0"),
        (("x", "--type", "yn", *OPTIONS), "--choices belongs to --type mcq, not to yn"),
        (("x", "--choices", "a", "--choices", " "), "option 2 of --choices is empty"),
    ],
)
def test_options_that_do_not_fit(args, message):
    found = run(*args)
    assert (found.exit_code, found.output) == (1, message)
