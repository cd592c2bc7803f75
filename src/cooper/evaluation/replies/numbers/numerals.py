"""How single numbers are spelled: digits, powers, fractions, English and Chinese number words, and units of length."""

import math
import re

METRES = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres", "mts", "mtrs", "米", "公尺"), 1.0),
    **dict.fromkeys(("cm", "cms", "centimeter", "centimeters", "centimetre", "centimetres", "厘米", "公分"), 0.01),
    **dict.fromkeys(("mm", "mms", "millimeter", "millimeters", "millimetre", "millimetres", "毫米"), 0.001),
    **dict.fromkeys(("dm", "decimeter", "decimeters", "decimetre", "decimetres", "分米"), 0.1),
    **dict.fromkeys(("km", "kms", "kilometer", "kilometers", "kilometre", "kilometres", "千米", "公里"), 1000.0),
    **dict.fromkeys(("ft", "foot", "feet", "'", "’", "′", "英尺"), 0.3048),
    **dict.fromkeys(("in", "inch", "inches", '"', "”", "″", "''", "英寸", "吋"), 0.0254),
    **dict.fromkeys(("yd", "yds", "yard", "yards", "码"), 0.9144),
    **dict.fromkeys(("mile", "miles", "英里"), 1609.344),
}
UNITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
TEENS = ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
WORDS = {word: float(value) for value, word in enumerate((*UNITS, *TEENS))} | {"none": 0.0}
WORDS |= {ten: 20.0 + 10 * place for place, ten in enumerate(TENS)}
SCALES = {"hundred": 100.0, "thousand": 1000.0, "million": 1e6, "dozen": 12.0}
_PARTS = {"half": 0.5, "halves": 0.5, "third": 1 / 3, "thirds": 1 / 3, "quarter": 0.25, "quarters": 0.25}
_PARTS |= {"fourths": 0.25, "fifth": 0.2, "fifths": 0.2, "eighth": 0.125, "eighths": 0.125, "tenth": 0.1, "tenths": 0.1}

_GROUPED = (
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:[ ]\d{3})+(?![\d])(?:\.\d+)?|\d{1,3}(?:'\d{3})+(?![\d\"'])"
)
DIGITS = rf"(?:{_GROUPED}|\d+(?:[.,]\d+)?|\.\d+)(?:[eE][-+]?\d{{1,3}}(?![\w.]))?"
POWER = r"(?:\s?(?:x|×|·|\*)\s?10\s?(?:\^|\*\*)\s?\(?[-+]?\d{1,3}\)?)"
FRACTION = r"(?:\d+(?:\s+(?:and\s+)?|-))?\d+(?:\.\d+)?\s?/\s?\d+(?:\.\d+)?(?![\d/])"
VALUE = rf"(?:{FRACTION}|{DIGITS}{POWER}?)"

_SMALL = "|".join(sorted(WORDS, key=len, reverse=True))
_SCALE = "|".join(SCALES)
_PART = "|".join(sorted(_PARTS, key=len, reverse=True))
_BELOW_HUNDRED = rf"(?:(?:{'|'.join(TENS)})[ -](?:{'|'.join(UNITS[1:10])})\b|{_SMALL})"
_WHOLE = (
    rf"(?:(?:{_BELOW_HUNDRED}|an?)[ -])?(?:{_SCALE})(?:(?:[ -]and)?[ -](?:{_BELOW_HUNDRED}|{_SCALE})\b){{0,6}}|{_BELOW_HUNDRED}"
)
_SINGLE = r"a single|a couple of|a couple|a pair of|a pair"
_OF_A_WHOLE = rf"(?:a|one|two|three|four|five|seven)[ -](?:{_PART})|half|quarter(?= of)"
SPELLED = rf"(?:half an? dozen|(?:{_OF_A_WHOLE})(?: of)?(?: an?| one)?|{_SINGLE}|{_WHOLE}|an?)"
AND_PART = rf"(?:[ -]and[ -](?:an?|one|two|three)[ -](?:{_PART})\b)"

CHINESE_DIGITS = {char: float(value) for value, char in enumerate("零一二三四五六七八九")} | {"两": 2.0, "〇": 0.0, "半": 0.5}
_CHINESE_SCALES = {"十": 10.0, "百": 100.0, "千": 1000.0}
_CHINESE_DIGIT = f"[{''.join(CHINESE_DIGITS)}]"
CHINESE = rf"[{''.join(CHINESE_DIGITS)}{''.join(_CHINESE_SCALES)}]{{1,9}}(?:点{_CHINESE_DIGIT}{{1,6}})?"


def value_of(text: str) -> float:
    """The value of a number in digits; nan for one that has none, such as 1/0."""
    text = text.strip()
    if "/" in text:
        numbers = [float(part) for part in re.findall(r"\d+(?:\.\d+)?", text)]
        whole = numbers[0] if len(numbers) == 3 else 0.0
        return whole + numbers[-2] / numbers[-1] if numbers[-1] else math.nan
    powered = re.fullmatch(rf"({DIGITS})({POWER})", text)
    if powered:
        exponent = int(re.findall(r"[-+]?\d+", powered[2])[-1])
        return value_of(powered[1]) * 10.0**exponent if abs(exponent) < 300 else math.nan
    return float(_in_python(text))


def _in_python(text: str) -> str:
    """The digits as Python writes them: without separators of thousands, with a decimal point."""
    text = re.sub(r"[ ']", "", text)
    if re.match(r"\d{1,3}(?:\.\d{3})+,\d", text):
        return text.replace(".", "").replace(",", ".")
    if re.match(r"\d{1,3}(?:,\d{3})+(?!\d)", text):
        return text.replace(",", "")
    return text.replace(",", ".")


def spelled_value(text: str) -> float:
    """The value of a number in words: "one hundred and twenty-three", "half a dozen", "three quarters of a", "a couple of"."""
    words = [word for word in re.split(r"[\s-]+", text.lower().strip()) if word not in ("and", "of")]
    if "half" in words and "dozen" in words:
        return 6.0
    if words[0] in ("a", "an") and len(words) > 1 and words[1] in ("couple", "pair", "single"):
        return 1.0 if words[1] == "single" else 2.0
    if any(word in _PARTS for word in words):
        count = next((WORDS[word] for word in words if word in WORDS), 1.0)
        return (1.0 if words[0] in _PARTS else count) * next(_PARTS[word] for word in words if word in _PARTS)
    total, current = 0.0, 0.0
    for word in words:
        if word in WORDS:
            current += WORDS[word]
        elif word in ("hundred", "dozen"):
            current = (current or 1.0) * SCALES[word]
        elif word in SCALES:
            total, current = total + (current or 1.0) * SCALES[word], 0.0
        elif word in ("a", "an"):
            current = current or (1.0 if len(words) == 1 else 0.0)
    return total + current


def chinese_value(text: str) -> float:
    """The value of a Chinese number below ten thousand: "二十一" is 21."""
    text, _, decimals = text.partition("点")
    total, digit = sum(CHINESE_DIGITS[char] / 10**place for place, char in enumerate(decimals, 1)), 0.0
    for char in text:
        if char in _CHINESE_SCALES:
            total, digit = total + (digit or 1.0) * _CHINESE_SCALES[char], 0.0
        else:
            digit = CHINESE_DIGITS[char]
    return total + digit


def part_value(text: str) -> float:
    """The value of "and a half", "and three quarters"."""
    return spelled_value(re.sub(r"^[ -]and[ -]", "", text.lower()))


def is_part(text: str) -> bool:
    """Whether a spelled number is a part of something: "half", "a third", "three quarters"."""
    return any(word in _PARTS for word in re.split(r"[\s-]+", text.lower())) and "dozen" not in text.lower()
