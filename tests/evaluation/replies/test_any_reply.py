"""What holds for every reply: no reader fails, however long, and decoration changes nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cooper.errors import CooperError
from cooper.evaluation.replies.answers import read_choice, read_number, read_yes_no, score
from cooper.evaluation.replies.choices.choices import choice_reading
from cooper.evaluation.replies.numbers.numbers import number_reading
from cooper.evaluation.replies.reading import Trail
from cooper.evaluation.replies.text import HEAD, TAIL, answer_part
from cooper.evaluation.replies.verdicts import read_extracted_choice, read_grade, read_verdict
from cooper.evaluation.replies.yes_no import yes_no_reading

CHOICES = ("red cube", "the blue ball", "in front of", "2.5 m", "Not visible", "yes", "椅子", "<")
PLAIN = ("red cube", "the blue ball", "in front of", "2.5 m", "Not visible", "kitchen", "north-west", "a man with a hat")
PIECES = (
    *(
        "A",
        "(b)",
        "option C",
        "red cube",
        "not ",
        " is wrong",
        "the answer is ",
        ". ",
        "\n",
        "?",
        "yes",
        "no",
        "12",
        "1/0",
        "½",
        "m",
    ),
    *(
        " ft",
        "'",
        '"',
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "\\boxed{",
        "}",
        "{",
        '{"answer": ',
        "\\scalar{",
        "[",
        "(",
    ),
    *(
        "\\distance_unit{",
        "不",
        "是",
        "一",
        "１",
        "\ud800",
        "\x00",
        "\x1b[0m",
        "\ue000",
        "\uf8ff",
        "10^999",
        "x 10^400",
        "1e400",
    ),
    *("one hundred and ", "half a ", "±", "-", "–", "…", "$", "*"),
)
JUNK = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(PIECES), max_size=14).map("".join),
    st.binary(max_size=40).map(lambda junk: junk.decode("latin-1")),
)
FRAMES = ("{}", "Answer: {}", "The answer is {}", "<think>one</think>{}")
DECORATIONS = ("{}", " {}\n", "**{}**", "{}.", "\n\n{}  ")


@settings(max_examples=400, deadline=None)
@given(JUNK)
def test_no_reply_breaks_a_reader(reply):
    assert choice_reading(reply, CHOICES).value in ("", *"ABCDEFGH")
    assert yes_no_reading(reply).value in ("yes", "no", "")
    for lengths in (True, False):
        value = number_reading(reply, lengths).value
        assert value is None or abs(value) < float("inf")
    for judge in (read_verdict, read_grade, lambda said: read_extracted_choice(said, CHOICES)):
        judge(reply)


@settings(max_examples=100, deadline=None)
@given(JUNK, st.sampled_from((1, 2, 3, 26, 27, 60)))
def test_any_number_of_options(reply, count):
    choices = [f"thing {place}" for place in range(count)]
    choice_reading(reply, choices)
    assert read_choice(choices[-1], choices) == read_choice(f"The answer is {choices[-1]}.", choices) != ""


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), min_size=2, max_size=6))
def test_any_options(choices):
    assert choice_reading("The answer is B.", choices).value in ("", *"ABCDEF")


@given(st.sampled_from(PLAIN))
def test_an_option_alone_is_that_option(option):
    letter = "ABCDEFGH"[PLAIN.index(option)]
    for reply in (option, f"Answer: {option}", f"Answer: {letter}", f"The answer is {letter}.", f"<answer>{option}</answer>"):
        assert read_choice(reply, PLAIN) == letter, reply


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FRAMES), st.sampled_from(DECORATIONS), st.data())
def test_decoration_changes_nothing(frame, decoration, data):
    number = data.draw(st.integers(0, 999_999).map(lambda value: value / 100))
    letter = data.draw(st.sampled_from("ABCDEFGH"))
    side = data.draw(st.sampled_from(("yes", "no")))
    assert read_choice(frame.format(decoration.format(letter)), PLAIN) == letter
    assert read_yes_no(frame.format(decoration.format(side))) == side
    assert read_number(frame.format(decoration.format(f"{number:.2f}")), lengths=False) == pytest.approx(number)
    assert read_number(frame.format(decoration.format(f"{number:.2f} cm"))) == pytest.approx(number / 100)


@pytest.mark.parametrize(
    "piece",
    ["1/", "A, ", "not A ", "\\boxed{", '{"a":', "<think>", "one hundred and ", "the answer is ", "½", "5'", "\n", "no "],
)
def test_a_reply_of_a_million_characters(piece):
    """Of a part that long its beginning and its end are read, so no rule about sentences meets more than that."""
    reply = piece * (1_000_000 // len(piece))
    assert len(answer_part(reply, Trail()).text) <= 5 * (HEAD + TAIL)  # "½" becomes " 1/2"
    for reader in (lambda said: read_choice(said, CHOICES), read_yes_no, read_number, read_grade):
        reader(reply)


def test_the_end_of_a_very_long_reply_counts():
    long = "The chair stands near the wall. " * 30_000
    assert read_choice(f"{long}Final answer: (C)", PLAIN) == "C"
    assert read_number(f"{long}The answer is 2 m.") == 2.0
    assert read_yes_no(f"<think>{long}No?</think>\nYes.") == "yes"


def test_more_options_than_letters():
    choices = [f"thing {place}" for place in range(1, 31)]
    assert [read_choice(reply, choices) for reply in ("Z", "AA", "(AB)", "The answer is AD.", "thing 30", "AE")] == [
        "Z",
        "AA",
        "AB",
        "AD",
        "AD",
        "",
    ]
    assert score("thing 28", "MCQ", "AB", choices).correct and score("AB", "MCQ", "thing 28", choices).correct
    with pytest.raises(CooperError, match="up to 700 choices, got 701"):
        read_choice("A", ["x"] * 701)


def test_a_reading_says_why():
    reading = choice_reading("<think>A?</think>At first A, but the answer is (B).", ("left", "right"))
    assert reading.value == "B"
    assert [reason.stage for reason in reading.reasons] == ["part", "announced"]
    assert "answer is (B)" in reading.reasons[-1].said
    assert number_reading("<think>The door is").reasons[0].said == "the thought was cut off before an answer"
