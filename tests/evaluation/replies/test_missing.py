"""Replies that say that a thing cannot be seen, and replies that say something else."""

import pytest

from cooper.evaluation.figures.summary import mode_figures
from cooper.evaluation.replies.answers import score
from cooper.evaluation.replies.missing import ANSWERED, CANNOT_SEE, missing_reading
from cooper.evaluation.runs.answering import AnswerRow

REFUSALS = [
    "I cannot see a red cube.",
    "I can't see any red cube in this picture.",
    "<think>cube x 3 y 4. There is no red cube.</think><answer>I cannot see a red cube.</answer>",
    "There isn't a red cube in the image.",
    "There’s no red cube in the scene.",
    "No red cube is visible.",
    "The red cube isn't in the picture.",
    "A red cube does not exist here.",
    "No such object.",
    "None",
    "The picture doesn't contain a red cube, so I cannot say.",
    "The question cannot be answered, as there is none.",
    "I was unable to find a red cube.",
    "The image does not show a red cube.",
    "red cube: not present",
    "No red cube",
]
ANSWERS = [
    "2.4 m",
    "Yes",
    "No, the cube is to the left.",
    "There is no doubt that it is 2 m.",
    "The red cube is not in front of the ball.",
    "There is no obstacle, so yes.",
    "A. red cube",
    "The cube does not touch the ball.",
    "<think>I cannot see it well, but it is near.</think><answer>2 m</answer>",
]


@pytest.mark.parametrize("reply", REFUSALS)
def test_a_reply_that_says_the_thing_is_missing_is_right(reply: str):
    assert missing_reading(reply).value == CANNOT_SEE
    assert score(reply, "Unanswerable", "red cube").correct


@pytest.mark.parametrize("reply", ANSWERS)
def test_any_other_answer_is_wrong(reply: str):
    assert missing_reading(reply).value == ANSWERED
    assert not score(reply, "Unanswerable", "red cube").correct


@pytest.mark.parametrize("reply", ["", "<think>There is no red cube", "<think>There is no red cube.</think>"])
def test_a_reply_without_an_answer_is_unreadable(reply: str):
    assert missing_reading(reply).value == ""


def row(kind: str, reply: str, truth: str, correct: bool) -> AnswerRow:
    read = {"extracted": score(reply, kind, truth).extracted, "correct": correct, "value": float(correct)}  # pyright: ignore
    shared = {"maps": (), "answered": True, "truncated": False, "turns": 1, "seconds": 1.0}
    return AnswerRow(
        id=reply, mode="text", category="c", group="general", type=kind, truth=truth, reply=reply, **read, **shared
    )


def test_reports_count_what_was_refused_in_vain():
    rows = [
        row("Number", "I cannot see a red cube.", "2.0", False),
        row("Number", "2.0 m", "2.0", True),
        row("YN", "No, there is no red cube.", "yes", False),  # an answer, although a wrong one
        row("Unanswerable", "I cannot see a red cube.", "red cube", True),
    ]
    assert mode_figures(rows).refused == 1
