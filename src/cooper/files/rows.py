"""JSON Lines and whole files: appended as they come, read back after an interruption, none lost and none twice."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cooper.errors import CooperError

Row = Mapping[str, Any]  # one JSON object


def read_rows(path: Path) -> list[Row]:
    """All complete rows of a file, [] if there is none. CooperError names a line that is no row.

    A last line without its end is what a killed run left behind: it is passed over.
    """
    if not path.is_file():
        return []
    *lines, _torn = path.read_bytes().split(b"\n")
    return [_row(line, path, number) for number, line in enumerate(lines, start=1) if line]


def _row(line: bytes, path: Path, number: int) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise CooperError(f"{path}, line {number}: not JSON ({error})") from error
    if not isinstance(row, dict):
        raise CooperError(f"{path}, line {number}: not a JSON object")
    return row


def append_rows(path: Path, rows: Iterable[Row]) -> None:
    """Add rows in one write that reaches the disk. A torn last line is cut off first."""
    text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab+") as file:
        end = file.seek(0, os.SEEK_END)
        whole = _whole_lines(file, end)
        if whole < end:
            file.truncate(whole)
        file.write(text.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())


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


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)


def batches(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Consecutive pieces of at most `size` items."""
    if size < 1:
        raise CooperError(f"batch size must be at least 1, got {size}")
    return [items[start : start + size] for start in range(0, len(items), size)]
