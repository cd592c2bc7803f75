"""Files in the layouts that `cooper data import` reads: parquet, JSON lists and JSON Lines; read row by row, in their order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

from cooper.data.sources.imports.kinds import FIELDS, KINDS, kind_of_fields, nearest_kind
from cooper.data.sources.imports.tables import LostRow, count_of, fields_of, rows_from
from cooper.errors import CooperError
from cooper.files.rows import Line
from cooper.files.values import shown
from cooper.training.feed.checking.units import Checked, CheckOptions
from cooper.training.feed.faults.fault import Fault, told
from cooper.training.feed.faults.imports import ImportCheck
from cooper.training.feed.faults.seen import Seen

PARQUET, JSON = ".parquet", ".json"
COLUMNS_SAID = 12  # columns of a table that are named


@dataclass(frozen=True, eq=False)
class TableUnits:
    """The rows of files, read when their turn comes: no more than a few are in memory at once."""

    counts: Sequence[tuple[Path, int]]
    check: ImportCheck
    most: int

    def __len__(self) -> int:
        return min(self.most, sum(count for _, count in self.counts))

    def __iter__(self) -> Iterator[tuple[str, Callable[[], Seen]]]:
        lines = chain.from_iterable(rows_from(path, 0) for path, _ in self.counts)
        return map(self._unit, islice(lines, len(self)))

    def __getitem__(self, number: int) -> tuple[str, Callable[[], Seen]]:
        for path, count in self.counts:
            if number < count:
                return self._unit(next(iter(rows_from(path, number))))
            number -= count
        raise IndexError(number)

    def _unit(self, line: Line | LostRow) -> tuple[str, Callable[[], Seen]]:
        return line.place, partial(self.check, line)


def table_sets(paths: Sequence[Path], options: CheckOptions, kind: str | None) -> Iterator[Checked]:
    """The files of a folder, those of one kind as one set. A file whose kind nothing tells, or that cannot be opened, is a set
    with that fault."""
    found: dict[str, list[tuple[Path, int]]] = {}
    for path in paths:
        try:
            own = kind or _kind_of(path)
            count = count_of(path)
            fault = Fault(place=str(path), kind="empty", said="holds no row") if not count else _missing(path, own, count)
        except CooperError as error:
            own, count, fault = "unknown", 0, told(str(path), error)
        if fault is None:
            found.setdefault(own, []).append((path, count))
        else:
            yield Checked(place=path, kind=own, units=(), faults=(fault,))
    for own, counts in found.items():
        place = counts[0][0] if len(counts) == 1 else counts[0][0].parent
        check = ImportCheck(
            kind=own, images=options.images, lengths=options.lengths, longest=options.longest, thumbs=options.thumbs
        )
        most = sum(count for _, count in counts) if options.limit is None else options.limit
        yield Checked(place=place, kind=own, units=TableUnits(counts, check, most), imported=True)


def holds_conversations(path: Path) -> bool:
    """Whether a JSON file is a list of rows of a layout that is imported. False where it cannot be read: others are."""
    try:
        with open(path, "rb") as file:
            if not file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
                return False
        return kind_of_fields(fields_of(path)) is not None
    except (OSError, CooperError):
        return False


def _kind_of(path: Path) -> str:
    """CooperError: its fields are those of no layout."""
    names = fields_of(path)
    kind = kind_of_fields(names)
    if kind is None and count_of(path):
        near = nearest_kind(names)
        if near is not None:
            raise CooperError(f"{path}: {_lacks(near, names)}, and no other layout fits; {_has(names)}; say --kind")
        known = "; ".join(f"{each} has {', '.join(fields)}" for each, fields in FIELDS.items())
        raise CooperError(f"{path}: its fields are those of no layout that is read; {_has(names)}; {known}")
    return kind or "unknown"


def _missing(path: Path, kind: str, count: int) -> Fault | None:
    """Fields that no row of the file can have; None: all are there."""
    names = fields_of(path)
    if set(FIELDS[kind]) <= set(names) or (kind == "bagel-vlm" and "conversations" in names):
        return None
    rows = "its row cannot" if count == 1 else f"none of its {count:,} rows can"
    return Fault(place=str(path), kind="field", said=f"{_lacks(kind, names)}, so {rows} be read; {_has(names)}")


def _lacks(kind: str, names: Sequence[str]) -> str:
    missing = [shown(field) for field in FIELDS[kind] if field not in names]
    return f"the field{'s' * (len(missing) > 1)} {' and '.join(missing)} of {kind} {'are' if missing[1:] else 'is'} missing"


def _has(names: Sequence[str]) -> str:
    more = f" and {len(names) - COLUMNS_SAID} more" if len(names) > COLUMNS_SAID else ""
    return f"it has {', '.join(names[:COLUMNS_SAID])}{more}" if names else "it has none"


def import_kind(kind: str | None, path: Path) -> str | None:
    """The layout that an option names for a file; None: nothing is named. CooperError: files of this form are not read so."""
    named = {"llava": "bagel-vlm"}.get(kind or "", kind)
    if named is not None and named not in KINDS:
        raise CooperError(f"{path}: {path.suffix[1:]} files are not read as {kind}; known: {', '.join(KINDS)}")
    return named
