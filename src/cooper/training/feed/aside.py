"""Rows that cannot be read are set aside into a file, and the next good one of their source comes in their place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from cooper.data.examples import MOST_BAD
from cooper.errors import CooperError
from cooper.evaluation.runs.processes import Share
from cooper.files.rows import append_rows, read_rows
from cooper.sequence.packing import Row
from cooper.training.feed.rows import Pick, RowMaker
from cooper.training.loop.sealing import checkpoints

ASIDE_FILE = "set-aside.jsonl"
LEAST = 100  # rows that count as seen from the first on, so that one bad row does not end a run that has just begun
TORN, LONG = "cannot be read", "too long"  # why a row is set aside


class SetAside:
    """The rows of a run that were set aside, by source and name. They stay aside when the run goes on; a run without a
    checkpoint begins anew. Several processes add to one file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / ASIDE_FILE
        self._lock = Lock()
        if not checkpoints(folder) and Share.here().first:
            self.path.unlink(missing_ok=True)
        self._read = self._known() if checkpoints(folder) else set()

    def holds(self, source: str, row: str, why: str = TORN) -> bool:
        return (source, row, why) in self._read

    def of(self, source: str) -> frozenset[str]:
        """The rows of a source that cannot be read."""
        return frozenset(row for place, row, why in self._read if (place, why) == (source, TORN))

    def look(self) -> None:
        """Read what other processes added."""
        with self._lock:
            self._read = self._known() | self._read

    def count(self, why: str = TORN) -> int:
        """How many there are, as far as this process knows."""
        return sum(each[2] == why for each in self._read)

    def add(self, source: str, row: str, reason: str, seen: int) -> None:
        """Set a row aside that cannot be read. CooperError: it is one too many of the rows `seen` so far."""
        if self._add(source, row, TORN, reason) and self.count() > MOST_BAD * max(seen, LEAST):
            raise CooperError(
                f"{self.count()} of {seen:,} rows cannot be read, more than {MOST_BAD:.0%}; the last: {reason}; {self.path} "
                "names all: mend the data, delete that file, and go on"
            )

    def drop(self, source: str, row: str, reason: str) -> None:
        """Note a row that is too long, and so is never learned."""
        self._add(source, row, LONG, reason)

    def _add(self, source: str, row: str, why: str, reason: str) -> bool:
        with self._lock:
            if self.holds(source, row, why):
                return False
            append_rows(self.path, [{"source": source, "row": row, "why": why, "reason": reason}])
            self._read = self._known()
            return True

    def _known(self) -> set[tuple[str, str, str]]:
        fields = ("source", "row", "why")
        return {tuple(str(row.get(name)) for name in fields) for row in read_rows(self.path)}  # pyright: ignore[reportReturnType]


@dataclass(frozen=True, eq=False)
class Taken:
    """Row `number` of the run, and the item that it shows."""

    number: int
    row: Row
    pick: Pick


@dataclass(frozen=True, eq=False)
class GoodRows:
    """The rows of a run, each with the next good item of its source where its own cannot be read."""

    maker: RowMaker[Any]
    aside: SetAside

    def several(self, numbers: Sequence[int]) -> list[Row]:
        """Rows whose pictures are encoded together. CooperError: too many cannot be read."""
        try:
            items = {number: self.maker.read(number, next(self._picks(number))) for number in numbers}
            self.maker.fill(items)
            return [self.maker.row(number, item) for number, item in items.items()]
        except (CooperError, StopIteration):  # one of them is bad: which, shows one by one
            return [self.one(number).row for number in numbers]

    def one(self, number: int) -> Taken:
        """One row. CooperError: too many cannot be read."""
        for pick in self._picks(number):
            try:
                item = self.maker.read(number, pick)
                self.maker.fill({number: item})
                return Taken(number, self.maker.row(number, item), pick)
            except CooperError as error:
                fault = str(error)
            self.aside.add(*self.maker.name(pick), fault, number + 1)
        source, _ = self.maker.name(self.maker.pick(number))
        raise CooperError(f"no row of {source} can be read; {self.aside.path} says why")

    def _picks(self, number: int) -> Iterator[Pick]:
        """The item of a row, and those behind it, without those that were set aside."""
        first = self.maker.pick(number)
        count = self.maker.count(first)
        for place in range(count):
            pick = replace(first, index=(first.index + place) % count)
            if not self.aside.count() or not self.aside.holds(*self.maker.name(pick)):
                yield pick
