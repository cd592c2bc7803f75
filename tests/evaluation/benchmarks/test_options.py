"""Options in columns and in running text."""

import pytest

from cooper.errors import CooperError
from cooper.evaluation.benchmarks.items import answer_letter, are_stand_ins, column_options, stand_ins, truth_text, worded
from cooper.evaluation.benchmarks.tables import TableRow
from cooper.trace.asked import options_in

TOLD = [
    ("Is it open? (a) Open (b) Closed", ("Open", "Closed")),
    ("Which is near?\nA. the red cube\nB. the ball\nC. both", ("the red cube", "the ball", "both")),
    ("Which?\nSelect from the following choices.\n(A) left\n(B) right", ("left", "right")),
    ("Where is it? Options: A: North, B: South-east, C: East", ("North", "South-east", "East")),
    ("What? A) one B) two\nAnswer with a letter.", ("one", "two")),
    ("Is A left of B? (A) yes (B) no", ("yes", "no")),
    ("Vitamin A. Then B. follows.\nA. first\nB. second\nC. third", ("first", "second", "third")),
    ("Which point? (A) Point A. (B) Point B.", ("Point A.", "Point B.")),
    ("How far, in metres?\nA.1.5\nB.2.5", ("1.5", "2.5")),
    ("A. Point A. B. Point B.", ()),
    ("Point A. Nothing else.", ()),
    ("How many chairs are there?", ()),
    ("", ()),
]


@pytest.mark.parametrize(("text", "options"), TOLD)
def test_options_in_text(text, options):
    assert options_in(text) == options


def test_columns_end_with_the_last_that_is_filled():
    assert column_options(TableRow({"A": "left", "B": "right", "C": "nan", "D": ""}, "t", 1)) == ("left", "right")
    assert column_options(TableRow({"question": "x"}, "t", 1)) == ()
    assert column_options(TableRow({"A": "left", "B": ""}, "t", 1)) == ()
    with pytest.raises(CooperError, match="t, row 1, field 'B': is empty, but option C is not"):
        column_options(TableRow({"A": "left", "B": "", "C": "right"}, "t", 1))


def test_answers_are_letters_or_texts():
    for cell in ("B", "b", "(b)", "B.", " B) ", "right", "Right"):
        assert answer_letter(TableRow({"answer": cell}, "t", 1), "answer", ("left", "right")) == "B"
    for cell in ("C", "up", "A, B"):
        with pytest.raises(CooperError, match=r"field 'answer': .* is none of the 2 options"):
            answer_letter(TableRow({"answer": cell}, "t", 1), "answer", ("left", "right"))


def test_truths_are_texts_unless_two_are_alike():
    assert truth_text("A", ("B", "A")) == "B"
    assert truth_text("B", ("same", "Same")) == "B"


def test_stand_ins_reach_the_right_letter():
    assert stand_ins("B") == ("option A", "option B", "option C", "option D")
    assert stand_ins("F")[-1] == "option F" and are_stand_ins(stand_ins("F"))
    assert not are_stand_ins(()) and not are_stand_ins(("left", "right"))


def test_questions_are_worded_line_by_line():
    assert worded("Where?", ("left", "right"), "Answer.", "It is dark.") == "It is dark.\nWhere?\nA. left\nB. right\nAnswer."
    assert worded("Where?") == "Where?"
