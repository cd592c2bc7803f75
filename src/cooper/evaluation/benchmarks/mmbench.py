"""MMBench v1.1 (Liu et al., 2024): choices with pictures, asked once or with the options rotated.

In a circular evaluation a question is put once for each of its options, which move on by one each time, and counts as
right when all rotations are. The tables hold them: the rotations of question 241 have the indices 1000241, 2000241 ..
The COOPER paper reports `MMBench_V11_MINI`, 108 questions.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from string import ascii_uppercase

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
from cooper.evaluation.benchmarks.tables import PictureColumn, TableRow, pictures_or_fault, read_table
from cooper.files.hub import find_files, local_data
from cooper.files.pictures import LazyPicture
from cooper.trace.steps import Question

MINI = "MMBench_V11_MINI"
DEV = "MMBench_DEV_EN_V11"
EXPECTED: Mapping[str, int] = {MINI: 108}
COLUMNS = ("index", "question", "A", "B", "answer", "image")
TURN = 1_000_000  # what a rotation adds to the index


def read_mmbench(data: str | Path, table: str = MINI, circular: bool = True) -> BenchmarkSet:
    """The questions of a folder with `<table>.tsv`, or of that file.

    Plain: the rows as first written. `circular`: their rotations too, as bundles, made here where the table has none. The
    hint stands above the question, the options and our instruction below.
    """
    path = find_files(local_data(data, (f"{table}.tsv",)), (f"{table}.tsv",))[0]
    rows = read_table(path, COLUMNS, key="index")
    column = PictureColumn(rows)

    def shown(row: TableRow) -> tuple[LazyPicture, ...]:
        return pictures_or_fault(row, lambda: column.of(row))

    items: list[Item] = []
    for main, turned in _families(rows):
        first = _item(main, shown(main))
        if not circular:
            items.append(replace(first, bundle=""))
        elif turned:
            items += [first, *(_item(row, shown(row)) for row in turned)]
        else:
            items += [_item(main, shown(main), turn) for turn in range(len(first.choices))]
    questions = sum(row.integer("index") < TURN for row in rows)
    name = f"{table.lower().replace('_', '-')}{'' if circular else '-plain'}"
    return checked_set(name, items, EXPECTED.get(table, 0), _notes(rows), found=questions)


def rotated(options: tuple[str, ...], turn: int) -> tuple[str, ...]:
    """The options moved on by `turn` places: `rotated(("left", "right", "up"), 1)` is `("right", "up", "left")`."""
    return options[turn:] + options[:turn]


def _families(rows: Sequence[TableRow]) -> list[tuple[TableRow, list[TableRow]]]:
    """Each question's row with the rows of its rotations, in order of the table."""
    families = {row.integer("index"): (row, []) for row in rows if row.integer("index") < TURN}
    for row in rows:
        turn, main = divmod(row.integer("index"), TURN)
        if turn and main not in families:
            raise row.fault("index", f"is a rotation of {main}, which is not in the table")
        if turn:
            families[main][1].append(row)
    return list(families.values())


def _item(row: TableRow, pictures: tuple[LazyPicture, ...], turn: int = 0) -> Item:
    written = column_options(row)
    if not written:
        raise row.fault("B", "is empty, but a question needs two options")
    options = rotated(written, turn)
    right = ascii_uppercase.index(answer_letter(row, "answer", written)) - turn
    index = row.integer("index") + turn * TURN
    id = item_id("mmbench", str(index))
    return Item(
        id=id,
        category=row.get("category") or "mmbench",
        group="general",
        question=Question((*pictures, worded(row.text("question"), options, LETTER, row.get("hint"))), id=id),
        type="MCQ",
        truth=truth_text(ascii_uppercase[right % len(options)], options),
        choices=options,
        bundle=f"question-{index % TURN}",
    )


def _notes(rows: Sequence[TableRow]) -> list[str]:
    """Which splits the questions are from, if from several: published figures are given for each."""
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        counts[row.get("split") or "none"] += row.integer("index") < TURN
    told = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    return [f"questions by split: {told}; published figures are given for each split"] if len(counts) > 1 else []
