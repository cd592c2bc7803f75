"""Arguments of Python calls: plain values of the kinds that users of PyTorch and NumPy hold, checked and named in messages."""

import math
import operator
import re
from typing import Any, SupportsFloat, SupportsIndex, cast

from cooper.errors import CooperError

LARGEST_SEED = 2**32 - 1  # what the random number generators of every library in use take


def whole(value: Any, name: str, low: int | None = None, high: int | None = None) -> int:
    """A whole number within `low` and `high`, from an int, a NumPy integer or a tensor of one. CooperError names it."""
    if isinstance(value, bool):
        raise CooperError(f"{name} must be a whole number, not {value!r}")
    try:
        number = operator.index(cast(SupportsIndex, value))
    except (TypeError, RuntimeError, ValueError):
        raise CooperError(f"{name} must be a whole number, not {shown(value)}") from None
    if (low is not None and number < low) or (high is not None and number > high):
        bounds = f"at least {low}" if high is None else f"at most {high}" if low is None else f"from {low} to {high}"
        raise CooperError(f"{name} is {shown(number)}; it must be {bounds}")
    return number


def seed_of(value: Any, name: str = "the seed") -> int:
    """A seed, from 0 to 2**32 - 1. CooperError names it."""
    return whole(value, name, 0, LARGEST_SEED)


def real(value: Any, name: str) -> float:
    """A finite number, from a float, an int, or a NumPy or torch scalar. CooperError names it."""
    if isinstance(value, bool | str | bytes):
        raise CooperError(f"{name} must be a number, not {shown(value)}")
    try:
        number = float(cast(SupportsFloat, value))
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise CooperError(f"{name} must be a number, not {shown(value)}") from None
    if not math.isfinite(number):
        raise CooperError(f"{name} is {number}; it must be a finite number")
    return number


def words(value: Any, name: str) -> str:
    """A text that can be written as UTF-8. CooperError: something else, or half of a surrogate pair in it."""
    if not isinstance(value, str):
        raise CooperError(f"{name} must be a text, not {shown(value)}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CooperError(
            f"{name} holds half of a surrogate pair (character {error.start + 1}), which is no character"
        ) from None
    return value


def shown(value: Any) -> str:
    """A value as messages show it: short, and by its kind where it is more than a plain value."""
    if value is None or isinstance(value, bool | float | complex | str | bytes):
        text = repr(value)
        return text if len(text) <= 60 else f"{text[:57]}..."
    if isinstance(value, int):
        return str(value) if value.bit_length() < 200 else f"a number of {value.bit_length()} bits"
    return f"a {type(value).__module__}.{type(value).__qualname__}".replace("a builtins.", "a ")


def short(line: str, most: int = 160) -> str:
    """One line of at most `most` characters, as a Python prompt shows a value; a longer one ends in dots."""
    line = " ".join(line.split())
    return line if len(line) <= most else f"{line[: most - 4]}...>"


def brief(path: object) -> str:
    """A path as messages show it: the middle of a very long one is left out."""
    text = str(path)
    return text if len(text) <= 200 else f"{text[:100]}...{text[-80:]}"


_CONTROL = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
_TURNING = dict.fromkeys((*range(8234, 8239), *range(8294, 8298)), "�")  # override the direction


def visible(text: str) -> str:
    """The text without characters that would command the terminal or turn its lines around."""
    return text.translate(_CONTROL | _TURNING)


def markdown_text(text: str) -> str:
    r"""The text as one line that Markdown shows as it is: no mark-up, no link, no new cell of a table.

    >>> markdown_text("<b> a|b\n[c](d)")
    '\\<b> a\\|b \\[c](d)'
    """
    line = " ".join(visible(text).split()).encode("utf-8", "replace").decode("utf-8")
    return re.sub(r"[\\<|\[`]", r"\\\g<0>", line)
