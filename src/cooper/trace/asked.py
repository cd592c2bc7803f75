"""A question made of what a person gives: pictures, words, and the picture that maps are drawn of."""

import re
from collections.abc import Sequence
from typing import Any

from cooper.errors import CooperError
from cooper.files.arguments import whole, words
from cooper.files.pictures import Picture, pictures_of
from cooper.trace.steps import Question

LONGEST_QUESTION = 20_000  # characters


def question_of(image: Picture | Sequence[Picture], text: str, subject: int = -1) -> Question:
    """Pictures first, then the text. Raises CooperError for an empty or endless question, or a picture that is not there."""
    said = said_text(text)
    if not said.strip():
        raise CooperError("the question is empty")
    pictures = pictures_of(image)
    return Question((*pictures, said), subject_of(subject, len(pictures)))


def said_text(text: Any, name: str = "the question") -> str:
    """The words of a question. CooperError: no text, or more than is read."""
    said = words(text, name)
    if len(said) > LONGEST_QUESTION:
        raise CooperError(f"{name} has {len(said)} characters; at most {LONGEST_QUESTION} are read")
    return said


def subject_of(subject: Any, pictures: int) -> int:
    """Which of a question's pictures maps are drawn of. CooperError: there is no such picture."""
    number = whole(subject, "subject, the number of a picture,")
    if not -pictures <= number < pictures:
        raise CooperError(f"picture {number} is asked for, but there are {pictures}, counted from 0")
    return number


_MARKS = (  # how an option begins, the surest first
    re.compile(r"(?:(?<=[\s,;:.?])|^)\(([A-Za-z])\)\s*(?=\S)"),
    re.compile(r"(?:(?<=[\s,;:?(\[])|^)([A-Z])[.)]\s*(?=\S)"),
    re.compile(r"(?:(?<=[\s,;:?(\[])|^)([A-Z]):\s*(?=\S)"),
)


def options_in(text: str) -> tuple[str, ...]:
    """The options that a text lists as `(a) Open (b) Closed`, `A. left B. right` or `A: left, B: right`.

    `options_in("Is it open? (a) Open (b) Closed")` is `("Open", "Closed")`. The last list of at least two counts; its last
    option ends with the line. () when there is none, or an option without text.
    """
    found = [_listed(text, mark) for mark in _MARKS]
    return max(found, key=len)


def _listed(text: str, mark: re.Pattern[str]) -> tuple[str, ...]:
    best: list[re.Match[str]] = []
    run: list[re.Match[str]] = []
    for match in mark.finditer(text):
        if match[1].upper() == "A":
            run = [match]
        elif run and match[1] == chr(ord(run[0][1]) + len(run)):
            run.append(match)
        best = run if len(run) > 1 else best
    if not best:
        return ()
    ends = [*(match.start() for match in best[1:]), len(text)]
    pieces = [text[match.end() : end] for match, end in zip(best, ends, strict=True)]
    pieces[-1] = pieces[-1].split("\n")[0]
    options = tuple(" ".join(piece.split()).rstrip(" ,;([") for piece in pieces)
    return options if all(options) else ()
