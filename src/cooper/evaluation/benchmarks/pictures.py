"""Pictures of a table's rows: files, bytes or base64 text, decoded each time they are asked for."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from cooper.errors import CooperError
from cooper.evaluation.benchmarks.tables import TableRow
from cooper.files.pictures import LazyPicture

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
