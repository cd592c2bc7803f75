"""From rows to items: how a question is put (the wording is ours), which options it has, and the set of a benchmark."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.evaluation.benchmarks.tables import TableRow
from cooper.files.pictures import LazyPicture

LETTER = "Answer with the letter of the right option only."
YES_NO = "Answer with yes or no only."
NUMBER = "Answer with a single number only."
DISTANCE = "Answer with one number and its unit of length."
WANTED = {"MCQ": LETTER, "YN": YES_NO, "Number": NUMBER, "Number_Int": NUMBER}
"""The instruction for each type of question."""


def worded(question: str, options: Sequence[str] = (), instruction: str = "", hint: str = "") -> str:
    """One text of lines: hint, question, `A. ...` for each option, instruction; what is empty is left out."""
    # more letters than options
    listed = [f"{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False)]
    return "\n".join(line for line in (hint, question, *listed, instruction) if line)


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


@dataclass(frozen=True)
class BenchmarkSet:
    """Questions of one benchmark. `expected`: how many were published, 0 if that is not known.

    `notes` say in a sentence each what a reader of the figures must know: another number of questions, rows left out.
    """

    name: str
    items: tuple[Item, ...]
    expected: int
    notes: tuple[str, ...] = ()


class BadPicturesError(CooperError):
    """Some questions have pictures that cannot be read; `found` holds all questions, `faults` says of which and why, by id."""

    def __init__(self, found: BenchmarkSet, faults: Mapping[str, str]) -> None:
        super().__init__(next(iter(faults.values())))
        self.found, self.faults = found, faults


def checked_set(
    name: str, items: Sequence[Item], expected: int, notes: Sequence[str] = (), found: int | None = None
) -> BenchmarkSet:
    """The set, with a note if its number of questions is not the expected one.

    `found`: questions where one has several items, else their number. CooperError: no items, two of one id, or pictures that
    cannot be read (`BadPicturesError`).
    """
    if not items:
        raise CooperError(f"{name}: no question is left to ask")
    twice = [id for id, count in Counter(item.id for item in items).items() if count > 1]
    if twice:
        raise CooperError(f"{name}: two questions have one id: {twice[0]}")
    found = len(items) if found is None else found
    counted = [f"{name}: {found} questions, {expected} were published"] if expected and found != expected else []
    whole = BenchmarkSet(name, tuple(items), expected, (*counted, *notes))
    faults = {
        item.id: part.fault for item in items for part in item.question.parts if isinstance(part, LazyPicture) and part.fault
    }
    if faults:
        raise BadPicturesError(whole, faults)
    return whole


def item_id(name: str, index: str) -> str:
    """The id of a question, fit to name a folder: `item_id("mmvp", "7/2")` is `"mmvp-7_2"`."""
    return re.sub(r"[^\w.+-]+", "_", f"{name}-{index}")
