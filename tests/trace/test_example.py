"""The bundled picture and questions, and what the bundled model answers."""

import pytest

import cooper
from cooper.errors import CooperError
from cooper.trace.example import example_questions, write_example

RIGHT = ("red capsule", "red capsule", "Yes", "No", "lower middle")


def test_nano_answers_the_bundled_questions():
    nano = cooper.Cooper.from_pretrained("nano")
    assert tuple(nano.ask(cooper.example(number)).answer for number in range(len(RIGHT))) == RIGHT


def test_there_is_an_example_for_every_answer():
    assert len(example_questions()) == len(RIGHT)
    for number in (-1, len(RIGHT), 1.5, None):
        with pytest.raises(CooperError, match="number of an example"):
            cooper.example(number)


def test_the_example_is_written_once_and_overwrites_nothing(tmp_path):
    assert write_example(tmp_path / "new") == write_example(tmp_path / "new") == tmp_path / "new" / "room.png"
    (tmp_path / "new" / "room.png").write_text("mine")
    with pytest.raises(CooperError, match="is another file"):
        write_example(tmp_path / "new")
    assert (tmp_path / "new" / "room.png").read_text() == "mine"
