"""Options of a multiple-choice row: read from its columns or from the text of its question."""

import re
from string import ascii_uppercase

from cooper.evaluation.benchmarks.tables import Row

_MARKS = (  # how an option begins, the surest first
    re.compile(r"(?:(?<=[\s,;:.?])|^)\(([A-Za-z])\)\s*(?=\S)"),
    re.compile(r"(?:(?<=[\s,;:?(\[])|^)([A-Z])[.)]\s*(?=\S)"),
    re.compile(r"(?:(?<=[\s,;:?(\[])|^)([A-Z]):\s*(?=\S)"),
)
UNKNOWN = 4  # letters that are read, at least, where the options cannot be told


def column_options(row: Row) -> tuple[str, ...]:
    """The columns A, B .. up to the last one that is filled, () without any. CooperError: an empty one before that."""
    filled = [letter for letter in ascii_uppercase if row.get(letter)]
    if len(filled) > 1 and filled != list(ascii_uppercase[: len(filled)]):
        gap = next(letter for letter in ascii_uppercase if letter not in filled)
        raise row.fault(gap, f"is empty, but option {filled[-1]} is not")
    return tuple(row.get(letter) for letter in filled) if len(filled) > 1 else ()


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


def stand_ins(answer: str) -> tuple[str, ...]:
    """Options where only letters are known, enough for the right one: `stand_ins("E")` is `("option A", .. "option E")`."""
    count = max(UNKNOWN, ascii_uppercase.index(answer) + 1 if answer else 0)
    return tuple(f"option {letter}" for letter in ascii_uppercase[:count])


def are_stand_ins(options: tuple[str, ...]) -> bool:
    """Whether the options are not those of the row but `stand_ins`."""
    return options[:1] == stand_ins("")[:1]


def answer_letter(row: Row, field: str, options: tuple[str, ...]) -> str:
    """The letter that a cell names as `B`, `(b)`, `B.` or by an option's text. CooperError: none of the options."""
    cell = row.text(field)
    letter = bare_letter(cell)
    if letter and ascii_uppercase.index(letter) < len(options):
        return letter
    same = [place for place, option in enumerate(options) if option.casefold() == cell.casefold()]
    if len(same) != 1:
        raise row.fault(field, f"{cell!r} is none of the {len(options)} options")
    return ascii_uppercase[same[0]]


def truth_text(letter: str, options: tuple[str, ...]) -> str:
    """The right option as `Item.truth`: its text, which cannot be taken for another letter, or the letter if two are alike.

    The option "B" of ("B", "A") has the letter A: as a truth, "A" could mean either.
    """
    text = options[ascii_uppercase.index(letter)]
    return text if sum(text.casefold() == option.casefold() for option in options) == 1 else letter


def bare_letter(cell: str) -> str:
    """The letter of `B`, `(b)`, `b)` or `B.`, "" when a cell holds anything else."""
    match = re.fullmatch(r"[(\[]?\s*([A-Za-z])\s*[)\].:]?", cell.strip())
    return match[1].upper() if match else ""
