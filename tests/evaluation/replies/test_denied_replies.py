"""Yes and no said by true and false, also where one of them is denied."""

import pytest

from cooper.evaluation.replies.answers import read_yes_no

REPLIES = [
    ("It is not true.", "no"),
    ("Not true", "no"),
    ("It isn’t true that the cube stands left of the ball.", "no"),
    ("The statement can't be entirely true.", "no"),
    ("That is untrue.", "no"),
    ("That is not false.", "yes"),
    ("The claim is true, not false.", "yes"),
    ("It is false, not true.", "no"),
    ("<think>It may be false.</think><answer>That is never true</answer>", "no"),
    ("It is true that the lamp is not on the table.", "yes"),
    ("Is it true? No.", "no"),
    ("Yes, it is not false.", "yes"),
    ("It is neither true nor false.", ""),
    ("I cannot say if it is true.", ""),
    ("There is no telling whether that's true or false.", ""),
]


@pytest.mark.parametrize(("reply", "right"), REPLIES)
def test_what_is_read(reply, right):
    assert read_yes_no(reply) == right
