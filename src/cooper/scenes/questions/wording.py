"""In which words a question is asked, and how its choices are shown.

Scenes of format 2 are asked about in the few ways that stand beside each question. Those of format 3 are asked about in many
(`assets/wordings.yaml`), some of which are held out of training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal, get_args

import numpy as np
import yaml

from cooper.errors import CooperError
from cooper.scenes.questions.choosing import choose

Wording = Literal["first", "trained", "held_out"]
ChoiceStyle = Literal["letters", "brackets", "both", "words", "or", "slashes"]
TRAINED_STYLES: tuple[ChoiceStyle, ...] = ("letters", "brackets", "both", "words", "or")
LETTERS = "ABCD"


@dataclass(frozen=True, eq=False)
class Phrasing:
    """What makes a question of a scene: random numbers, and the wording. `first`: the ways that stand beside the question;
    `trained`: those and the further ones that training uses; `held_out`: ways that no training uses."""

    rng: np.random.Generator
    wording: Wording = "first"

    def __post_init__(self) -> None:
        if self.wording not in get_args(Wording):
            raise CooperError(f"wording: {self.wording!r} is not one of {', '.join(get_args(Wording))}")

    def worded(self, question: str, phrases: Sequence[str], /, **words: str) -> str:
        """One of the ways to ask `question`, with its blanks filled; `phrases` are the first ones."""
        if self.wording != "first":
            more = further_wordings()[question]
            phrases = [*phrases, *more["trained"]] if self.wording == "trained" else more["held_out"]
        return choose(self.rng, phrases).format(**words)

    def choice_style(self) -> ChoiceStyle:
        """How the choices of a question are shown."""
        if self.wording == "first":
            return "letters"
        return "slashes" if self.wording == "held_out" else choose(self.rng, TRAINED_STYLES)


@lru_cache(maxsize=1)
def further_wordings() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """`trained` and `held_out` ways to ask each question, by its name."""
    return yaml.safe_load(files("cooper").joinpath("assets/wordings.yaml").read_text(encoding="utf-8"))


def shown_choices(choices: Sequence[str], style: ChoiceStyle) -> str:
    """Choices as they stand behind a question.

    >>> [shown_choices(["left", "right"], style) for style in ("letters", "brackets", "words")]
    ['A. left B. right', '(A) left (B) right', 'Choose from: left, right.']
    >>> [shown_choices(["left", "right"], style) for style in ("both", "or", "slashes")]
    ['A) left, B) right', 'Is it left or right?', 'Options: left / right']
    """
    named = list(zip(LETTERS[: len(choices)], choices, strict=True))
    if style == "letters":
        return " ".join(f"{letter}. {choice}" for letter, choice in named)
    if style == "brackets":
        return " ".join(f"({letter}) {choice}" for letter, choice in named)
    if style == "both":
        return ", ".join(f"{letter}) {choice}" for letter, choice in named)
    if style == "words":
        return f"Choose from: {', '.join(choices)}."
    if style == "or":
        return f"Is it {', '.join(choices[:-1])} or {choices[-1]}?"
    return f"Options: {' / '.join(choices)}"
