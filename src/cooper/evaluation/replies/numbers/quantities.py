"""Numbers in running text: signs, fractions, thousands, number words and lengths, converted to metres."""

import math
import re
from dataclasses import dataclass, replace

from cooper.evaluation.replies.numbers.numerals import (
    AND_PART,
    CHINESE,
    CHINESE_DIGITS,
    METRES,
    SCALES,
    SPELLED,
    VALUE,
    chinese_value,
    is_part,
    part_value,
    spelled_value,
    value_of,
)

_LATIN = sorted((unit for unit in METRES if unit.isascii() and unit.isalpha()), key=len, reverse=True)
_HAN = "|".join(unit for unit in METRES if not unit.isascii() and unit.isalpha())
_UNIT = "|".join(_LATIN)
_MARK = r"''|[\"'”’′″]"
_NO_INCH = r"(?!(?:tall|high|long|wide|deep|away|apart|from|and|or|to|thick|across|gap|off|by|x)\b)[A-Za-z]"  # "4 in total"
_INCH_OK = rf"(?!(?<=in)(?<!-in) +{_NO_INCH})"
_GAP = r"(?:,\s?|(?:[~\s]|-)*[\"'({\[]?\s?)"
_BEHIND = (
    rf"(?:{_GAP}(?P<unit>(?:{_UNIT})(?![A-Za-z²³])(?!\s?(?:\^|/\s?[a-z])){_INCH_OK}|{_HAN})(?:\.(?=\s*[,\d]))?|"
    rf"(?P<mark>{_MARK}))?"
)
_NUMBER = re.compile(
    r"(?P<sign>(?<![\w.)\]])[-–]\s?)?(?:(?<![\w.])|"
    rf"(?<=\dft))(?<!\d,)(?P<value>{VALUE})(?!\d)(?P<more>{AND_PART})?(?P<scale>\s(?:hundred|"
    rf"thousand|million)\b)?{_BEHIND}",
    re.IGNORECASE,
)
_WORDED = re.compile(
    rf"(?<![\w'])(?P<value>{SPELLED})(?![\w'])(?P<more>{AND_PART})?"
    rf"(?:[ -](?P<unit>{_UNIT})\b{_INCH_OK}(?P<after>{AND_PART})?)?",
    re.IGNORECASE,
)
_CHINESE = re.compile(
    rf"(?<![第十百千])(?P<value>{CHINESE})(?P<unit>{_HAN})?(?P<half>半|(?<=[米尺])[一二三四五六七八九](?![米尺厘公]))?"
)
_NO_COUNT = re.compile(r"[些样般致直定边面侧起切旦种]")  # characters behind which 一 is no number
_TO = re.compile(r"\s*(?:-|–|~|to|or|至|到)\s*", re.IGNORECASE)
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_EQUALS = re.compile(r"\s*[=+*×/]")
_TOLERANCE = re.compile(
    r"[\s,(]{0,3}(?:or (?:so|thereabouts)[\s,]{1,3})?"
    r"(?:±|\+\s?/\s?[-–]|\+-|plus or minus|plus/minus|give or take|with (?:an? )?(?:error|margin|uncertainty|"
    r"tolerance)(?: of| margin of)?|"
    r"\(?(?:error|margin|uncertainty|tolerance)(?: of)?:?|within|to within|误差)\s*(?:about |around )?[-+]?\s?",
    re.IGNORECASE,
)
_AGAIN = re.compile(
    r"[\s,;(\[/]*(?:(?:or|i\.?e\.?|that is|which is|which equals|equivalent to|equal to|equals|aka|about|approximately|"
    r"approx\.?|roughly|around|"
    r"nearly|almost|just|over|under|is|some|=|≈|~|:)[\s,:]*){0,4}",
    re.IGNORECASE,
)
_MINUS = re.compile(r"(?<!or )(?<!\d )(?<!\w\d )\b(?:minus|negative) $", re.IGNORECASE)
ALIKE = 0.25  # relative difference up to which a length in another unit is the same length again


@dataclass(frozen=True)
class Quantity:
    """A number as it stands in a text: `value` in metres when a unit of length follows (`is_length`), else bare.

    bare: the number without its unit. worded: it is spelled in words. joined: it stands for several numbers, a range or a
    length in two units.
    """

    value: float
    is_length: bool
    start: int
    end: int
    bare: float
    unit: str = ""
    worded: bool = False
    joined: bool = False


def quantities(text: str, lengths: bool = True) -> list[Quantity]:
    """All numbers of a text in reading order; `lengths` says whether units of length are read.

    `1,234.5` and `1 234` have separators of thousands, `1,5` a decimal comma, `1 1/2` is 1.5, `5 ft 11 in` and `5'11"` are
    one length, `2-3 m`, `2 to 3 m` and `between 2 and 3 m` are the middle, 2.5 m; `1.2 m (about 4 ft)` is 1.2 m alone, and
    `2 m ± 10 cm` is 2 m. Numbers beyond float range are left out.
    """
    found = [_in_digits(match) for match in _NUMBER.finditer(text)]
    taken = bytearray(len(text))
    for each in found:
        taken[each.start : each.end] = b"\1" * (each.end - each.start)
    found += [each for each in _in_words(text) if not any(taken[each.start : each.end])]
    finite = sorted((each for each in found if math.isfinite(each.bare)), key=lambda each: each.start)
    joined = _joined(finite, text)
    return joined if lengths else [replace(each, value=each.bare, is_length=False) for each in joined]


def _made(bare: float, unit: str, span: tuple[int, int], worded: bool = False) -> Quantity:
    return Quantity(bare * METRES.get(unit, 1.0), bool(unit), *span, bare, unit, worded)


def _in_digits(match: re.Match[str]) -> Quantity:
    mark = match["mark"] or ""
    if mark and re.search(r"(?<!\d)[\"'“‘]$", match.string[max(0, match.start() - 2) : match.start()]):
        mark = ""  # a quotation mark that was opened before the number
    unit = (match["unit"] or mark).lower()
    bare = value_of(match["value"]) + (part_value(match["more"]) if match["more"] else 0.0)
    bare *= SCALES[match["scale"].strip().lower()] if match["scale"] else 1.0
    if _MINUS.search(match.string[max(0, match.start() - 24) : match.start()]):
        return _made(-bare, unit, match.span())
    if match["sign"] and not _is_sign(match):
        return _made(bare, unit, (match.start("value"), match.end()))
    return _made(-bare if match["sign"] else bare, unit, match.span())


def _is_sign(match: re.Match[str]) -> bool:
    """Whether the dash before a number makes it negative: not behind another number, and not with space behind a word."""
    before = match.string[max(0, match.start() - 8) : match.start()].rstrip()
    if before[-1:].isdigit() or before[-1:] in ("±", "/", "+", "'", '"'):
        return False
    return match["sign"].strip() == match["sign"] or before[-1:] in ("", "=", ":", "(")


def _in_words(text: str) -> list[Quantity]:
    """Number words and Chinese numbers. An article counts where a unit follows it."""
    found = []
    for match in _WORDED.finditer(text):
        unit, word = (match["unit"] or "").lower(), match["value"].lower()
        if (word in ("a", "an") and not unit) or (is_part(word) and not unit):
            continue
        more = sum(part_value(match[name]) for name in ("more", "after") if match[name])
        found.append(_made(spelled_value(word) + more, unit, match.span(), worded=True))
    for match in _CHINESE.finditer(text):
        behind = text[match.end() : match.end() + 1]
        if match["unit"] or not (behind and _NO_COUNT.match(behind)):
            if match["value"] == "半" and not match["unit"]:
                continue
            value = chinese_value(match["value"]) + (
                CHINESE_DIGITS[match["half"]] * (1.0 if match["half"] == "半" else 0.1) if match["half"] else 0.0
            )
            found.append(_made(value, match["unit"] or "", match.span(), worded=True))
    return found


def _joined(found: list[Quantity], text: str) -> list[Quantity]:
    """Feet with inches become one length, a range becomes its middle, and what only repeats or bounds a number goes."""
    joined: list[Quantity] = []
    for quantity in found:
        last = joined[-1] if joined else None
        one = None if last is None else _as_one(last, quantity, text)
        if one is None:
            joined.append(quantity)
        else:
            joined[-1] = one
    return joined


def _as_one(last: Quantity, this: Quantity, text: str) -> Quantity | None:
    """Both as one quantity; None where they are two."""
    gap = text[last.end : this.start]
    if len(gap) > 50:
        return None
    if _is_inches_after_feet(last, this, gap):
        inches = _made(this.bare, this.unit or "in", (this.start, this.end))
        total = last.value + inches.value
        return replace(last, value=total, bare=total / METRES[last.unit], end=this.end, joined=True)
    if _TOLERANCE.fullmatch(gap):
        unit = last.unit or this.unit
        return replace(_made(last.bare, unit, (last.start, this.end), last.worded), joined=True)
    alike = abs(last.value - this.value) <= ALIKE * max(abs(last.value), abs(this.value))
    if last.is_length and this.is_length and last.unit != this.unit and alike and _AGAIN.fullmatch(gap):
        return replace(last, end=this.end)
    return _range(last, this, text, gap)


def _range(low: Quantity, high: Quantity, text: str, gap: str) -> Quantity | None:
    """The middle of a range; the unit behind its end holds for its beginning, too."""
    between = text[max(0, low.start - 12) : low.start].rstrip().lower().endswith("between")
    if not (_TO.fullmatch(gap) or (between and _AND.fullmatch(gap))) or (low.is_length and not high.is_length) or low.joined:
        return None
    if "or" in gap.lower() and not high.is_length:
        return None
    if high.bare < 0 and gap == "":
        high = replace(high, bare=-high.bare, value=-high.value)
    first = low if low.is_length else _made(low.bare, high.unit, (low.start, low.end))
    if first.value > high.value or _EQUALS.match(text, high.end):
        return None
    middle = (first.value + high.value) / 2
    bare = (first.bare + high.bare) / 2 if first.unit == high.unit else middle / METRES.get(high.unit, 1.0)
    return Quantity(middle, high.is_length, low.start, high.end, bare, high.unit, low.worded, joined=True)


def _is_inches_after_feet(feet: Quantity, inches: Quantity, gap: str) -> bool:
    if METRES.get(feet.unit) != METRES["ft"] or feet.joined or inches.bare >= 12 or inches.bare < 0:
        return False
    if inches.unit == "":
        return feet.unit in ("ft", "'", "foot") and gap.strip() in ("", "-") and not inches.worded
    return METRES[inches.unit] == METRES["in"] and gap.strip(" ,-.") in ("", "and")
