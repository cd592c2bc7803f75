"""A question made of what a person gives: pictures, words, and the picture that maps are drawn of."""

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
