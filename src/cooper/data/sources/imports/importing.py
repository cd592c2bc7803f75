"""Imports a whole source: its rows become a file of traces with pictures beside it, piece by piece, so that a broken run goes
on.

    DST/traces.jsonl      the traces, as `cooper train sft` reads them
    DST/images/           their pictures
    DST/faults.jsonl      rows of the source that could not be read, each with its place and what is wrong
    DST/import.json       what is imported, and how far
"""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from cooper.data.sources.imports.kinds import KINDS, row_reader
from cooper.data.sources.imports.tables import LostRow, count_of, rows_from, tables_in
from cooper.data.sources.imports.writing import RowWriter
from cooper.errors import CooperError
from cooper.files.locks import held
from cooper.files.rows import Line, append_rows, read_object, write_whole
from cooper.files.values import build

ROWS, FAULTS, STATE = "traces.jsonl", "faults.jsonl", "import.json"
PIECE = 32  # rows of the source that are written together
Progress = Callable[[int], None]  # rows of the source just done


@dataclass(frozen=True, kw_only=True)
class ImportSettings:
    """One import. `images`: the folder of the pictures that rows name, by default that of the file, or `images` beside it.
    `clean`: of clear, the folder of the clean pictures, by default `clean` beside that of the file."""

    kind: str
    source: Path
    out: Path
    images: Path | None = None
    clean: Path | None = None
    workers: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise CooperError(f"unknown kind {self.kind!r}; known: {', '.join(KINDS)}")
        if self.clean is not None and self.kind != "clear":
            raise CooperError(f"clean pictures are those of clear, and not of {self.kind}")

    @property
    def told(self) -> dict[str, str | None]:
        """What may not change between two runs."""
        places = {"source": self.source, "images": self.images, "clean": self.clean}
        return {"kind": self.kind, **{name: None if place is None else str(place.resolve()) for name, place in places.items()}}


@dataclass(frozen=True)
class Imported:
    """What an import made: rows of the source that were read, traces, and those that could not be read, with the first
    reason."""

    rows: int
    traces: int
    faults: int
    first: str = ""


@dataclass(frozen=True)
class _State:
    """How far an import is: rows done, traces and faults made, and bytes of both files."""

    rows: int = 0
    traces: int = 0
    faults: int = 0
    first: str = ""
    bytes_rows: int = 0
    bytes_faults: int = 0


def import_rows(settings: ImportSettings, tables: Sequence[Path], progress: Progress) -> Imported:
    """Import what is missing. CooperError: `out` holds another import, or a file of the source cannot be read at all."""
    with held(settings.out, "cooper data import"):
        state = _begun(settings)
        write_whole(settings.out / STATE, _json(settings, state))
        progress(state.rows)
        for lines in _pieces(_all_rows(tables, state.rows)):
            state = _written(settings, state, lines)
            write_whole(settings.out / STATE, _json(settings, state))
            progress(len(lines))
    return Imported(state.rows, state.traces, state.faults, state.first)


def source_tables(settings: ImportSettings) -> tuple[list[Path], int]:
    """The files of a source and how many rows they have. CooperError: there are none, or one cannot be read."""
    tables = tables_in(settings.source)
    count = sum(map(count_of, tables))
    if not count:
        raise CooperError(f"{settings.source} holds no row")
    return tables, count


def _begun(settings: ImportSettings) -> _State:
    """Where to go on; what was written behind that is cut off."""
    path = settings.out / STATE
    said = read_object(path) if path.is_file() else {}
    if said and {name: said.get(name) for name in settings.told} != settings.told:
        raise CooperError(
            f"{settings.out} holds an import of {said.get('kind')} from {said.get('source')}; name another folder"
        )
    state = build(_State, said.get("state", {}), str(path))
    for name, size in ((ROWS, state.bytes_rows), (FAULTS, state.bytes_faults)):
        place = settings.out / name
        if size and (not place.is_file() or place.stat().st_size < size):
            raise CooperError(f"{place} is shorter than the import left it; remove {settings.out} and import again")
        if place.exists():
            with open(place, "rb+") as file:
                file.truncate(size)
    return state


def _json(settings: ImportSettings, state: _State) -> str:
    return json.dumps({**settings.told, "state": state.__dict__}, indent=1) + "\n"


def _all_rows(tables: Sequence[Path], first: int) -> Iterator[tuple[int, Line | LostRow]]:
    """The rows of all files from number `first` on, each with its number."""
    number = 0
    for path in tables:
        count = count_of(path)
        if number + count > first:
            skipped = max(0, first - number)
            yield from enumerate(rows_from(path, skipped), start=number + skipped)
        number += count


def _pieces(rows: Iterator[tuple[int, Line | LostRow]]) -> Iterator[list[tuple[int, Line | LostRow]]]:
    while piece := list(islice(rows, PIECE)):
        yield piece


def _written(settings: ImportSettings, state: _State, piece: Sequence[tuple[int, Line | LostRow]]) -> _State:
    """The state behind a piece, its traces and faults written."""
    with ThreadPoolExecutor(settings.workers) as pool:
        found = list(pool.map(lambda each: _traces(settings, *each), piece))
    traces = [row for each in found if not isinstance(each, CooperError) for row in each]
    faults = [str(each) for each in found if isinstance(each, CooperError)]
    append_rows(settings.out / ROWS, traces)
    if faults:
        append_rows(settings.out / FAULTS, [{"fault": fault} for fault in faults])
    return _State(
        rows=state.rows + len(piece),
        traces=state.traces + len(traces),
        faults=state.faults + len(faults),
        first=state.first or next(iter(faults), ""),
        bytes_rows=_size(settings.out / ROWS),
        bytes_faults=_size(settings.out / FAULTS),
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _traces(settings: ImportSettings, number: int, line: Line | LostRow) -> list[dict[str, Any]] | CooperError:
    """The traces of a row of the source, or what is wrong with it."""
    if isinstance(line, LostRow):
        return CooperError(f"{line.place}: {line.said}")
    writer, mode = RowWriter(settings.out, number), KINDS[settings.kind]
    try:
        path = Path(line.place.rpartition(", ")[0])
        rows = row_reader(settings.kind, path, settings.images, settings.clean)(line)
        names = [f"{number}" if len(rows) == 1 else f"{number}-{place}" for place in range(len(rows))]
        return [writer.values(row, name, mode) for row, name in zip(rows, names, strict=True)]
    except CooperError as error:
        return error
