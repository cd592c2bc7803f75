"""Numbers that are no answer: labels, denied ones, notes in brackets, and what an estimate rests on."""

import re
from collections.abc import Sequence

from cooper.evaluation.replies.numbers.quantities import Quantity
from cooper.evaluation.replies.statements import Statement

_LABELLED = re.compile(
    r"(?:\b(?:image|picture|photo|figure|fig\.?|floor|level|room|step|option|object|page|view|frame|point|row|column|"
    r"camera|question|scene|item|part|section|"
    r"chair|table|person|cube|region|box|line|example|case|area|zone|id|note)s?\s?(?:#|no\.?|number)?\s?|#|"
    r"\bpixels?\W{0,3}|\d(?:st|nd|rd|th) of )$",
    re.IGNORECASE,
)
_NO_AMOUNT = re.compile(
    r"\s?[x×]\s?\d{2,5}\s?(?:px|pixels?)\b|(?:st|nd|rd|th|d|k|px)\b|-?\s?(?:pixels?|px)\b|-?(?:D|dimensional)\b|:\d\d\b",
    re.IGNORECASE,
)
_SHARE = re.compile(r"\s?(?:%|percent\b|per cent\b)")
_NOT = re.compile(
    r"(?:\bnot|n't|\brather than|\binstead of|\bas opposed to|\bno longer|\bnever|\b(?:first|initially) (?:thought|"
    r"counted|said|guessed|estimated)|不是|而非)"
    r"\s?(?:(?:be|about|exactly|the|just|it was|there were|only|likely) ?){0,2}$",
    re.IGNORECASE,
)
_AT_FIRST = re.compile(r"(?: \w+)? (?:at first|initially|originally|before)\b", re.IGNORECASE)
_PLACED = re.compile(
    r"\b(?:around|near|by|at|behind|beside|under|next to|out of|of the|maybe|perhaps|possibly|in|per|among|"
    r"into)\s+(?:the |all )?$",
    re.IGNORECASE,
)
_LISTED = re.compile(r"^[ ]*(\d{1,2})[.)]\s+(?=\S)", re.MULTILINE)
_PLACE = re.compile(
    r"\bx\s?[=:]?\s?\d{1,4}(?:\.\d+)?[,;]?\s{0,2}y\s?[=:]?\s?\d{1,4}(?:\.\d+)?(?!\.?\d)", re.IGNORECASE
)  # in the picture
_ASIDE = re.compile(
    r"\b(?:based on|assum(?:ing|es?|ed|ption)|given (?:that|the|an?|its)|using|uses?|used|reference|compar(?:ed|ing) "
    r"(?:to|with)|relative to|typical(?:ly)?|standard|"
    r"usual(?:ly)?|on average|as (?:an?|the|its|it)|since|because|considering|knowing|scale[ds]?|which (?:is|are|has)|"
    r"whose|of which|including|"
    r"note that|note|each|taking|took|confidence|certain(?:ty)?|sure|probability|error|margin|accuracy|for comparison|"
    r"about the size of|"
    r"where (?:the|a)|if|with (?:the|an?) [\w ]{1,24} (?:of|being|at))\b"
    r"|假设|参考",
    re.IGNORECASE,
)
_GOES_ON = re.compile(
    r"\b(?:so|hence|therefore|thus|gives?|giving|makes?|estimate|i get|we get|answer|the (?:distance|gap|height|width|"
    r"length) is)\b|=",
    re.IGNORECASE,
)


def without_labels(found: Sequence[Quantity], text: str) -> list[Quantity]:
    """Without numbers that only name something (the 2nd, image 1, 3D, the marks of a list, a place as x 5 y 3) or say how sure
    the reply is."""
    listed, places = _list_marks(text), [place.span() for place in _PLACE.finditer(text)]
    return [
        each
        for each in found
        if each.start not in listed
        and not _is_label(each, text, len(found) == 1)
        and (each.unit or not any(start <= each.start < end for start, end in places))
    ]


def _is_label(each: Quantity, text: str, alone: bool) -> bool:
    if each.is_length or each.unit:
        return False
    before, behind = text[max(0, each.start - 24) : each.start], text[each.end : each.end + 14]
    if (_LABELLED.search(before) and not each.worded) or _NO_AMOUNT.match(behind):
        return True
    if _SHARE.match(behind):
        return not alone or re.search(r"sure|confiden|certain", text[each.end : each.end + 30]) is not None
    return False


def _list_marks(text: str) -> set[int]:
    """Where the marks of a numbered list stand: 1, 2, 3 at the beginnings of lines, or a 1 below a line with a colon."""
    marks = list(_LISTED.finditer(text))
    numbers = [int(mark[1]) for mark in marks]
    if not numbers:
        return set()
    headed = numbers[0] == 1 and re.search(r":\s*$", text[: marks[0].start()][-12:]) is not None
    in_order = len(numbers) > 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return {mark.start(1) for mark in marks} if headed or in_order else set()


def _is_beside(each: Quantity, text: str) -> bool:
    """Whether a count only says where the counted things are, or picks some of them out: "around 1 table", "1 of whom"."""
    if each.is_length or each.unit:
        return False
    before, behind = text[max(0, each.start - 14) : each.start], text[each.end : each.end + 14]
    return _PLACED.search(before) is not None or re.match(r"\s+of\s+(?:whom|them|these|those|which)\b", behind) is not None


def is_denied(each: Quantity, text: str) -> bool:
    """Whether "not" or its like stands before a number."""
    before, behind = text[max(0, each.start - 40) : each.start], text[each.end : each.end + 30]
    return _NOT.search(before) is not None or _AT_FIRST.match(behind) is not None


def without_asides(found: Sequence[Quantity], text: str, said: Sequence[Statement]) -> list[Quantity]:
    """The numbers that are no note to another: not in brackets behind it, and not what it rests on. All, if all are notes."""
    kept: list[Quantity] = []
    for each in found:
        sentence = next((one for one in reversed(said) if one.start <= each.start), None)
        start = 0 if sentence is None else sentence.start
        follows = any(other.start >= start for other in kept)
        if not (follows and (_is_bracketed(text, each, start) or _is_beside(each, text))) and not _is_note(
            each, text, start, kept
        ):
            kept.append(each)
    return kept or list(found)


def _is_bracketed(text: str, each: Quantity, start: int) -> bool:
    before = text[max(start, each.start - 200) : each.start]
    return before.count("(") + before.count("[") > before.count(")") + before.count("]")


def _is_note(each: Quantity, text: str, start: int, kept: Sequence[Quantity]) -> bool:
    """Whether the sentence says before the number that it is a reference. Where the sentence begins with that, and nothing
    was said before, the note ends at the comma."""
    before = text[max(start, each.start - 160) : each.start]
    cues = list(_ASIDE.finditer(before))
    if not cues:
        return False
    between = before[cues[0].end() :]
    if _GOES_ON.search(between):
        return False
    opening = not any(other.start >= start for other in kept)
    return not (opening and "," in between)
