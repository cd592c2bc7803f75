"""Which of the numbers in a reply is its answer."""

import re
from collections.abc import Sequence
from itertools import pairwise

from cooper.evaluation.replies.fields import answer_field
from cooper.evaluation.replies.numbers.asides import is_denied, without_asides, without_labels
from cooper.evaluation.replies.numbers.numerals import METRES, VALUE
from cooper.evaluation.replies.numbers.quantities import Quantity, quantities
from cooper.evaluation.replies.reading import ReplyReading, Trail, shown
from cooper.evaluation.replies.statements import Statement, is_cut_off, is_refusal, statements
from cooper.evaluation.replies.text import answer_part, bare, tidy

FIRST, LAST = 50, 250  # numbers of a text that are weighed, where it has more
_SCALAR = re.compile(r"\bscalar\s{0,4}\{([^{}]{0,80})\}")
_DISTANCE_UNIT = re.compile(r"\bdistance[\s_]{0,3}unit\s{0,4}\{([^{}]{0,40})\}")
_UNITS = "|".join(sorted((re.escape(unit) for unit in METRES if unit.isalpha()), key=len, reverse=True))
_TUPLE = re.compile(rf"[(\[{{<]\s?[\"']?(-?{VALUE})[\"']?\s?[,;:]\s?[\"']?({_UNITS})\.?[\"']?\s?[)\]}}>]", re.IGNORECASE)
_LOOSE_UNIT = re.compile(rf"\bscalar\s{{0,4}}\{{[^{{}}]{{0,80}}\}}\s?({_UNITS})\b", re.IGNORECASE)
_NAMED_UNIT = re.compile(
    rf"({VALUE})[\"']?\s?[,;]\s?[\"']?(?:distance[_ ])?units?[\"']?\s?[:=]\s?[\"']?({_UNITS})\b", re.IGNORECASE
)
_BRACKETED_TOLERANCE = re.compile(r"\(\s?(±|\+\s?/\s?-)\s?([\d.,]{1,12})\s?\)")
_PAIR = re.compile(rf"[^\w(\[]{{0,9}}[(\[]\s?({VALUE})\s?[,;]\s?({VALUE})\s?[)\]](\s?\w{{0,12}})[\s.]*")
ANNOUNCED = re.compile(
    r"\b(?:final\s+)?(?:answer|ans|result|final estimate)(?:\s+(?:is|would be|should be|must be)|\s*[:=])+\s*"
    r"|答案\s?(?:应该|应|就|大约|约)?(?:是|为)?\s?:?\s?|\b(?:therefore|hence|final(?:ly)?)\b[,:]?",
    re.IGNORECASE,
)
_ROUGHLY = (
    r"(?:(?:that|it|it's|is|are|there|there's|about|approximately|approx|roughly|around|only|exactly|at least|at most|a "
    r"total of|total|in|at|the|be|to|"
    r"visible|nearly|almost|just|circa|ca|maybe|perhaps|probably|likely|i|see|count|counted|can|say|would|think|well|so|"
    r"ok|okay|sure|"
    r"distance|height|width|length|some|say|answer|estimate|estimated|大约|约|共|一共|有|图中|图片中)\b\W*)"
)
_OPENS = re.compile(rf"\W*{_ROUGHLY}{{0,10}}\W*", re.IGNORECASE)
_CLOSED = re.compile(
    r"\.?\s*(?:$|[;:!\n(]|\.\s|,? (?:not|rather than|instead of)\b)|\s+[^\W\d]+(?: [^\W\d]+){0,2}(?:\.\s|\.?$|\.?\n|:| \()"
)
_ARITHMETIC = re.compile(r"\s*(?:[+*×/=]|plus\b|minus\b|times\b|-\s*\d)")
_TAKEN_FROM = re.compile(r"\s*[-–]\s*\d[^,;]{0,40}=")  # "5 - 2 = 3" is no sum of 2 and 3
_STRONG = re.compile(
    r"(?:\bthere (?:are|is|were)|\bthere's|\b(?:i|we) (?:can )?(?:see|count|counted|find|found|spot|identify|observe|"
    r"notice|have|estimate|guess|get)|"
    r"\b(?:i|we)(?:'d| would) (?:say|estimate|guess)|\btotal(?: number)?(?: of [\w ]{0,24})?|\bin total|\baltogether|"
    r"\bin all|\bmak(?:es?|ing)|\bgiv(?:es|ing)|"
    r"\badds? up to|\bsums? (?:up )?to|\bso|\bhence|\btherefore|\bthus|\bequals|\bshows|\bcontains|=|\bcount(?: is|:)?|"
    r"\bnumber of [\w ]{1,40}?(?:is|:|=)|"
    r"\b(?:distance|gap|height|width|length|depth|size|separation|answer|estimate|it)\b[^.;:!?]{0,50}?(?:\bis|\bare|=|:|"
    r"measures|\bbe)|\bestimated? (?:at|as|to be)|"
    r"总共|一共|共有|图中有|图片中有|共)"
    rf"\W*(?:(?:they|chairs?|visible|of)\W+)?{_ROUGHLY}{{0,6}}\W*$",
    re.IGNORECASE,
)
_UNDECIDED = re.compile(
    r"\b(?:can(?:no|')?t|can not|could not|couldn't|unable|impossible|not possible|no way|hard|difficult|not able|no one "
    r"can|nobody can|no one could|too many)\b"
    r"[^.!?]{0,30}\b(?:count|measure|determine|determined|tell|say|estimate|estimated|know|answer|see|counted|measured|"
    r"judge)\b|无法|不能确定",
    re.IGNORECASE,
)
_STILL = re.compile(
    r"\b(?:but|however|yet|about|approximately|roughly|around|estimate|guess|probably|likely|still|exact(?:ly)?)\b",
    re.IGNORECASE,
)
_REFERS = re.compile(
    r"\b(?:the|this|that|no|each|which|any|every|these|those|both|other|another|last|either|neither|my|some)\s+$", re.IGNORECASE
)
_ONE_THAT = re.compile(r"\s+(?:of|is|can|could|who|that|which|would|might|hides?|another|by one|more|side)\b", re.IGNORECASE)
_LISTING = re.compile(r" [^\W\d][\w ]{0,40}(?:,| and|;|,? and)[\w ]{0,20}")
_TAKEN_BACK = re.compile(
    r"\b(?:wait|actually|correction|second thought|recount|sorry|revise|revised|no,|hmm|correct (?:that|it)|instead)\b",
    re.IGNORECASE,
)
_NO_THINGS = re.compile(
    r"(?:(?:well|so),? )?(?:there (?:are|is|were)|i (?:can )?(?:see|count|find)|the (?:picture|image|photo|room|scene) "
    r"(?:shows|has|contains))? ?"
    r"\bno (?!idea|clue|way|answer|one\b|info|doubt|image|picture|photo|sign|reason|need|matter)[a-z]+[\w ]{0,50}[.!]?|"
    r"(?:图中|图片中|这里)?没有[^,.]{0,12}[.]?",
    re.IGNORECASE,
)


def number_reading(reply: str, lengths: bool = True) -> ReplyReading[float | None]:
    """The number that a reply gives as its answer, None when there is none. `lengths`: units count, the value is in metres."""
    trail = Trail()
    part = answer_part(reply, trail)
    official = _official(part.text)
    if official is not None:
        return _of_official(official, lengths, trail)
    field, text = answer_field(part.text), part.text
    if field is not None:
        trail.note("field", f"the field of the answer: {shown(field)}")
        text = bare(tidy(field))
    pair = _PAIR.fullmatch(text)
    text = _NAMED_UNIT.sub(r"\1 \2", _BRACKETED_TOLERANCE.sub(r"\1 \2", text))
    text = _TUPLE.sub(r"\1 \2", f"{pair[1]} – {pair[2]}{pair[3]}" if pair else text)
    value = _chosen(text, lengths, part.guarded, trail)
    return trail.end(value)


def _official(text: str) -> str | None:
    r"""The number and the unit of the last `\scalar{...}` that holds a number, and of the last `\distance_unit{...}`."""
    scalars = [found[1] for found in _SCALAR.finditer(text) if quantities(found[1])]
    units = [found[1].strip(" \"'.") for found in _DISTANCE_UNIT.finditer(text)]
    if not scalars:
        return None
    units = units or [found[1] for found in _LOOSE_UNIT.finditer(text)]
    whole = any(each.is_length for each in quantities(scalars[-1]))
    return f"{scalars[-1].strip()} {units[-1] if units and not whole else ''}".strip()


def _of_official(text: str, lengths: bool, trail: Trail) -> ReplyReading[float | None]:
    found = quantities(text, lengths)
    unknown = re.search(r"[^\W\d_]+$", text) if lengths and not found[0].is_length else None
    if unknown:
        return trail.end(None, "official", f"{shown(unknown[0])} is no unit of length that is known")
    return trail.end(found[0].value, "official", f"a scalar with its unit: {shown(text)}")


def _chosen(text: str, lengths: bool, guarded: bool, trail: Trail) -> float | None:
    found = quantities(text, lengths)
    if len(found) > FIRST + LAST:
        found = [*found[:FIRST], *found[-LAST:]]
    said = statements(text, tuple((each.start, each.end) for each in found))
    kept = [each for each in without_labels(found, text) if not is_denied(each, text)]
    kept = _in_figures(kept, text, one_sentence=len(said) == 1 and not is_cut_off(text))
    if not kept:
        if not lengths and said and _NO_THINGS.fullmatch(said[0].text) and not is_refusal(text):
            return _note(trail, 0.0, "nothing there", f"{shown(said[0].text)} counts none")
        trail.note("nothing", "no number is given")
        return None
    announced = _announced(kept, text, said)
    if announced is not None:
        return _note(
            trail,
            announced.value,
            "announced",
            f"the first number behind an announcement: {shown(text[announced.start : announced.end])}",
        )
    if guarded:
        trail.note("announced", "the thought announces no number")
        return None
    kept = without_asides(kept, text, said)
    if lengths and any(each.is_length for each in kept):
        kept = [each for each in kept if each.is_length]
    if _is_open(text, kept, said, trail):
        return None
    stage, chosen = _told(kept, text, said)
    if stage == "last" and _side_by_side(kept, text, said[-1].start):
        trail.note("several", "several amounts stand side by side, and none is called the answer")
        return None
    return _note(trail, chosen.value, stage, f"{shown(text[chosen.start : chosen.end])} in {shown(text)}")


def _note(trail: Trail, value: float, stage: str, said: str) -> float:
    trail.note(stage, said)
    return value


def _in_figures(found: list[Quantity], text: str, one_sentence: bool) -> list[Quantity]:
    """Without words that are no numbers here: pronouns, and beside figures all that no claim stands before."""
    figures = any(not each.worded for each in found)
    return [each for each in found if not each.worded or _is_number_word(each, text, figures, one_sentence)]


def _is_number_word(each: Quantity, text: str, figures: bool, one_sentence: bool) -> bool:
    before, behind = text[max(0, each.start - 60) : each.start], text[each.end : each.end + 20]
    word = text[each.start : each.end].lower()
    if word == "one" and _ONE_THAT.match(behind):
        return False
    if _REFERS.search(before) and (each.bare == 1 or not one_sentence):
        return False
    return not figures or (word[:2] not in ("a ", "an") and each.bare != 1 and _STRONG.search(before) is not None)


def _announced(found: Sequence[Quantity], text: str, said: Sequence[Statement]) -> Quantity | None:
    """The first number behind the last announcement in its sentence (or the next, where it has none), or behind its "="."""
    for mark in reversed(list(ANNOUNCED.finditer(text))):
        end = next((each.end for each in said if each.end > mark.end()), len(text))
        after = [each for each in found if mark.end() <= each.start < end]
        if not after and not text[mark.end() : end].strip(" \n.:"):
            after = [each for each in found if each.start >= mark.end()][:1]
        equal = text.rfind("=", mark.end(), end)
        behind = [each for each in after if each.start > equal >= 0]
        if after:
            return (behind or after)[0]
    return None


def _is_open(text: str, kept: Sequence[Quantity], said: Sequence[Statement], trail: Trail) -> bool:
    """Whether the reply leaves the number open: it refuses, is cut off, or offers several."""
    strong = [each for each in kept if _is_strong(each, text)]
    if is_refusal(text):
        trail.note("refusal", "the reply says that it cannot see the picture")
        return True
    if _UNDECIDED.search(text) and not _STILL.search(text) and not strong:
        trail.note("undecided", "the reply says that the number cannot be told")
        return True
    last = said[-1]
    if is_cut_off(text) and not any(each.start < last.start for each in strong) and not _opens(kept[0], text):
        trail.note("cut off", "the reply stops in the middle of a sentence")
        return True
    for first, second in pairwise(kept):
        sized = first.is_length and second.is_length and re.fullmatch(r"\s*(?:by|x|×)\s*", text[first.end : second.start])
        if sized or (
            re.fullmatch(r"\s*,?\s*or\s+(?:maybe |perhaps |even )?", text[first.end : second.start]) and second is kept[-1]
        ):
            trail.note("several", f"{shown(text[first.start : second.end])} leaves the number open")
            return True
    return False


def _is_strong(each: Quantity, text: str) -> bool:
    return _STRONG.search(text[max(0, each.start - 90) : each.start]) is not None


def _opens(first: Quantity, text: str) -> bool:
    """Whether a number opens the reply and its clause ends there."""
    if not _OPENS.fullmatch(text[: first.start][:120]) or first.start > 120:
        return False
    behind = text[first.end : first.end + 60]
    return not _ARITHMETIC.match(behind) and _CLOSED.match(behind) is not None


def _side_by_side(kept: Sequence[Quantity], text: str, start: int) -> bool:
    """Whether the last sentence only lists amounts without units: "4 chairs, 2 tables"."""
    listed = [each for each in kept if each.start >= start]
    gaps = [text[first.end : second.start] for first, second in pairwise(listed)]
    return bool(gaps) and not any(each.unit for each in listed) and all(_LISTING.fullmatch(gap) for gap in gaps)


def _told(kept: Sequence[Quantity], text: str, said: Sequence[Statement]) -> tuple[str, Quantity]:
    """Which number is the answer, and the stage that says so."""
    if len(kept) == 1:
        return "only", kept[0]
    rest = kept[1:]
    if (
        len(rest) > 1
        and abs(sum(each.bare for each in rest) - kept[0].bare) < 1e-9
        and not _TAKEN_FROM.match(text, kept[0].end)
    ):
        return "sum", kept[0]
    if len(rest) > 1 and abs(sum(each.bare for each in kept[:-1]) - kept[-1].bare) < 1e-9:
        return "sum", kept[-1]
    if _opens(kept[0], text) and not _TAKEN_BACK.search(text, kept[0].end):
        return "opening", kept[0]
    strong = [each for each in kept if _is_strong(each, text)]
    if strong:
        return "claimed", strong[-1]
    last = kept[-1]
    equal = text.rfind("=", 0, last.start)
    if equal >= 0:
        behind = [each for each in kept if each.start > equal]
        return "equals", behind[0]
    return "last", last
