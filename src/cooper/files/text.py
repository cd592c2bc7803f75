"""Text of unknown origin on its way to a terminal or into a Markdown file."""

import re

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
