"""The ways in which a model answers."""

from typing import Literal, get_args

from cooper.errors import CooperError

AnswerMode = Literal["interleaved", "perception", "text", "direct"]  # how a question can be answered
Mode = Literal[AnswerMode, "map"]  # what a trace may be: answers, or one map without a question
MODES: tuple[AnswerMode, ...] = get_args(AnswerMode)


def answer_mode(name: str) -> AnswerMode:
    """The mode of a name. CooperError: there is none, or it does not answer."""
    for mode in MODES:
        if name == mode:
            return mode
    raise CooperError(f"unknown mode {name!r}; known: {', '.join(MODES)}")
