"""MM-Vet (Yu et al., 2023): 218 open questions, each asking for several capabilities at once; a judge grades the replies."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.evaluation.benchmarks.items import BenchmarkSet, checked_set, item_id
from cooper.evaluation.benchmarks.tables import (
    PictureColumn,
    TableRow,
    check_key,
    from_bytes,
    from_files,
    pictures_or_fault,
    read_table,
)
from cooper.files.hub import find_files, local_data
from cooper.files.pictures import LazyPicture
from cooper.files.rows import read_json
from cooper.trace.steps import Question

HUB = "whyu/mm-vet"
EXPECTED = 218
PICTURES = ("images/*", "*/images/*")
FILES = ("mm-vet.json", "*/mm-vet.json", "MMVet.tsv", "data/test-*.parquet", "*.parquet")


def read_mm_vet(data: str | Path = HUB) -> BenchmarkSet:
    """The questions of the published `mm-vet.json` with its `images`, of a kit's `MMVet.tsv`, or of the hub's parquet files.

    Items have the type Text and the truth as published, with <AND> between all that must be said and <OR> between what
    will do. The category joins the capabilities: "math_ocr". Nothing is added to the question.
    """
    files = find_files(local_data(data, (*FILES, *PICTURES)), FILES)
    if files[0].suffix == ".json":
        items = _from_json(files[0])
    elif files[0].suffix == ".parquet":
        items = [item for path in files for item in _from_parquet(path)]
    else:
        rows = read_table(files[0], ("index", "question", "answer", "category", "image"), key="index")
        column = PictureColumn(rows)
        found = [(row, pictures_or_fault(row, partial(column.of, row))) for row in rows]
        items = [_item(row, row.text("index"), pictures, "category") for row, pictures in found]
    return checked_set("mm-vet", items, EXPECTED)


def _from_json(path: Path) -> list[Item]:
    """Entries by id, each with `imagename`, `question`, `answer` and the list `capability`."""
    try:
        entries = read_json(path)
    except CooperError as error:
        raise CooperError(f"{path}: not the questions of MM-Vet ({str(error).removeprefix(f'{path}: ')})") from None
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise CooperError(f"{path}: not an object with one object for each question")
    items = []
    for number, (name, entry) in enumerate(entries.items(), start=1):
        row = TableRow({**entry, "id": name}, path, number)
        folders = (path.parent / "images", path.parent)
        pictures = pictures_or_fault(row, partial(from_files, row, "imagename", folders))
        if not isinstance(entry.get("capability"), list):
            raise row.fault("capability", f"{entry.get('capability')!r} is no list of names")
        items.append(_item(row, name, pictures))
    return items


def _from_parquet(path: Path) -> list[Item]:
    rows = read_table(path, ("question", "answer", "capability", "image"))
    key = "id" if "id" in rows[0].cells and "question_id" not in rows[0].cells else "question_id"  # both are about
    check_key(rows, key)
    return [_item(row, row.text(key), pictures_or_fault(row, partial(_cell_picture, row))) for row in rows]


def _cell_picture(row: TableRow) -> tuple[LazyPicture, ...]:
    image = row.cells["image"]
    content = image.get("bytes") if isinstance(image, Mapping) else image
    if not isinstance(content, bytes):
        raise row.fault("image", "holds no picture")
    return (from_bytes(row, "image", content),)


def _item(row: TableRow, name: str, pictures: tuple[LazyPicture, ...], field: str = "capability") -> Item:
    cell = row.cells.get(field)
    wanted = cell if isinstance(cell, list) else row.text(field).split(",")
    if not wanted or not all(isinstance(word, str) and word.strip() for word in wanted):
        raise row.fault(field, f"{cell!r} is no list of names")
    id = item_id("mm-vet", name)
    return Item(
        id=id,
        category="_".join(sorted(word.strip() for word in wanted)),
        group="general",
        question=Question((*pictures, row.text("question")), id=id),
        type="Text",
        truth=row.text("answer"),
        scoring="judge",
    )
