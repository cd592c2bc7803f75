from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cooper.trace.grammar import Answer, Perceive, Piece, Think, TurnStream, is_well_formed, parse_turn, unbox

TAGS = ("depth-estimation", "segmentation")
DEPTH = "<depth-estimation>Draw.</depth-estimation>"
SEGMENT = "<segmentation>Draw.</segmentation>"

fragments = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        DEPTH,
        "<segmentation>",
        "</segmentation>",
        "<",
        "</",
        "a",
        " \n",
        "<thi",
    ]
)
turns = st.lists(fragments, max_size=12).map("".join)


def test_an_answer_wins_over_a_request():
    assert parse_turn(f"{DEPTH}<answer>B\n</answer>", TAGS) == Answer("B\n")
    assert parse_turn("<answer>A</answer> no: <answer>B</answer>", TAGS) == Answer("B")


def test_registry_order_decides_between_requests():
    turn = f"<think>x</think>\n{SEGMENT} {DEPTH}"
    assert parse_turn(turn, TAGS) == Perceive("depth-estimation", DEPTH, f"<think>x</think>\n{SEGMENT} ")
    assert parse_turn(turn, TAGS[::-1]) == Perceive("segmentation", SEGMENT, f"<think>x</think>\n {DEPTH}")


def test_the_first_request_and_its_exact_copies_leave_the_rest():
    """As published: the text of the first request is deleted wherever it stands, another request of the same tag stays."""
    other = "<depth-estimation>other\n</depth-estimation>"
    turn = f" a{DEPTH}b{other}c{DEPTH} "
    assert parse_turn(turn, TAGS) == Perceive("depth-estimation", DEPTH, f" ab{other}c ")


@pytest.mark.parametrize(
    "turn", ["", "<think>x", "<answer>B", "<segmentation>Draw.", "</answer>x<answer>", "<normals>x</normals>"]
)
def test_tags_without_partner_are_a_thought(turn):
    assert parse_turn(turn, TAGS) == Think(turn)


@pytest.mark.parametrize(
    ("answer", "final"),
    [
        (" B ", "B"),
        (r"\boxed{B}", "B"),
        (r"It is \boxed{\frac{1}{2}} m", r"\frac{1}{2}"),
        (r"\boxed{A} or \boxed{C}", "C"),
        (r"\boxed{cut", "cut"),
    ],
)
def test_a_box_is_unwrapped(answer, final):
    assert unbox(answer) == final


@pytest.mark.parametrize(
    ("turn", "final", "good"),
    [
        (f"<think>a\nb</think>\n{DEPTH}", False, True),
        (f"<think>a</think>{SEGMENT}\n", False, True),
        ("<think>a</think> <answer>B</answer>", True, True),
        ("<think>a</think> <answer>B</answer>", False, False),
        (f"<think>a</think>{DEPTH}", True, False),
        (f"<think>a</think>{DEPTH}{SEGMENT}", False, False),
        ("<think>a</think>so <answer>B</answer>", True, False),
        ("<think>a</think><think>b</think><answer>B</answer>", True, False),
        ("<think>a<answer>A</answer></think><answer>B</answer>", True, False),
        ("<answer>B</answer>", True, False),
        ("<think>a</think>", False, False),
        ("", True, False),
    ],
)
def test_well_formed(turn, final, good):
    assert is_well_formed(turn, TAGS, final) is good


def test_a_stream_holds_back_half_a_tag():
    stream = TurnStream(TAGS)
    assert stream.feed("<thi") == []
    assert stream.feed("nk>1 <") == [Piece("open", "think", "<think>"), Piece("text", "think", "1 ")]
    assert stream.feed(" 2</think") == [Piece("text", "think", "< 2")]
    assert stream.finish() == [Piece("text", "think", "</think")]


@settings(deadline=None)
@given(turns, st.lists(st.integers(0, 60), max_size=6))
def test_pieces_join_to_the_turn_however_it_is_cut(turn, cuts):
    stream = TurnStream(TAGS)
    bounds = [0, *sorted(min(cut, len(turn)) for cut in cuts), len(turn)]
    pieces = [piece for a, b in pairwise(bounds) for piece in stream.feed(turn[a:b])] + stream.finish()
    assert "".join(piece.text for piece in pieces) == turn

    whole = TurnStream(TAGS)
    marks = [piece for piece in whole.feed(turn) + whole.finish() if piece.kind != "text"]
    assert [piece for piece in pieces if piece.kind != "text"] == marks


@settings(deadline=None)
@given(turns)
def test_every_turn_parses_and_loses_nothing(turn):
    match parse_turn(turn, TAGS):
        case Perceive(tag, element, rest):
            assert element in turn and f"<{tag}>" in element and len(rest) <= len(turn) - len(element)
            assert not isinstance(parse_turn(rest, TAGS), Answer) or "<answer>" in turn
        case Answer(text):
            assert f"<answer>{text}</answer>" in turn
        case Think(text):
            assert text == turn
