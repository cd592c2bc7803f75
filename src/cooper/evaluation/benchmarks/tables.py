"""Rows of a published table (TSV, CSV or parquet) and their pictures; every fault is one sentence with file, row and field.

Pictures are files, bytes or base64 text, decoded each time they are asked for.
"""

import base64
import binascii
import csv
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

from cooper.errors import CooperError
from cooper.files.pictures import LazyPicture

DIGITS = 15  # of an index
EMPTY = frozenset({"", "nan", "NaN"})  # how an absent cell is written


@dataclass(frozen=True)
class TableRow:
    """One row: its cells by column, and where it stands (`number` counts from 1, without the header)."""

    cells: Mapping[str, Any]
    file: Path
    number: int

    @property
    def place(self) -> str:
        return f"{self.file}, row {self.number}"

    def get(self, field: str) -> str:
        """The text of a cell without outer space, "" for one that is empty, NaN or absent."""
        value = self.cells.get(field)
        if isinstance(value, bytes | dict | list):
            raise self.fault(field, f"must be a text or a number, not {type(value).__name__}")
        text = "" if value is None else str(value).strip()
        return "" if text in EMPTY else text

    def text(self, field: str) -> str:
        """The text of a cell that must not be empty."""
        text = self.get(field)
        if not text:
            raise self.fault(field, "is empty")
        return text

    def integer(self, field: str) -> int:
        """A cell that must hold a whole number."""
        text = self.text(field)
        if not text.removeprefix("-").isdecimal() or len(text) > DIGITS:
            raise self.fault(field, f"{text[:40]!r} is no whole number of at most {DIGITS} digits")
        return int(text)

    def fault(self, field: str, what: str) -> CooperError:
        """The exception for a cell at fault, to be raised."""
        return CooperError(f"{self.place}, field {field!r}: {what}")


def read_table(path: Path, required: Sequence[str], key: str = "") -> list[TableRow]:
    """All rows of a file, blank lines left out. CooperError: no such table, a missing column, or a malformed row.

    `key`: a required column whose values must differ.
    """
    rows = _parquet_rows(path, required) if path.suffix == ".parquet" else list(_text_rows(path, required))
    if not rows:
        raise CooperError(f"{path}: the table has no rows")
    if key:
        check_key(rows, key)
    return rows


def check_key(rows: Sequence[TableRow], key: str) -> None:
    """CooperError: a value of the column stands in two rows."""
    seen: dict[str, TableRow] = {}
    for row in rows:
        first = seen.setdefault(row.text(key), row)
        if first is not row:
            raise row.fault(key, f"{row.text(key)!r} stands in row {first.number} of {first.file.name} already")


def _text_rows(path: Path, required: Sequence[str]) -> Iterator[TableRow]:
    """Rows of a TSV or CSV file in UTF-8, with or without a byte order mark, quoted as spreadsheets do."""
    limit = csv.field_size_limit(sys.maxsize)  # one base64 picture passes the default of 128 KiB
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter="," if path.suffix == ".csv" else "\t", strict=True)
            names = [name.strip() for name in next(lines, [])]
            _check_columns(path, names, required)
            filled = (cells for cells in lines if any(cell.strip() for cell in cells))
            for number, cells in enumerate(filled, start=1):
                if len(cells) != len(names):
                    raise CooperError(f"{path}, row {number}: has {len(cells)} fields, the header has {len(names)}")
                yield TableRow(dict(zip(names, cells, strict=True)), path, number)
    except UnicodeDecodeError as error:
        raise CooperError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    except csv.Error as error:
        raise CooperError(f"{path}, line {lines.line_num}: not a table of quoted fields ({error})") from error
    except OSError as error:
        raise CooperError(f"{path}: cannot be read ({error.strerror})") from error
    finally:
        csv.field_size_limit(limit)


def _parquet_rows(path: Path, required: Sequence[str]) -> list[TableRow]:
    pyarrow, parquet = _arrow()
    try:
        table = parquet.read_table(path)
        rows = table.to_pylist()
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise CooperError(f"{path}: truncated or no parquet file") from error
    _check_columns(path, table.column_names, required)
    return [TableRow(cells, path, number) for number, cells in enumerate(rows, start=1)]


def _check_columns(path: Path, names: Sequence[str], required: Sequence[str]) -> None:
    missing = [name for name in required if name not in names]
    if missing:
        raise CooperError(f"{path}: column {missing[0]!r} is missing; it has {', '.join(map(repr, names)) or 'none'}")
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise CooperError(f"{path}: column {twice[0]!r} stands there twice")


def _arrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise CooperError("reading parquet files needs pyarrow: pip install pyarrow") from error
    return pyarrow, parquet


LONGEST_INDEX = 64  # characters; a longer `image` cell is a picture, as the published kits have it


def pictures_or_fault(row: TableRow, read: Callable[[], tuple[LazyPicture, ...]]) -> tuple[LazyPicture, ...]:
    """The pictures of a row, or one that says what is wrong with them: the questions that can be read need not wait for it."""
    try:
        return read()
    except CooperError as error:
        return (LazyPicture(row.place, b"", str(error)),)


class PictureColumn:
    """The `image` column of a table: base64 text, a list of such, or the index of the row that holds the picture."""

    def __init__(self, rows: Sequence[TableRow], key: str = "index", field: str = "image") -> None:
        self.field = field
        self._rows = {row.get(key): row for row in rows}
        self._known: dict[int, tuple[LazyPicture, ...]] = {}

    def of(self, row: TableRow) -> tuple[LazyPicture, ...]:
        """The pictures of a row. Rows that name one another share them."""
        cell = row.text(self.field)
        holder = row
        if len(cell) <= LONGEST_INDEX:
            if cell not in self._rows:
                raise row.fault(self.field, f"{cell!r} is neither a base64 picture nor the index of a row")
            holder = self._rows[cell]
            if len(holder.get(self.field)) <= LONGEST_INDEX:
                raise row.fault(self.field, f"names row {holder.number}, which holds no picture itself")
        if holder.number not in self._known:
            cells = split_list(holder.text(self.field))
            self._known[holder.number] = tuple(from_base64(holder, self.field, part) for part in cells)
        return self._known[holder.number]


def split_list(cell: str) -> list[str]:
    """The entries of a cell: `"a.png, b.png"` and `"['a.png', 'b.png']"` both give `["a.png", "b.png"]`.

    The comma of a data URI (`data:image/png;base64,...`) parts nothing.
    """
    inner = cell[1:-1] if cell.startswith("[") and cell.endswith("]") else cell
    parts = (part.strip().strip("'\"").strip() for part in re.split(r"(?<!;base64),", inner))
    return [part for part in parts if part]


def from_base64(row: TableRow, field: str, text: str) -> LazyPicture:
    """A picture written as base64 text, with or without a `data:` prefix. Its kind is checked, its pixels are not."""
    text = "".join(text.split("base64,", 1)[-1].split())
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise row.fault(field, f"not base64 ({error})") from error
    return from_bytes(row, field, content)


def from_bytes(row: TableRow, field: str, content: bytes) -> LazyPicture:
    """A picture given as the bytes of its file."""
    try:
        with Image.open(BytesIO(content)):
            pass
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise row.fault(field, f"its {len(content)} bytes are no picture") from error
    return LazyPicture(f"{row.place}, field {field!r}", content)


def from_files(row: TableRow, field: str, folders: Sequence[Path]) -> tuple[LazyPicture, ...]:
    """The files that a cell names, each looked for in the folders in turn. CooperError: one is in none of them."""
    return tuple(from_file(row, field, name, folders) for name in split_list(row.text(field)))


def from_file(row: TableRow, field: str, name: str, folders: Sequence[Path]) -> LazyPicture:
    """One picture file. The published loader drops all space within a path, so that is tried too."""
    for folder in folders:
        for path in (folder / name, folder / "".join(name.split())):
            if "\0" not in name and path.is_file():
                return LazyPicture(f"{row.place}, field {field!r}", path)
    raise row.fault(field, f"picture {name!r} is in none of {', '.join(map(str, folders))}")
