"""Rule-based reading and scoring of replies. Nothing a model wrote is ever executed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cooper.data.item import QUESTION_TYPES, TOLERANCE, NumberRule, QuestionType
from cooper.errors import CooperError
from cooper.evaluation.replies.choices.choices import choice_reading
from cooper.evaluation.replies.choices.options import labels, place_of
from cooper.evaluation.replies.missing import CANNOT_SEE, missing_reading
from cooper.evaluation.replies.numbers.numbers import number_reading
from cooper.evaluation.replies.yes_no import yes_no_reading


@dataclass(frozen=True)
class Score:
    """One scored reply. `extracted` is what was read from it, as text ("" when nothing could be read).

    `correct`: right or wrong; for a Number within the tolerance or ratio. `value` in 0..1: mean relative accuracy for a
    Number, else 1 or 0.
    """

    correct: bool
    value: float
    extracted: str


def score(
    reply: str,
    question_type: QuestionType,
    truth: str,
    choices: Sequence[str] = (),
    tolerance: float = TOLERANCE,
    rule: NumberRule = "tolerance",
) -> Score:
    """Read the answer out of a reply and compare it.

    `truth`: a letter or an option's text (MCQ, with `choices` in order), yes or no (YN), or a number, in metres if it is a
    length. Right for Unanswerable is a reply that says that the thing cannot be seen. `rule`, for a Number: within the relative
    `tolerance`; `relative` is the same, but passes units over, as the truth is in the unit the question names; `ratio` takes
    `tolerance` as the ratio either way that must not be reached.
    CooperError: an unknown question type, a Text, which takes a judge, or a truth that does not fit.
    """
    match question_type:
        case "MCQ":
            wanted = _choice_of_truth(truth, choices)
            read = read_choice(reply, choices)
            return Score(read == wanted, float(read == wanted), read)
        case "YN":
            if truth.strip().lower() not in ("yes", "no"):
                raise CooperError(f"a YN question needs the truth yes or no, got {truth!r}")
            read = read_yes_no(reply)
            right = read == truth.strip().lower()
            return Score(right, float(right), read)
        case "Number_Int":
            count, wanted = read_number(reply, lengths=False), _number_of_truth(truth)
            return Score(count == wanted, float(count == wanted), "" if count is None else f"{count:g}")
        case "Number":
            return _score_number(read_number(reply, lengths=rule != "relative"), _number_of_truth(truth), tolerance, rule)
        case "Unanswerable":
            read = missing_reading(reply).value
            return Score(read == CANNOT_SEE, float(read == CANNOT_SEE), read)
        case "Text":
            raise CooperError("a question with a free text for an answer must be graded by a judge")
    raise CooperError(f"unknown question type {question_type!r}; known: {', '.join(QUESTION_TYPES)}")


def _score_number(read: float | None, truth: float, tolerance: float, rule: NumberRule) -> Score:
    if read is None:
        return Score(False, 0.0, "")
    right = within_ratio(read, truth, tolerance) if rule == "ratio" else is_close(read, truth, tolerance)
    return Score(right, mean_relative_accuracy(read, truth), f"{read:g}")


def is_close(predicted: float, truth: float, tolerance: float = TOLERANCE) -> bool:
    """Relative error |p - t| / |t| of at most `tolerance`; a truth of zero asks for zero."""
    return abs(predicted - truth) <= tolerance * abs(truth) + 1e-12


def within_ratio(predicted: float, truth: float, ratio: float = 2.0) -> bool:
    """Whether the larger of the two sizes is less than `ratio` times the smaller (the published scorer of Q-Spatial: 2).

    0.51 and 1.99 are within 2 of 1, 0.5 and 2 are not; a difference by rounding alone does not make exactly twice less than
    twice. A zero goes with a zero alone, and signs must agree. CooperError: a ratio of 1 or below.
    """
    if not ratio > 1:
        raise CooperError(f"a ratio must be greater than 1, got {ratio:g}")
    if predicted == 0 or truth == 0:
        return predicted == truth
    small, large = sorted((abs(predicted), abs(truth)))
    return (predicted > 0) == (truth > 0) and math.isfinite(large) and large < ratio * small * (1 - 1e-12)


def mean_relative_accuracy(predicted: float, truth: float) -> float:
    """Mean over theta = 0.50, 0.55 .. 0.95 of [ |p - t| / |t| < 1 - theta ] (Yang et al., 2024, VSI-Bench).

    The size of the truth counts, not its sign; a truth of zero gives 1 for exactly zero, else 0. 0.9 for 1.0 is
    below 0.5, 0.45 .. 0.15 but not below 0.1 and 0.05: 0.8.
    """
    if truth == 0:
        return float(predicted == 0)
    error = round(abs(predicted - truth) / abs(truth), 12)
    return sum(error < allowed / 100 for allowed in range(5, 55, 5)) / 10


def read_number(reply: str, lengths: bool = True) -> float | None:
    """The number that a reply gives as its answer, None when it gives none.

    `lengths`: units are read, and lengths come back in metres; without it they are passed over.
    """
    return number_reading(reply, lengths).value


def read_yes_no(reply: str) -> str:
    """ "yes", "no", or "" when the reply says neither or both."""
    return yes_no_reading(reply).value


def read_choice(reply: str, choices: Sequence[str]) -> str:
    """The letter of the chosen option, or "" when none or several are named. AA follows Z."""
    return choice_reading(reply, choices).value


def _choice_of_truth(truth: str, choices: Sequence[str]) -> str:
    if not choices:
        raise CooperError("an MCQ question needs its choices")
    names = labels(len(choices))
    place = place_of(truth, choices)
    if place is not None:
        return names[place]
    if truth.strip().upper() in names:
        return truth.strip().upper()
    raise CooperError(f"the truth {truth!r} is neither a letter nor one of the {len(choices)} choices")


def _number_of_truth(truth: str) -> float:
    try:
        return float(truth)
    except ValueError as error:
        raise CooperError(f"the truth {truth!r} is not a number") from error
