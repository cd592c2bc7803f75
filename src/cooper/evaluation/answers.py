"""Rule-based reading and scoring of replies. Nothing a model wrote is ever executed."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cooper.errors import CooperError
from cooper.evaluation.quantities import quantities
from cooper.trace.grammar import answer_in, unbox

QuestionType = Literal["MCQ", "YN", "Number", "Number_Int", "Text"]
NumberRule = Literal["tolerance", "relative", "ratio"]
QUESTION_TYPES: tuple[QuestionType, ...] = ("MCQ", "YN", "Number", "Number_Int")  # those that rules score
TOLERANCE = 0.25  # relative error up to which a number counts as right
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_ANNOUNCED = re.compile(
    r"(?:\b(?:final\s+)?answer(?:\s+(?:is|would be|should be|must be)|\s*[:=])+|\btherefore\b[,:]?|\bhence\b[,:]?"
    r"|\bI(?:['’]d|['’]ll| would| will)?\s+(?:choose|pick|select|go with)(?=\s+(?:option\s+)?\W?(?-i:[A-Z])\b))\s*",
    re.IGNORECASE,
)
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_DECORATION = re.compile(r"[*`$]|(?<![^\W_])_+|_+(?![^\W_])|\\(?:text|mathrm|textbf|left|right)\b")
_NO_SIDE = re.compile(  # phrases in which yes and no are no answer
    r"\bno (?:idea|clue|answer|information|doubt|way to (?:tell|know|say)|telling)\b"
    r"|(?:\b(?:whether|if)\s+(?:it|that|this)(?:\s+is|['’]s)\s+)?\b(?:yes|true)\s*(?:or|nor|and|/)\s*(?:no|false)\b"
    r"|\b(?:whether|if)\s+(?:it|that|this)(?:\s+is|['’]s)\s+(?:true|false)\b",
    re.IGNORECASE,
)
_DENIED = re.compile(  # "not true" is a no
    r"(?:\b(?:not|never|cannot|hardly)|n['’]t)\s+(?:(?:be|really|quite|entirely|strictly|necessarily)\s+)*(true|false)\b",
    re.IGNORECASE,
)
_YES = frozenset({"yes", "true", "yeah", "yep"})
_NO = frozenset({"no", "false", "untrue", "nope"})


@dataclass(frozen=True)
class Scored:
    """One scored reply. `extracted` is what was read from it, as text ("" when nothing could be read).

    `correct`: right or wrong; for a Number within the tolerance or ratio. `value` in 0..1: mean relative accuracy for a
    Number, else 1 or 0.
    """

    correct: bool
    value: float
    extracted: str

    @property
    def readable(self) -> bool:
        """Whether an answer could be read at all."""
        return self.extracted != ""


def score(
    reply: str,
    question_type: QuestionType,
    truth: str,
    choices: Sequence[str] = (),
    tolerance: float = TOLERANCE,
    rule: NumberRule = "tolerance",
) -> Scored:
    """Read the answer out of a reply and compare it.

    `truth`: a letter or an option's text (MCQ, with `choices` in order), yes or no (YN), or a number, in metres if it
    is a length. `rule`, for a Number: within the relative `tolerance`; `relative` is the same, but passes units over, as
    the truth is in the unit the question names; `ratio` takes `tolerance` as the largest ratio either way.
    CooperError: an unknown question type, a Text, which takes a judge, or a truth that does not fit.
    """
    match question_type:
        case "MCQ":
            wanted = _choice_of_truth(truth, choices)
            read = read_choice(reply, choices)
            return Scored(read == wanted, float(read == wanted), read)
        case "YN":
            if truth.strip().lower() not in ("yes", "no"):
                raise CooperError(f"a YN question needs the truth yes or no, got {truth!r}")
            read = read_yes_no(reply)
            right = read == truth.strip().lower()
            return Scored(right, float(right), read)
        case "Number_Int":
            count, wanted = read_number(reply, lengths=False), _number_of_truth(truth)
            return Scored(count == wanted, float(count == wanted), "" if count is None else f"{count:g}")
        case "Number":
            return _score_number(read_number(reply, lengths=rule != "relative"), _number_of_truth(truth), tolerance, rule)
        case "Text":
            raise CooperError("a question with a free text for an answer must be graded by a judge")
    raise CooperError(f"unknown question type {question_type!r}; known: {', '.join(QUESTION_TYPES)}")


def _score_number(read: float | None, truth: float, tolerance: float, rule: NumberRule) -> Scored:
    if read is None:
        return Scored(False, 0.0, "")
    right = within_ratio(read, truth, tolerance) if rule == "ratio" else is_close(read, truth, tolerance)
    return Scored(right, mean_relative_accuracy(read, truth), f"{read:g}")


def is_close(predicted: float, truth: float, tolerance: float = TOLERANCE) -> bool:
    """Relative error |p - t| / |t| of at most `tolerance`; a truth of zero asks for zero."""
    return abs(predicted - truth) <= tolerance * abs(truth) + 1e-12


def within_ratio(predicted: float, truth: float, ratio: float = 2.0) -> bool:
    """Whether the larger of the two sizes is at most `ratio` times the smaller (Liao et al., 2024, Q-Spatial: 2).

    0.5 and 2 are within 2 of 1, 0.49 and 2.01 are not. A zero goes with a zero alone, and signs must agree: -1 is within
    2 of -2, not of 2. CooperError: a ratio below 1.
    """
    if not ratio >= 1:
        raise CooperError(f"a ratio must be at least 1, got {ratio:g}")
    if predicted == 0 or truth == 0:
        return predicted == truth
    small, large = sorted((abs(predicted), abs(truth)))
    return (predicted > 0) == (truth > 0) and math.isfinite(large) and large <= ratio * small * (1 + 1e-12)


def mean_relative_accuracy(predicted: float, truth: float) -> float:
    """Mean over theta = 0.50, 0.55 .. 0.95 of [ |p - t| / |t| < 1 - theta ] (Yang et al., 2024, VSI-Bench).

    The size of the truth counts, not its sign; a truth of zero gives 1 for exactly zero, else 0. 0.9 for 1.0 is
    below 0.5, 0.45 .. 0.15 but not below 0.1 and 0.05: 0.8.
    """
    if truth == 0:
        return float(predicted == 0)
    error = round(abs(predicted - truth) / abs(truth), 12)
    return sum(error < allowed / 100 for allowed in range(5, 55, 5)) / 10


def final_part(reply: str) -> str:
    """Where the answer stands: the last answer element (also one cut off), else what follows the thoughts."""
    marked = answer_in(reply)
    if marked is None and "<answer>" in reply:
        marked = reply.rsplit("<answer>", 1)[1]
    if marked is None:
        marked = _THOUGHT.sub(" ", reply)
        marked = marked.rsplit("</think>", 1)[-1]
        marked = marked if marked.strip() else reply
    return " ".join(_DECORATION.sub("", unbox(marked)).split())


def _candidates(reply: str) -> list[str]:
    """Texts to read, the most telling first: behind the last announcement ("the answer is"), then the whole part."""
    part = final_part(reply)
    announced = [part[match.end() :] for match in _ANNOUNCED.finditer(part)]
    return [text for text in (*reversed(announced[-1:]), part) if text.strip()]


def read_number(reply: str, lengths: bool = True) -> float | None:
    """The first number behind "the answer is", else behind the last "=", else the last number.

    `lengths`: units are read, and lengths come back in metres; without it they are passed over.
    """
    part = final_part(reply)
    announced = list(_ANNOUNCED.finditer(part))
    if announced:
        after = part[announced[-1].end() :]
        found = quantities(after.rsplit("=", 1)[-1], lengths) or quantities(after, lengths)
        if found:
            return found[0].value
    found = quantities(part, lengths)
    return found[-1].value if found else None


def read_yes_no(reply: str) -> str:
    """ "yes", "no", or "" when the reply says neither or both."""
    for text in _candidates(reply):
        plain = _DENIED.sub(lambda denied: " no" if denied[1].lower() == "true" else " yes", _NO_SIDE.sub("", text))
        words = re.findall(r"[a-z]+", plain.lower())
        sides = ["yes" if word in _YES else "no" for word in words if word in _YES | _NO]
        if words and words[0] in _YES | _NO:
            return sides[0]
        if len(set(sides)) == 1:
            return sides[0]
        if sides and words[-1] in _YES | _NO:
            return sides[-1]
    return ""


def read_choice(reply: str, choices: Sequence[str]) -> str:
    """The letter of the chosen option, or "" when none or several are named.

    Looked for in this order, behind "the answer is" first: a letter that stands alone or opens the text, one option's
    full text, a letter in brackets or behind "option", one option's text mentioned, a lone capital letter.
    """
    letters = LETTERS[: len(choices)]
    for text in _candidates(reply):
        for rule in (_opening_letter, _whole_option, _marked_letter, _named_option, _lone_letter):
            found = rule(text, letters, choices)
            if found:
                return found
    return ""


def _opening_letter(text: str, letters: str, choices: Sequence[str]) -> str:
    alone = re.fullmatch(rf"[\s(\[]*(?:option\s+)?([{letters}])[\s)\].:,!]*", text, re.IGNORECASE)
    opening = re.match(rf"[(\[]?([{letters}])(?:[)\].:,]|\s+[-–—]\s)", text)
    match = alone or opening
    return match[1].upper() if match else ""


def _plain(text: str) -> str:
    """Lower case words and numbers only, without a leading article."""
    words = re.findall(r"[a-z0-9]+(?:\.\d+)?|-(?=\d)", text.lower())
    return " ".join(words[1:] if words[:1] in (["the"], ["a"], ["an"]) else words)


def _whole_option(text: str, letters: str, choices: Sequence[str]) -> str:
    place = _place_of(text, choices)
    return "" if place is None else letters[place]


def _place_of(text: str, choices: Sequence[str]) -> int | None:
    """Which choice a text is: the one written the same, else the one of the same words and numbers."""
    written = [choice.strip().casefold() == text.strip().casefold() for choice in choices]
    plain = [_plain(choice) == _plain(text) != "" for choice in choices]
    return next((same.index(True) for same in (written, plain) if sum(same) == 1), None)


def _marked_letter(text: str, letters: str, choices: Sequence[str]) -> str:
    found = re.findall(rf"\(([{letters}])\)|\b(?:option|choice)\s+([{letters}])\b", text)
    named = {first or second for first, second in found}
    return named.pop() if len(named) == 1 else ""


def _named_option(text: str, letters: str, choices: Sequence[str]) -> str:
    """The one option that is mentioned; options inside a longer mentioned option do not count."""
    rest = f" {_plain(text)} "
    named = []
    for letter, choice in sorted(zip(letters, choices, strict=True), key=lambda pair: -len(_plain(pair[1]))):
        phrase = f" {_plain(choice)} "
        if phrase.strip() and phrase in rest:
            named.append(letter)
            rest = rest.replace(phrase, " | ")
    return named[0] if len(named) == 1 else ""


def _lone_letter(text: str, letters: str, choices: Sequence[str]) -> str:
    """One capital that is no article: an A before a lower-case word does not count, nor does I, nor one behind "not"."""
    alone = rf"(?<![\w'’])(?<!\bnot )([{letters}])(?![\w'’])(?!\s+(?!or\b)[a-z])"
    found = {match[1] for match in re.finditer(alone, text)} - {"I"}
    return found.pop() if len(found) == 1 else ""


def _choice_of_truth(truth: str, choices: Sequence[str]) -> str:
    if not choices:
        raise CooperError("an MCQ question needs its choices")
    letters = LETTERS[: len(choices)]
    place = _place_of(truth, choices)
    if place is not None:
        return letters[place]
    if len(truth.strip()) == 1 and truth.strip().upper() in letters:
        return truth.strip().upper()
    raise CooperError(f"the truth {truth!r} is neither a letter nor one of the {len(choices)} choices")


def _number_of_truth(truth: str) -> float:
    try:
        return float(truth)
    except ValueError as error:
        raise CooperError(f"the truth {truth!r} is not a number") from error
