"""Options of a multiple-choice row: read from its columns or from the text of its question."""

import re
from string import ascii_uppercase

from cooper.evaluation.benchmarks.tables import TableRow

UNKNOWN = 4  # letters that are read, at least, where the options cannot be told


def column_options(row: TableRow) -> tuple[str, ...]:
    """The columns A, B .. up to the last one that is filled, () without any. CooperError: an empty one before that."""
    filled = [letter for letter in ascii_uppercase if row.get(letter)]
    if len(filled) > 1 and filled != list(ascii_uppercase[: len(filled)]):
        gap = next(letter for letter in ascii_uppercase if letter not in filled)
        raise row.fault(gap, f"is empty, but option {filled[-1]} is not")
    return tuple(row.get(letter) for letter in filled) if len(filled) > 1 else ()


def stand_ins(answer: str) -> tuple[str, ...]:
    """Options where only letters are known, enough for the right one: `stand_ins("E")` is `("option A", .. "option E")`."""
    count = max(UNKNOWN, ascii_uppercase.index(answer) + 1 if answer else 0)
    return tuple(f"option {letter}" for letter in ascii_uppercase[:count])


def are_stand_ins(options: tuple[str, ...]) -> bool:
    """Whether the options are not those of the row but `stand_ins`."""
    return options[:1] == stand_ins("")[:1]


def answer_letter(row: TableRow, field: str, options: tuple[str, ...]) -> str:
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
