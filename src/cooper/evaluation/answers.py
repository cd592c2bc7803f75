"""Rule-based reading and scoring of replies. Nothing a model wrote is ever executed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cooper.errors import CooperError
from cooper.evaluation.quantities import quantities
from cooper.trace.grammar import answer_in, unbox

QuestionType = Literal["MCQ", "YN", "Number", "Number_Int"]
QUESTION_TYPES: tuple[QuestionType, ...] = ("MCQ", "YN", "Number", "Number_Int")
TOLERANCE = 0.25  # relative error up to which a number counts as right
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_ANNOUNCED = re.compile(
    r"(?:\b(?:final\s+)?answer(?:\s+(?:is|would be|should be|must be)|\s*[:=])+|\btherefore\b[,:]?|\bhence\b[,:]?)\s*",
    re.IGNORECASE,
)
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_DECORATION = re.compile(r"[*`$_]|\\(?:text|mathrm|textbf|left|right)\b")
_IGNORANCE = re.compile(r"\bno (?:idea|clue|answer|information|way to (?:tell|know|say)|telling)\b", re.IGNORECASE)
_YES = frozenset({"yes", "true", "yeah", "yep"})
_NO = frozenset({"no", "false", "nope"})


@dataclass(frozen=True)
class Scored:
    """One scored reply. `extracted` is what was read from it, as text ("" when nothing could be read).

    `correct`: right or wrong; for a Number within the tolerance. `value` in 0..1: mean relative accuracy for a
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
    reply: str, question_type: QuestionType, truth: str, choices: Sequence[str] = (), tolerance: float = TOLERANCE
) -> Scored:
    """Read the answer out of a reply and compare it.

    `truth`: a letter or an option's text (MCQ, with `choices` in order), yes or no (YN), or a number, in metres if it
    is a length. CooperError: an unknown question type or a truth that does not fit it.
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
        case "Number" | "Number_Int":
            return _score_number(
                read_number(reply, lengths=question_type == "Number"), _number_of_truth(truth), question_type, tolerance
            )
    raise CooperError(f"unknown question type {question_type!r}; known: {', '.join(QUESTION_TYPES)}")


def _score_number(read: float | None, truth: float, question_type: QuestionType, tolerance: float) -> Scored:
    if read is None:
        return Scored(False, 0.0, "")
    if question_type == "Number_Int":
        return Scored(read == truth, float(read == truth), f"{read:g}")
    return Scored(is_close(read, truth, tolerance), mean_relative_accuracy(read, truth), f"{read:g}")


def is_close(predicted: float, truth: float, tolerance: float = TOLERANCE) -> bool:
    """Relative error |p - t| / |t| of at most `tolerance`; a truth of zero asks for zero."""
    return abs(predicted - truth) <= tolerance * abs(truth) + 1e-12


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
        words = re.findall(r"[a-z]+", _IGNORANCE.sub("", text).lower())
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
    same = [letter for letter, choice in zip(letters, choices, strict=True) if _plain(choice) == _plain(text)]
    return same[0] if len(same) == 1 else ""


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
    """One capital that is no article: an A before a lower-case word does not count, nor does I."""
    found = {match[1] for match in re.finditer(rf"(?<![\w'’])([{letters}])(?![\w'’])(?!\s+[a-z])", text)} - {"I"}
    return found.pop() if len(found) == 1 else ""


def _choice_of_truth(truth: str, choices: Sequence[str]) -> str:
    if not choices:
        raise CooperError("an MCQ question needs its choices")
    letters = LETTERS[: len(choices)]
    plain = [_plain(choice) for choice in choices]
    if plain.count(_plain(truth)) == 1:
        return letters[plain.index(_plain(truth))]
    if len(truth.strip()) == 1 and truth.strip().upper() in letters:
        return truth.strip().upper()
    raise CooperError(f"the truth {truth!r} is neither a letter nor one of the {len(choices)} choices")


def _number_of_truth(truth: str) -> float:
    try:
        return float(truth)
    except ValueError as error:
        raise CooperError(f"the truth {truth!r} is not a number") from error
