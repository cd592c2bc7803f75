"""What a judge said, in the form asked for or with an explanation around it. Anything else is None, and so are verdicts that
differ."""

import math
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from cooper.evaluation.replies.choices.options import LETTERS
from cooper.evaluation.replies.fields import named_field
from cooper.evaluation.replies.text import bare, shortened, tidy

NO_CHOICE = "Z"  # what the judge writes when a reply chooses none of the options
OPTIONS = LETTERS.removesuffix(NO_CHOICE)
Value = TypeVar("Value")

_ALOUD = re.compile(r"</think>", re.IGNORECASE)
_DECORATION = " \t\r\n*_`\"'"
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_TITLES = (
    r"(?:final |overall |my |the |extracted |your )*(?:score|grade|rating|mark|judge?ment|verdict|answer|result|"
    r"conclusion|option|choice|letter|number|value|reply is)"
)
_TITLED = re.compile(
    rf"\b{_TITLES}\b[\"'\s]*(?:(?:chosen|found|given)\s+)?(?:is|are|was|of|would be|[:=]|->|→|"
    r"\bit\b)[\s:\"'(\[]*(?P<said>[^\s,;\"')\]]+)"
    r"(?P<more>\s{0,3}(?:/|out of|%|[-–]\s?\d|or\b|and\b)\s{0,3}\S{0,6})?",
    re.IGNORECASE,
)
_ONE_OF_ONE = re.compile(r"\s*(?:/|out of)\s*1(?:\.0*)?\W*$")
_OPENING_WORD = re.compile(r"(yes|no|none)\s*(?:[,;:.!–-]|\n)\s*(?=\S)", re.IGNORECASE)
_FIELDS = ("verdict", "judgement", "judgment", "score", "grade", "rating", "final_score", "final_answer")
_FIELDS += ("answer", "result", "correct", "is_correct", "right", "is_right", "option", "choice", "letter")
_FIELDS += ("number", "value", "extracted_answer", "conclusion")
_SAYS_YES = frozenset(["yes", "right", "correct", "true", "1", "1.0"])
_SAYS_NO = frozenset(["no", "wrong", "incorrect", "false", "0", "0.0"])


def read_verdict(reply: str | None) -> bool | None:
    """True for yes, False for no."""
    word = _agreed(reply, {"yes": True, "no": False}.get, _side)
    return word if isinstance(word, bool) else None


def read_grade(reply: str | None) -> float | None:
    """A number from 0 to 1."""
    return _agreed(reply, _grade, _grade)


def read_extracted_choice(reply: str | None, choices: Sequence[str]) -> str | None:
    """The letter of one of the choices, or "" when the judge found none chosen."""

    def letter(said: str) -> str | None:
        name = said.strip("()[]").upper()
        if name == NO_CHOICE:
            return ""
        return name if len(name) == 1 and name in OPTIONS[: len(choices)] else None

    return _agreed(reply, letter, letter)


def read_extracted_number(reply: str | None) -> float | None:
    """A finite number without a unit; None too when the judge found none."""
    return _agreed(reply, _finite, _finite)


def read_extracted_yes_no(reply: str | None) -> str | None:
    """ "yes" or "no", or "" when the judge found neither."""
    words = {"yes": "yes", "no": "no", "none": ""}
    return _agreed(reply, words.get, words.get)


def _side(said: str) -> bool | None:
    return True if said in _SAYS_YES else False if said in _SAYS_NO else None


def _finite(said: str) -> float | None:
    value = float(said) if _NUMBER.fullmatch(said) else math.nan
    return value if math.isfinite(value) else None


def _grade(said: str) -> float | None:
    value = _finite(said)
    return value if value is not None and 0.0 <= value <= 1.0 else None


def _agreed(reply: str | None, exact: Callable[[str], Value | None], titled: Callable[[str], Value | None]) -> Value | None:
    """What the whole reply is, in the form asked for; else what its field, its titled words ("Score: 0.5"), and a line that
    opens or ends it say, if all of them agree."""
    aloud = _aloud(reply)
    whole = exact(_trimmed(aloud).lower())
    if whole is not None or not aloud.strip():
        return whole
    field = named_field(aloud, _FIELDS)
    if field is not None:
        return titled(_trimmed(field).lower())
    text = bare(aloud)
    said = _titled_values(text, titled)
    lines = [line for line in text.splitlines() if line.strip()]
    edges = [exact(_trimmed(line).lower()) for line in (lines[0], lines[-1])] if len(lines) > 1 else []
    opening = _OPENING_WORD.match(text)
    if opening:
        edges.append(exact(opening[1].lower()))
    found = [*said, *(edge for edge in edges if edge is not None)]
    return found[0] if found and all(value is not None and value == found[0] for value in found) else None


def _titled_values(text: str, titled: Callable[[str], Value | None]) -> list[Value | None]:
    """What follows "score:", "the verdict is" and the like; a scale other than one makes it no verdict. "The answer is left"
    speaks of the material, so there only a form that can be read counts."""
    values = []
    for found in _TITLED.finditer(text):
        said, more = found["said"].rstrip("."), found["more"] or ""
        said = _ONE_OF_ONE.sub("", said)
        word = said if not more or _ONE_OF_ONE.fullmatch(more) else f"{said}{more}"
        value = titled(_trimmed(word).lower())
        if value is not None or not re.match(r".*(?:answer|result|reply is|conclusion)", found[0], re.IGNORECASE):
            values.append(value)
    return values


def _aloud(reply: str | None) -> str:
    """The reply without the judge's thoughts; "" for no reply and for a thought that was cut off."""
    aloud = tidy(shortened(_ALOUD.split(reply or "")[-1]))
    return "" if "<think>" in aloud.lower() else aloud


def _trimmed(text: str) -> str:
    """Without marks around it."""
    return text.strip(_DECORATION).rstrip(".!").strip(_DECORATION)
