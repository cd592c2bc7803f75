"""A question with its truth, as benchmarks, reinforcement and curation put it."""

from dataclasses import dataclass
from typing import Literal

from cooper.trace.steps import Question

QuestionType = Literal["MCQ", "YN", "Number", "Number_Int", "Unanswerable", "Text"]
NumberRule = Literal["tolerance", "relative", "ratio"]
QUESTION_TYPES: tuple[QuestionType, ...] = ("MCQ", "YN", "Number", "Number_Int", "Unanswerable")  # those that rules score
TOLERANCE = 0.25  # relative error up to which a number counts as right
GROUPS = ("spatial", "distance_size", "general")
Scoring = NumberRule | Literal["judge"]


@dataclass(frozen=True)
class Item:
    """One question. `group` is one of `GROUPS`; `truth`, `choices` and `tolerance` as `answers.score` has them.

    `scoring` is the rule for a Number; a Text is graded by a "judge"; an Unanswerable asks about something that is not there,
    and its truth is the name of that. Questions of one `bundle` are the two of a pair, or
    the rotations of one question.
    """

    id: str
    category: str
    group: str
    question: Question
    type: QuestionType
    truth: str
    choices: tuple[str, ...] = ()
    tolerance: float = TOLERANCE
    scoring: Scoring = "tolerance"
    bundle: str = ""
