"""The options that the words of a question list."""

import re

_MARKS = (  # how an option begins, the surest first
    re.compile(r"(?:(?<=[\s,;:.?])|^)\(([A-Za-z])\)\s*(?=\S)"),
    re.compile(r"(?:(?<=[\s,;:?(\[])|^)([A-Z])[.)]\s*(?=\S)"),
    re.compile(r"(?:(?<=[\s,;:?(\[])|^)([A-Z]):\s*(?=\S)"),
)


def options_in(text: str) -> tuple[str, ...]:
    """The options that a text lists as `(a) Open (b) Closed`, `A. left B. right` or `A: left, B: right`.

    `options_in("Is it open? (a) Open (b) Closed")` is `("Open", "Closed")`. The last list of at least two counts; its last
    option ends with the line. () when there is none, or an option without text.
    """
    found = [_listed(text, mark) for mark in _MARKS]
    return max(found, key=len)


def _listed(text: str, mark: re.Pattern[str]) -> tuple[str, ...]:
    best: list[re.Match[str]] = []
    run: list[re.Match[str]] = []
    for match in mark.finditer(text):
        if match[1].upper() == "A":
            run = [match]
        elif run and match[1] == chr(ord(run[0][1]) + len(run)):
            run.append(match)
        best = run if len(run) > 1 else best
    if not best:
        return ()
    ends = [*(match.start() for match in best[1:]), len(text)]
    pieces = [text[match.end() : end] for match, end in zip(best, ends, strict=True)]
    pieces[-1] = pieces[-1].split("\n")[0]
    options = tuple(" ".join(piece.split()).rstrip(" ,;([") for piece in pieces)
    return options if all(options) else ()
