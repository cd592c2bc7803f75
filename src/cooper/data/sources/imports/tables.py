"""Rows of other layouts where they lie: parquet files, JSON Lines, or one JSON list; each with its place."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

from cooper.errors import CooperError
from cooper.files.rows import Line, line_places, parsed, read_json, read_line

SUFFIXES = (".parquet", ".jsonl", ".json")
BATCH = 16  # rows of a parquet file that are read together
PROBED = 32  # rows of a list whose fields are looked at
NOT_ROWS = ("parquet_info",)  # names that begin files which list others


@dataclass(frozen=True)
class LostRow:
    """A row that cannot be read: where it stands, and what is wrong."""

    place: str
    said: str


def tables_in(place: Path) -> list[Path]:
    """The files of rows in a folder and those below, or the file itself. CooperError: there is none."""
    if not place.exists():
        raise CooperError(f"{place}: not found")
    if place.is_file():
        if place.suffix not in SUFFIXES:
            raise CooperError(f"{place} is no file of rows; they end in {', '.join(SUFFIXES)}")
        return [place]
    found = [path for path in sorted(place.rglob("*")) if path.suffix in SUFFIXES and path.is_file() and _holds_rows(path)]
    kinds = [suffix for suffix in SUFFIXES if any(path.suffix == suffix for path in found)]
    if not kinds:
        raise CooperError(f"{place} holds no files of rows ({', '.join(SUFFIXES)})")
    return [path for path in found if path.suffix == kinds[0]]


def _holds_rows(path: Path) -> bool:
    return not path.name.startswith(".") and not any(part.startswith(NOT_ROWS) for part in path.parts)


def count_of(path: Path) -> int:
    """How many rows a file has. CooperError: it cannot be read."""
    if path.suffix == ".parquet":
        return _opened(path).metadata.num_rows
    if path.suffix == ".json":
        return len(_list(path))
    return sum(1 for _ in line_places(path))


def fields_of(path: Path) -> list[str]:
    """The columns of a parquet file, or the fields of the first rows of another. CooperError: it cannot be read."""
    if path.suffix == ".parquet":
        return list(_opened(path).schema_arrow.names)
    lines = (line for line in islice(rows_from(path, 0), PROBED) if isinstance(line, Line))
    return list(dict.fromkeys(name for line in lines for name in line.values))


def rows_from(path: Path, first: int) -> Iterator[Line | LostRow]:
    """The rows of a file from number `first` (from 0) on. CooperError: the file cannot be read at all."""
    if path.suffix == ".parquet":
        yield from _parquet_rows(path, first)
    elif path.suffix == ".json":
        for number, values in enumerate(_list(path)[first:], start=first + 1):
            yield _row(values, f"{path}, row {number}")
    else:
        for place, start in islice(line_places(path), first, None):
            try:
                yield read_line(path, place, start)
            except CooperError as error:
                yield LostRow(place, str(error).removeprefix(f"{place}: "))


def _list(path: Path) -> list[Any]:
    values = read_json(path)
    if not isinstance(values, list):
        raise CooperError(f"{path} holds no list of rows")
    return values


def _row(values: Any, place: str) -> Line | LostRow:
    return Line(values, place) if isinstance(values, dict) else LostRow(place, "not a JSON object")


def _opened(path: Path) -> Any:
    pyarrow, parquet = _arrow()
    try:
        return parquet.ParquetFile(path)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise CooperError(f"{path}: truncated or no parquet file ({' '.join(str(error).split())[:120]})") from None


def _parquet_rows(path: Path, first: int) -> Iterator[Line | LostRow]:
    """Row groups before `first` are not read; of a damaged one the rows behind the damage are lost."""
    pyarrow, _ = _arrow()
    file, begin = _opened(path), 0
    for group in range(file.num_row_groups):
        number, end = begin, begin + file.metadata.row_group(group).num_rows
        try:
            for batch in file.iter_batches(batch_size=BATCH, row_groups=[group]) if end > first else ():
                for place in range(batch.num_rows):
                    number += 1
                    if number > first:
                        yield _cells(batch.slice(place, 1), f"{path}, row {number}")
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            reason = " ".join(str(error).split())[:120]
            for lost in range(max(number, first) + 1, end + 1):
                yield LostRow(f"{path}, row {lost}", f"damaged, with all behind it in its row group ({reason})")
        begin = end


def _cells(row: Any, place: str) -> Line | LostRow:
    """The one row of a batch."""
    try:
        return Line(row.to_pylist()[0], place)
    except UnicodeDecodeError as error:
        return LostRow(place, f"not UTF-8 text: {error.reason} at byte {error.start} of a text")
    except (ValueError, OverflowError) as error:
        return LostRow(place, f"holds a value that cannot be read ({error})")


def json_cell(line: Line, name: str) -> Any:
    """A field that holds JSON as a text. CooperError: it is missing, or no JSON."""
    value = line.values.get(name)
    if not isinstance(value, str):
        raise CooperError(f"{line.place}: the field {name!r} is missing or no text")
    return parsed(value.encode("utf-8", "surrogatepass"), f"{line.place}, field {name!r}")


def _arrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise CooperError("parquet files need pyarrow: pip install pyarrow") from None
    return pyarrow, parquet
