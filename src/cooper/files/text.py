"""Text of unknown origin on its way to a terminal."""

_CONTROL = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
_TURNING = dict.fromkeys((*range(8234, 8239), *range(8294, 8298)), "�")  # override the direction


def visible(text: str) -> str:
    """The text without characters that would command the terminal or turn its lines around."""
    return text.translate(_CONTROL | _TURNING)
