"""Replies that are JSON, or nearly: which field holds the answer."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST = 20_000  # characters of JSON that are parsed
ANSWERS = ("final_answer", "finalanswer", "answer", "final", "choice", "option", "selected", "selection", "selected_option")
ANSWERS += ("prediction", "letter", "result", "response", "label", "output", "verdict", "value", "scalar", "estimate")
SIZES = ("count", "total", "number", "num", "quantity", "distance", "length", "height", "width", "depth", "size", "amount")
_UNITS = ("unit", "units", "distance_unit", "measurement_unit")
_ASIDE = re.compile(r"confiden|certain|prob|score|box|bbox|coord|point|index|^id$|image|pixel|margin|error|toleran|step|logit")
_BROKEN = re.compile(
    rf"[\"']({'|'.join(ANSWERS[:15])}|{'|'.join(SIZES)})[\"']\s{{0,4}}:\s{{0,4}}"
    r"(\"(?:[^\"\\]|\\.){1,300}\"|'[^']{1,300}'|[-+\w.]{1,40})",
    re.IGNORECASE,
)
_SINGLE = re.compile(r"(?<=[{\[,:\s])'|'(?=\s{0,4}[:,}\]])")
_UNIT_OF_KEY = {"m": "m", "meters": "m", "metres": "m", "meter": "m", "cm": "cm", "mm": "mm", "ft": "ft", "feet": "ft"}
_UNIT_OF_KEY |= {"in": "in", "inch": "in", "inches": "in", "yd": "yd", "centimeters": "cm", "centimetres": "cm"}


def answer_field(text: str) -> str | None:
    """What the field of the answer says, as text; None where the text is no object or names no such field."""
    if "{" not in text:
        return None
    parsed = _parsed(_object_in(text))
    if isinstance(parsed, Mapping):
        return _of_object(parsed)
    broken = list(_BROKEN.finditer(text, text.find("{")))
    return broken[-1][2].strip("\"'") if broken else None


def _object_in(text: str) -> str:
    """From the first opening brace to the last closing one; "" without both."""
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else ""


def named_field(text: str, names: Sequence[str]) -> str | None:
    """What the first of these fields says in an object that stands in a text; None without one."""
    parsed = _parsed(_object_in(text))
    if not isinstance(parsed, Mapping):
        return None
    named = {str(key).strip().lower().replace(" ", "_"): value for key, value in parsed.items()}
    return next((_told(named[name], "", 0) for name in names if name in named), None)


def _parsed(text: str) -> Any:
    """The object, also one in single quotes; None for anything else."""
    if not 0 < len(text) <= LONGEST:
        return None
    for spelled in (text, _SINGLE.sub('"', text)):
        try:
            return json.loads(spelled)
        except (ValueError, RecursionError):
            continue
    return None


def _of_object(fields: Mapping[str, Any], depth: int = 0) -> str | None:
    named = {str(key).strip().lower().replace(" ", "_").replace("-", "_"): value for key, value in fields.items()}
    unit = next((str(named[key]) for key in _UNITS if isinstance(named.get(key), str)), "")
    for key in ANSWERS:
        if key in named:
            return _told(named[key], unit, depth)
    sized = [key for key in named if any(key == size or key.startswith((f"{size}_", f"{size} ")) for size in SIZES)]
    likely = sized or [key for key, value in named.items() if _is_plain(value) and not _ASIDE.search(key) and key not in _UNITS]
    if len(likely) != 1 and not sized:
        inner = [value for value in named.values() if isinstance(value, Mapping)]
        return _of_object(inner[0], depth + 1) if len(inner) == 1 and depth < 4 else None
    totals = [key for key in likely if key.startswith(("total", "count", "number", "distance"))]
    key = (totals or likely)[0]
    return _told(named[key], unit or _unit_of(key), depth)


def _unit_of(key: str) -> str:
    """The unit at the end of a field's name: `distance_cm`."""
    return _UNIT_OF_KEY.get(key.rsplit("_", 1)[-1], "") if "_" in key else ""


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not (isinstance(value, float) and not math.isfinite(value))


def _told(value: Any, unit: str, depth: int) -> str | None:
    if isinstance(value, Mapping):
        return _of_object(value, depth + 1) if depth < 4 else None
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) if all(_is_plain(item) for item in value) else ""
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"{text} {unit}".strip() if unit and re.search(r"\d\s*$", text) else text
