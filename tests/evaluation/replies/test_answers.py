"""Reading and scoring replies: a table of hard ones, written by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cooper.data.item import QUESTION_TYPES
from cooper.errors import CooperError
from cooper.evaluation.replies.answers import is_close, mean_relative_accuracy, read_choice, read_number, read_yes_no, score

CHOICES = ("red cube", "blue ball", "green cone", "ball")

CHOICE_REPLIES = [
    ("B", "B"),
    ("b", "B"),
    ("(B)", "B"),
    ("B.", "B"),
    ("B. blue ball", "B"),
    ("B) the ball", "B"),
    ("<answer>C</answer>", "C"),
    ("<answer>A</answer> wait <answer> (C) </answer>", "C"),
    ("<think>A or B? A looks near.</think><answer>B</answer>", "B"),
    ("<think>A or B?</think> The answer is (C).", "C"),
    (r"So the answer is \boxed{D}", "D"),
    (r"$\boxed{\text{A}}$", "A"),
    ("**Answer: C**", "C"),
    ("Answer: option A", "A"),
    ("The blue ball.", "B"),
    ("It must be the blue ball, since it stands before all else.", "B"),
    ("The ball", "D"),
    ("I considered option A but the answer is option B", "B"),
    ("A is behind, so the correct one is (C)", "C"),
    ("A cube is near the wall; I choose C", "C"),
    ("Both the red cube and the green cone", ""),
    ("I cannot tell", ""),
    ("", ""),
    ("<answer></answer>", ""),
    ("<answer>B", "B"),
    ("E", ""),
]

YES_NO_REPLIES = [
    ("Yes", "yes"),
    ("no.", "no"),
    ("Yes, there is no doubt.", "yes"),
    ("No, yes would be wrong", "no"),
    ("<think>yes? no?</think>\n<answer>No</answer>", "no"),
    ("There is a cube, so the answer is yes.", "yes"),
    ("It is true", "yes"),
    ("Nothing known", ""),
    ("maybe", ""),
    ("no idea", ""),
    ("There is no way to tell.", ""),
    ("It could be yes or it could be no but no", "no"),
    (r"\boxed{Yes}", "yes"),
]

NUMBER_REPLIES = [
    ("2.5", 2.5),
    ("2.5 m", 2.5),
    ("about 250 cm", 2.5),
    ("2500mm", 2.5),
    ("2 ft", 0.6096),
    ("5'11\"", 1.8034),
    ("5 ft 11 in", 1.8034),
    ("6 feet and 2 inches", 1.8796),
    ("10 inches", 0.254),
    ("1,234 mm", 1.234),
    ("1,5 m", 1.5),
    ("-3", -3.0),
    ("−3.5", -3.5),
    ("3-1 = 2", 2.0),
    ("5 - 2 = 3", 3.0),
    ("1/2", 0.5),
    ("1 1/2 m", 1.5),
    (r"\boxed{\frac{3}{4}}", 0.75),
    (r"\boxed{1.2 \text{ m}}", 1.2),
    ("2-3 m", 2.5),
    ("2 to 3 metres", 2.5),
    ("50-70 cm", 0.6),
    ("The table is 2 m away and the chair 1.5 m.", 1.5),
    ("The answer is 3, because 5 minus 2", 3.0),
    ("the final answer is 2 + 2 = 4 objects", 4.0),
    ("<think>7 of 9</think><answer>4</answer>", 4.0),
    ("There are three cubes", 3.0),
    ("none", 0.0),
    ("1e3", 1000.0),
    ("1e999", None),
    ("no idea", None),
    ("object2", None),
    (".5 m", 0.5),
    ("**0.8 meters**", 0.8),
    ("It is 1.5 m.", 1.5),
    ("1.2m away", 1.2),
    ("in total 4", 4.0),
    ("4 in total", 4.0),
    ("one in the room", 1.0),
    ("two metres", 2.0),
    (r"$1.5\,\mathrm{cm}$", 0.015),
    ("11 in tall", 0.2794),
    ('The answer is "4"', 4.0),
    ('12"', 0.3048),
    ("__import__('os').getcwd()", None),
]


@pytest.mark.parametrize(("reply", "letter"), CHOICE_REPLIES)
def test_choices(reply, letter):
    assert read_choice(reply, CHOICES) == letter


@pytest.mark.parametrize(("reply", "word"), YES_NO_REPLIES)
def test_yes_no(reply, word):
    assert read_yes_no(reply) == word


@pytest.mark.parametrize(("reply", "number"), NUMBER_REPLIES)
def test_numbers(reply, number):
    assert read_number(reply) == (None if number is None else pytest.approx(number))


def test_number_options_are_told_apart():
    assert read_choice("1.5 m", ("1 m", "1.5 m", "2 m")) == "B"
    assert read_choice("It is 1.5 m away", ("1 m", "5 m", "1.5 m")) == "C"
    assert read_choice("-2", ("2", "-2")) == "B"


def test_scores_by_type():
    assert score("(b)", "MCQ", "blue ball", CHOICES).correct
    assert score("blue ball", "MCQ", "B", CHOICES).correct
    assert not score("red cube", "MCQ", "B", CHOICES).correct
    assert score("Yes.", "YN", "yes").value == 1.0
    assert score("three", "Number_Int", "3").correct
    assert not score("3.2", "Number_Int", "3").correct
    assert score("3 m", "Number_Int", "3").correct and score("3 cm", "Number_Int", "3").correct
    near = score("90 cm", "Number", "1.0")
    assert near.correct and near.value == pytest.approx(0.8) and near.extracted == "0.9"
    far = score("2 m", "Number", "1.0")
    assert not far.correct and far.value == 0.0 and far.extracted
    assert score("who knows", "Number", "1.0").extracted == ""


def test_mean_relative_accuracy_by_definition():
    assert mean_relative_accuracy(1.0, 1.0) == 1.0
    assert mean_relative_accuracy(0.9, 1.0) == 0.8
    assert mean_relative_accuracy(1000, -2) == 0.0
    assert mean_relative_accuracy(-2.2, -2) == mean_relative_accuracy(2.2, 2) == 0.8
    assert mean_relative_accuracy(0, 0) == 1.0
    assert mean_relative_accuracy(0.1, 0) == 0.0


def test_tolerance_is_relative_to_the_size_of_the_truth():
    assert is_close(1.25, 1.0) and not is_close(1.26, 1.0)
    assert is_close(-1.2, -1.0) and not is_close(1.0, -1.0)
    assert is_close(0, 0) and not is_close(0.1, 0)
    assert score("1.4", "Number", "1", tolerance=0.5).correct


def test_bad_questions_are_named():
    with pytest.raises(CooperError, match="unknown question type 'essay'"):
        score("x", "essay", "y")  # type: ignore[arg-type]
    with pytest.raises(CooperError, match="neither a letter nor one of the 4"):
        score("A", "MCQ", "purple ring", CHOICES)
    with pytest.raises(CooperError, match="yes or no"):
        score("yes", "YN", "perhaps")
    with pytest.raises(CooperError, match="not a number"):
        score("1", "Number", "two metres")
    with pytest.raises(CooperError, match="needs its choices"):
        score("A", "MCQ", "A")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789.,/-+eE ftinm'\"<>answer/ABCyesno\\{}boxed()", max_size=80))
def test_no_reply_breaks_the_reader(reply):
    truths = {"MCQ": "A", "YN": "yes", "Number": "1", "Number_Int": "1", "Unanswerable": "red cube"}
    for question_type in QUESTION_TYPES:
        assert 0 <= score(reply, question_type, truths[question_type], CHOICES).value <= 1


@pytest.mark.parametrize("piece", ["9", "-", "1/", "(A) ", "<answer>", " ", "yes no ", "1,", "\\boxed{"])
def test_long_replies_are_read_quickly(piece):
    for question_type, truth in (("MCQ", "A"), ("YN", "yes"), ("Number", "1")):
        score(piece * (8_000 // len(piece)), question_type, truth, CHOICES)


@pytest.mark.parametrize(
    ("reply", "metres"),
    [
        ("<answer>x 5 y 3</answer>", None),
        ("x=5, y=3", None),
        ("red cube x 5 y 3 2.4 m.", 2.4),
        ("<think>red cube x 5 y 3 2.4 m.</think><answer>2.40 m</answer>", 2.4),
        ("x 5 y 3 m", 3.0),
    ],
)
def test_a_place_in_the_picture_is_no_length(reply: str, metres: float | None):
    assert read_number(reply) == metres
