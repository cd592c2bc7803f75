"""JSON, JSON Lines and whole files: appended as they come, read back after an interruption, none lost and none twice.

The one reader of JSON that others may have written: whatever is wrong with it is a CooperError that names file, line and field.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar, get_type_hints

from cooper.errors import CooperError
from cooper.files.values import build

Row = Mapping[str, Any]  # one JSON object
LONGEST_LINE = 16 << 20  # bytes; more is no row of ours, and would have to be held in memory several times
LARGEST_FILE = 256 << 20  # bytes of one JSON value
DIGITS = 300  # of a whole number; more does not fit a float
_T = TypeVar("_T")


@dataclass(frozen=True)
class Line:
    """One row and where it stands: `"out/rows.jsonl, line 3"`."""

    values: Row
    place: str
    start: int = 0  # bytes of the file before it

    def as_a(self, kind: type[_T]) -> _T:
        """The row as a dataclass. CooperError names the field that is missing, unknown or of another type."""
        for name, hint in get_type_hints(kind).items():
            if hint is float and isinstance(self.values.get(name), str):
                raise CooperError(f"{self.place}: {name} must be a number, not {self.values[name]!r}")
        return build(kind, self.values, self.place)


def read_rows(path: Path, lenient: bool = False) -> list[Row]:
    """As `read_lines`, without their places."""
    return [line.values for line in read_lines(path, lenient=lenient)]


def read_lines(path: Path, last_is_whole: bool = False, lenient: bool = False, longest: int = LONGEST_LINE) -> Iterator[Line]:
    """The rows of a JSON Lines file, none if there is no such file. CooperError names a line that is no row, or has more than
    `longest` bytes.

    A last line without its end is what a killed run left behind: it is passed over, unless `last_is_whole`, for a file that a
    person wrote. Lines end with \\n alone: U+2028 and its like may stand in a text. `lenient`: as in `read_json`.
    """
    if not _exists(path):
        return
    try:
        with open(path, "rb") as file:
            end = 0
            for number, line in enumerate(_lines_of(file, path, longest), start=1):
                start, end = end, end + len(line)
                if not line.strip() or not (line.endswith(b"\n") or last_is_whole):
                    continue
                place = f"{path}, line {number}"
                yield Line(_row(line, place, lenient, first=number == 1), place, start)
    except OSError as error:
        raise CooperError(f"cannot read {path}: {error.strerror}") from None


def line_places(path: Path) -> Iterator[tuple[str, int]]:
    """Where the rows of a JSON Lines file stand, none of them parsed: the place and start that `read_line` takes. Lines without
    a word are passed over. CooperError: the file cannot be read, or is none."""
    if not _exists(path):
        raise CooperError(f"{path}: not found")
    try:
        with open(path, "rb") as file:
            number, end = 0, 0
            while line := file.readline():
                number, start, end = number + 1, end, end + len(line)
                if line.strip():
                    yield f"{path}, line {number}", start
    except OSError as error:
        raise CooperError(f"cannot read {path}: {error.strerror}") from None


def read_line(path: Path, place: str, start: int) -> Line:
    """One row of a file again, by the place and start that `read_lines` told. CooperError: the file has changed since."""
    try:
        with open(path, "rb") as file:
            file.seek(start)
            content = file.readline(LARGEST_FILE).rstrip(b"\r\n")  # its end is no part of a text that was cut off
            return Line(_row(content, place, False, first=start == 0), place, start)
    except OSError as error:
        raise CooperError(f"cannot read {path}: {error.strerror}") from None


def _row(content: bytes, place: str, lenient: bool, first: bool) -> Row:
    values = parsed(content.removeprefix(b"\xef\xbb\xbf") if first else content, place, lenient)
    if not isinstance(values, dict):
        raise CooperError(f"{place}: not a JSON object")
    return values


def _lines_of(file: BinaryIO, path: Path, longest: int) -> Iterator[bytes]:
    number = 0
    while line := file.readline(longest + 1):
        number += 1
        if len(line) > longest:
            raise CooperError(f"{path}, line {number}: has more than {longest >> 20} MiB, so it is no row")
        yield line


def read_json(path: Path, lenient: bool = False) -> Any:
    """The one JSON value in a file. CooperError names the file: it is missing, too large, not JSON, not UTF-8.

    Python's own JSON, as traces and configurations are written, also holds NaN, infinities and halves of characters: those are
    read with `lenient`.
    """
    if not _exists(path):
        raise CooperError(f"cannot read {path}: No such file or directory")
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise CooperError(f"cannot read {path}: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise CooperError(f"{path} has more than {LARGEST_FILE >> 20} MiB")
    return parsed(content.removeprefix(b"\xef\xbb\xbf"), str(path), lenient)


def read_object(path: Path, lenient: bool = False) -> dict[str, Any]:
    """As `read_json`, where the value must be an object."""
    value = read_json(path, lenient)
    if not isinstance(value, dict):
        raise CooperError(f"{path}: not a JSON object")
    return value


def _exists(path: Path) -> bool:
    """Whether there is such a file. CooperError: there is something else, which may never end or cannot be read."""
    try:
        if path.is_file():
            return True
        there = path.exists()
    except (OSError, ValueError) as error:
        raise CooperError(f"cannot read {str(path)!r}: {error}") from None
    if there:
        raise CooperError(f"cannot read {path}: it is {'a folder' if path.is_dir() else 'no regular file'}")
    return False


def parsed(content: bytes, place: str, lenient: bool = False) -> Any:
    """The JSON value of some bytes; every fault is a CooperError that begins with `place`. `lenient`: as in `read_json`."""
    numbers = {"parse_float": _number, "parse_constant": _constant} if not lenient else {}
    try:
        text = content.decode("utf-8", "surrogatepass" if lenient else "strict")
        value = json.loads(text, parse_int=_whole_number, object_pairs_hook=_object, **numbers)
    except UnicodeDecodeError as error:
        hint = " (it looks like UTF-16: save it as UTF-8)" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise CooperError(f"{place}: not UTF-8 text: {error.reason} at byte {error.start}{hint}") from None
    except RecursionError:
        raise CooperError(f"{place}: not JSON that can be read: it is nested too deeply") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, character {error.colno}" if error.lineno > 1 else f"character {error.colno}"
        raise CooperError(f"{place}: not JSON ({error.msg} at {where})") from None
    except ValueError as error:
        raise CooperError(f"{place}: not JSON ({error})") from None
    if not lenient and re.search(r"\\u[dD][89a-fA-F]", text):
        _check_surrogates(value, place)
    return value


def _whole_number(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:20]} is too large")
    return value


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return found


def _check_surrogates(value: Any, place: str) -> None:
    """CooperError: a text holds half of a character, which no file and no terminal can take."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise CooperError(
            f"{place}: a text holds half of a character (a lone surrogate, {error.object[error.start]!r})"
        ) from None


def append_rows(path: Path, rows: Iterable[Row]) -> None:
    """Add rows in one write that reaches the disk. A torn last line is cut off first. CooperError: they cannot be written."""
    text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab+") as file:
            end = file.seek(0, os.SEEK_END)
            whole = _whole_lines(file, end)
            if whole < end:
                file.truncate(whole)
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CooperError(f"cannot write {path}: {error.strerror}") from None


def _whole_lines(file: Any, end: int) -> int:
    """Bytes up to the end of the last complete line."""
    step = 1 << 16
    for stop in range(end, 0, -step):
        start = max(0, stop - step)
        file.seek(start)
        last = file.read(stop - start).rfind(b"\n")
        if last >= 0:
            return start + last + 1
    return 0


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that it is there whole or not at all. CooperError: it cannot be written."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise CooperError(f"cannot write {path}: {error.strerror}") from None


def batches(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Consecutive pieces of at most `size` items."""
    if size < 1:
        raise CooperError(f"batch size must be at least 1, got {size}")
    return [items[start : start + size] for start in range(0, len(items), size)]
