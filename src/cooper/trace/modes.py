"""The ways in which a model answers, and which maps it reads where it asks for some: its own, or others as controls."""

from typing import Literal, get_args

from cooper.errors import CooperError

AnswerMode = Literal["interleaved", "perception", "text", "direct"]  # how a question can be answered
Mode = Literal[AnswerMode, "map"]  # what a trace may be: answers, or one map without a question
MODES: tuple[AnswerMode, ...] = get_args(AnswerMode)
READING_MODES: tuple[AnswerMode, ...] = ("interleaved", "perception")  # those in which maps are read
GivenMaps = Literal["own", "none", "true", "blank", "noise", "swap", "repeat"]
GIVEN_MAPS: tuple[GivenMaps, ...] = get_args(GivenMaps)


def answer_mode(name: str) -> AnswerMode:
    """The mode of a name. CooperError: there is none, or it does not answer."""
    for mode in MODES:
        if name == mode:
            return mode
    raise CooperError(f"unknown mode {name!r}; known: {', '.join(MODES)}")


def given_maps(name: str) -> GivenMaps:
    """The control of a name. CooperError: there is none."""
    for known in GIVEN_MAPS:
        if name == known:
            return known
    raise CooperError(f"unknown given maps {name!r}; known: {', '.join(GIVEN_MAPS)}")
