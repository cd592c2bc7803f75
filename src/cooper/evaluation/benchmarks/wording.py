"""How a question is put: its text, its options, and what kind of answer is wanted. The wording is ours."""

from collections.abc import Sequence
from string import ascii_uppercase

LETTER = "Answer with the letter of the right option only."
YES_NO = "Answer with yes or no only."
NUMBER = "Answer with a single number only."
DISTANCE = "Answer with one number and its unit of length."
WANTED = {"MCQ": LETTER, "YN": YES_NO, "Number": NUMBER, "Number_Int": NUMBER}
"""The instruction for each type of question."""


def worded(question: str, options: Sequence[str] = (), instruction: str = "", hint: str = "") -> str:
    """One text of lines: hint, question, `A. ...` for each option, instruction; what is empty is left out."""
    listed = [f"{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False)]
    return "\n".join(line for line in (hint, question, *listed, instruction) if line)
