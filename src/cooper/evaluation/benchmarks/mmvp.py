"""MMVP (Tong et al., 2024): 300 questions in 150 pairs of pictures that look alike to CLIP.

Each question counts by itself in the COOPER paper; the official score asks for both of a pair. The labels are those
published, although four of them are disputed (questions 99, 100, 279 and 280: issue 30 of the published repository).
"""

import re
from functools import partial
from pathlib import Path

from cooper.data.item import Item
from cooper.evaluation.benchmarks.items import (
    LETTER,
    BenchmarkSet,
    answer_letter,
    checked_set,
    column_options,
    item_id,
    truth_text,
    worded,
)
from cooper.evaluation.benchmarks.tables import PictureColumn, TableRow, from_file, pictures_or_fault, read_table
from cooper.files.hub import find_files, local_data
from cooper.files.pictures import LazyPicture
from cooper.trace.asked import options_in
from cooper.trace.steps import Question

HUB = "MMVP/MMVP"
EXPECTED = 300
FILES = ("Questions.csv", "MMVP.tsv", "*/Questions.csv")
PICTURES = "MMVP Images"


def read_mmvp(data: str | Path = HUB) -> BenchmarkSet:
    """The questions of the published folder (`Questions.csv` and `MMVP Images/1.jpg` ..), or of a kit's `MMVP.tsv`.

    Questions 1 and 2 are a pair, 3 and 4 the next; in a table that counts from 0, questions 0 and 1 are.
    """
    path = find_files(local_data(data, ("Questions.csv", f"{PICTURES}/*")), FILES)[0]
    items = _published(path) if path.suffix == ".csv" else _from_tsv(path)
    return checked_set("mmvp", items, EXPECTED)


def _published(path: Path) -> list[Item]:
    rows = read_table(path, ("Index", "Question", "Options", "Correct Answer"), key="Index")
    first = min(row.integer("Index") for row in rows)
    items = []
    for row in rows:
        options = options_in(row.text("Options"))
        if len(options) < 2:
            raise row.fault("Options", f"{row.text('Options')!r} lists no options (a) and (b)")
        items.append(_item(row, "Index", options, pictures_or_fault(row, partial(_file, row)), first))
    return items


def _from_tsv(path: Path) -> list[Item]:
    rows = read_table(path, ("index", "question", "A", "B", "answer", "image"), key="index")
    first = min(row.integer("index") for row in rows)
    column = PictureColumn(rows)
    found = [(row, pictures_or_fault(row, partial(column.of, row))) for row in rows]
    return [_item(row, "index", column_options(row), pictures, first) for row, pictures in found]


def _item(row: TableRow, key: str, options: tuple[str, ...], pictures: tuple[LazyPicture, ...], first: int) -> Item:
    names = {"Index": ("Question", "Correct Answer"), "index": ("question", "answer")}[key]
    number = row.integer(key)
    letter = answer_letter(row, names[1], options)
    id = item_id("mmvp", str(number))
    return Item(
        id=id,
        category="mmvp",
        group="spatial",
        question=Question((*pictures, worded(row.text(names[0]), options, LETTER)), id=id),
        type="MCQ",
        truth=truth_text(letter, options),
        choices=options,
        bundle=f"pair-{number // 2 if first == 0 else (number - 1) // 2}",
    )


def _file(row: TableRow) -> tuple[LazyPicture, ...]:
    number, folder = row.integer("Index"), row.file.parent / PICTURES
    names = [path.name for path in sorted(folder.glob(f"{number}.*")) if re.fullmatch(r"(?i)\.(jpe?g|png|webp)", path.suffix)]
    return (from_file(row, "Index", names[0] if names else f"{number}.jpg", (folder,)),)
