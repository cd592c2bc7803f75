"""One run over a data set of maps: which model, which data, where to, and what the report says of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from cooper.data.digests import truth_digests
from cooper.errors import CooperError
from cooper.evaluation.runs.answering import RunPlan
from cooper.evaluation.runs.folder import left_out_notes, open_run
from cooper.evaluation.runs.origin import Origin
from cooper.files.arguments import seed_of
from cooper.files.plugins import load_plugins


@dataclass(frozen=True)
class MapSettings:
    """One run. `limit`: pictures, None for all. `origin`: what draws, for the record. `skip_bad`: pictures that cannot be read
    are left out and counted. A kind of map names itself and the readers of its data sets."""

    KIND: ClassVar[str] = "maps"
    READERS: ClassVar[Mapping[str, Callable[[Path], Any]]] = {}

    model: str
    dataset: str
    data: Path
    out: Path
    limit: int | None = None
    batch: int = 16
    seed: int = 0
    origin: Origin = Origin()
    quiet: bool = False
    skip_bad: bool = False

    def __post_init__(self) -> None:
        load_plugins()
        known = ", ".join(self.READERS)
        if not self.dataset:
            raise CooperError(f"no data set of {self.KIND} is named (--dataset); known: {known}")
        if self.dataset not in self.READERS:
            raise CooperError(f"unknown data set {self.dataset!r} of {self.KIND}; known: {known}")
        if self.batch < 1 or (self.limit is not None and self.limit < 1):
            raise CooperError("batch and limit must be at least 1")
        seed_of(self.seed, "seed")

    @property
    def record(self) -> dict[str, Any]:
        """What makes two runs the same run."""
        return {
            "benchmark": f"{self.KIND} on {self.dataset}",
            "model": self.model,
            "data": str(self.data),
            "limit": self.limit,
            "seed": self.seed,
            **self.origin.record,
        }

    @property
    def plan(self) -> RunPlan:
        return RunPlan((), self.seed, self.batch, self.out, quiet=self.quiet)

    def check_folder(self) -> None:
        """CooperError: there is no such folder."""
        if not self.data.is_dir():
            raise CooperError(f"{self.data} is no folder; --data must name that of the data set {self.dataset}")

    def read(self) -> "AskedMaps":
        """The pictures of the data set. CooperError: no such data."""
        self.check_folder()
        found = self.READERS[self.dataset](self.data)
        items, faults = list(found.items[: self.limit]), {}
        if self.skip_bad:
            faults = _unreadable(items, self.KIND)
        digests = {**truth_digests([item for item in items if item.id not in faults]), **dict.fromkeys(faults, "")}
        kept = [item for item in items if item.id not in faults]
        if not kept:
            raise CooperError(f"{self.data}: no picture can be read; the first: {next(iter(faults.values()), 'there is none')}")
        return AskedMaps(found, kept, tuple(left_out_notes(faults)), digests)

    def open(self, asked: "AskedMaps") -> "AskedMaps":
        """Make the folder the place of this run, or go on with the run there. CooperError: it holds another one."""
        notes = open_run(self.out, self.record, questions=asked.digests)
        return replace(asked, notes=tuple(dict.fromkeys((*asked.notes, *notes))))

    def told(self, asked: "AskedMaps") -> dict[str, Any]:
        """The record, how many pictures were taken, whether the published set has another number, and notes."""
        total, expected = len(asked.found.items), asked.found.expected
        told = {**self.record, "pictures": f"{len(asked.items)} of {total}"}
        if expected and expected != total:
            told["note"] = f"{total} pictures are there, {expected} belong to the published test set"
        return told | {f"note {number}": note for number, note in enumerate(asked.notes, 1)}


@dataclass(frozen=True)
class AskedMaps:
    """A data set that is `found`, the pictures of it that are drawn, what a reader of the report must know, and their
    digests."""

    found: Any
    items: Sequence[Any]
    notes: tuple[str, ...]
    digests: Mapping[str, str]


def _unreadable(items: Sequence[Any], kind: str) -> dict[str, str]:
    """Pictures that cannot be read, or whose truth cannot, by name with the reason."""
    found = {}
    for item in items:
        try:
            _ = item.image, (item.depth_m if kind == "depth" else item.labels)
        except CooperError as error:
            found[item.id] = str(error)
    return found
