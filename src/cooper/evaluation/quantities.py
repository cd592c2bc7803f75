"""Numbers in running text: signs, fractions, thousands, number words and lengths, converted to metres."""

import math
import re
from dataclasses import dataclass

METRES = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 0.01),
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 0.001),
    **dict.fromkeys(("km", "kilometer", "kilometers", "kilometre", "kilometres"), 1000.0),
    **dict.fromkeys(("ft", "foot", "feet", "'", "’", "′"), 0.3048),
    **dict.fromkeys(("in", "inch", "inches", '"', "”", "″", "''"), 0.0254),
    **dict.fromkeys(("yd", "yard", "yards"), 0.9144),
}
TEENS = ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty")
UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
WORDS = {word: value for value, word in enumerate((*UNITS, *TEENS))} | {"none": 0}
WORDS |= {ten: value for value, ten in zip(range(20, 100, 10), TENS, strict=True)}
WORDS |= {f"{ten}{gap}{unit}": WORDS[ten] + WORDS[unit] for ten in TENS for unit in UNITS[1:10] for gap in "- "}

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?|\.\d+)(?:[eE][-+]?\d{1,3})?"
_FRACTION = r"(?:\d+\s+)?\d+\s*/\s*\d+"
_LATEX = r"\\[dt]?frac\s*\{\s*[\d.]+\s*\}\s*\{\s*[\d.]+\s*\}"
_VALUE = rf"{_LATEX}|{_FRACTION}|{_DIGITS}"
_UNIT = "|".join(re.escape(unit) for unit in sorted(METRES, key=len, reverse=True) if unit.isalpha())
_MARK = r"''|[\"'”’′″]"
_NO_INCH = r"(?!(?:tall|high|long|wide|deep|away|apart|from|and|or|to)\b)[A-Za-z]"  # "4 in total" has no inches
_GAP = r"(?:\\[,;~ ]|[~\s]|-)*(?:(?:\\(?:text|mathrm)\s*)?\{\s*)?"
_LETTERED = rf"{_GAP}(?P<unit>{_UNIT})(?![A-Za-z])(?!(?<=in)\s+{_NO_INCH})\}}?"
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w.)])[-+−–]\s?)?(?<![\w.])(?P<value>{_VALUE})(?:{_LETTERED}|(?P<mark>{_MARK}))?", re.IGNORECASE
)
_LONGEST_FIRST = "|".join(sorted(WORDS, key=len, reverse=True))
_WORD = re.compile(rf"\b(?P<value>{_LONGEST_FIRST})\b(?:\s+(?P<unit>{_UNIT})\b(?!(?<=in)\s+{_NO_INCH}))?", re.IGNORECASE)
_TO = re.compile(r"\s*(?:-|–|—|to)\s*", re.IGNORECASE)
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_AGAIN = re.compile(r"\s*\((?:[A-Za-z]+\s+|[~≈=]\s*)?")  # what stands between a length and the same in another unit


@dataclass(frozen=True)
class Quantity:
    """A number as it stands in a text: `value` in metres when a unit of length follows (`is_length`), else bare."""

    value: float
    is_length: bool
    start: int
    end: int


def quantities(text: str, lengths: bool = True) -> list[Quantity]:
    """All numbers of a text in reading order; `lengths` says whether units of length are read.

    Number words up to ninety-nine are read where the text has no digits. `1,234.5` has a thousands separator, `1,5` a
    decimal comma, `1 1/2` is 1.5, `5 ft 11 in` and `5'11"` are one length, `2-3 m`, `2 to 3 m` and `between 2 and 3 m` are
    the middle, 2.5 m, and `1.2 m (about 4 ft)` is 1.2 m alone. Numbers beyond float range are left out.
    """
    found = [_read(match, lengths) for match in _NUMBER.finditer(text)]
    if not found:
        found = [_read(match, lengths) for match in _WORD.finditer(text)]
    return _joined([quantity for quantity in found if math.isfinite(quantity.value)], text)


def _read(match: re.Match[str], lengths: bool) -> Quantity:
    groups = match.groupdict()
    unit = _unit(match) if lengths else ""
    value = _value(groups["value"]) * METRES.get(unit, 1.0)
    negative = (groups.get("sign") or "").strip() in ("-", "−", "–")
    return Quantity(-value if negative else value, bool(unit), match.start(), match.end())


def _unit(match: re.Match[str]) -> str:
    """The unit behind a number, "" without one; a quotation mark that was opened before the number is none."""
    groups = match.groupdict()
    mark = groups.get("mark") or ""
    if mark and re.search(r"(?<!\d)[\"'“‘]$", match.string[max(0, match.start() - 2) : match.start()]):
        mark = ""
    return (groups["unit"] or mark).lower()


def _value(text: str) -> float:
    if text.lower() in WORDS:
        return float(WORDS[text.lower()])
    if text.startswith("\\"):
        top, bottom = re.findall(r"[\d.]+", text)
        return _ratio(top, bottom)
    if "/" in text:
        *whole, top, bottom = re.findall(r"\d+", text)
        return float(whole[0] if whole else 0) + _ratio(top, bottom)
    if re.search(r",\d{3}(?!\d)", text):
        return float(text.replace(",", ""))
    return float(text.replace(",", "."))


def _ratio(top: str, bottom: str) -> float:
    parts = [float(part) if re.fullmatch(r"\d*\.?\d+", part) else math.nan for part in (top, bottom)]
    return parts[0] / parts[1] if parts[1] else math.nan


def _joined(found: list[Quantity], text: str) -> list[Quantity]:
    """Feet with inches become one length, a length said again in brackets stays one, a range becomes its middle."""
    joined: list[Quantity] = []
    for quantity in found:
        last = joined[-1] if joined else None
        if last is None:
            joined.append(quantity)
        elif _is_inches_after_feet(last, quantity, text):
            joined[-1] = Quantity(last.value + quantity.value, True, last.start, quantity.end)
        elif last.is_length and quantity.is_length and _AGAIN.fullmatch(text, last.end, quantity.start):
            joined[-1] = Quantity(last.value, True, last.start, quantity.end)
        elif _is_range(last, quantity, text):
            unit = _unit_factor(quantity, text) if not last.is_length else 1.0
            joined[-1] = Quantity((last.value * unit + quantity.value) / 2, quantity.is_length, last.start, quantity.end)
        else:
            joined.append(quantity)
    return joined


def _is_range(low: Quantity, high: Quantity, text: str) -> bool:
    if low.is_length and not high.is_length:
        return False
    if _AND.fullmatch(text, low.end, high.start):
        return text[max(0, low.start - 12) : low.start].rstrip().lower().endswith("between")
    return _TO.fullmatch(text, low.end, high.start) is not None


def _ends_with(quantity: Quantity, text: str, units: tuple[str, ...]) -> bool:
    return quantity.is_length and text[quantity.start : quantity.end].lower().endswith(units)


def _is_inches_after_feet(feet: Quantity, inches: Quantity, text: str) -> bool:
    gap = text[feet.end : inches.start].strip(" ,")
    if gap not in ("", "and") or not _ends_with(inches, text, ("in", "inch", "inches", '"', "”", "″", "''")):
        return False
    return _ends_with(feet, text, ("ft", "foot", "feet", "'", "’", "′")) and not _ends_with(feet, text, ("''",))


def _unit_factor(quantity: Quantity, text: str) -> float:
    """What the unit behind a number multiplies it with, 1 without one."""
    match = _NUMBER.match(text, quantity.start)
    return 1.0 if match is None else METRES.get(_unit(match), 1.0)
