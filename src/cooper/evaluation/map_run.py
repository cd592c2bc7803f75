"""One run over a data set of maps: which model, which data, where to, and what the report says of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from cooper.errors import CooperError
from cooper.evaluation.runner import Plan
from cooper.reasoning.origin import Origin


@dataclass(frozen=True)
class MapSettings:
    """One run. `limit`: pictures, None for all. `origin`: what draws, for the record. A kind of map names itself and the
    readers of its data sets."""

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

    def __post_init__(self) -> None:
        known = ", ".join(self.READERS)
        if not self.dataset:
            raise CooperError(f"no data set of {self.KIND} is named (--dataset); known: {known}")
        if self.dataset not in self.READERS:
            raise CooperError(f"unknown data set {self.dataset!r} of {self.KIND}; known: {known}")
        if self.batch < 1 or (self.limit is not None and self.limit < 1):
            raise CooperError("batch and limit must be at least 1")

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
    def plan(self) -> Plan:
        return Plan((), self.seed, self.batch, self.out, quiet=self.quiet)

    def check_folder(self) -> None:
        """CooperError: there is no such folder."""
        if not self.data.is_dir():
            raise CooperError(f"{self.data} is no folder; --data must name that of the data set {self.dataset}")

    def find(self) -> Any:
        """The data set. CooperError: no such folder, or other files in it."""
        self.check_folder()
        return self.READERS[self.dataset](self.data)

    def told(self, items: Sequence[Any], expected: int) -> dict[str, Any]:
        """The record, how many pictures were taken of `items`, and whether the published set has another number."""
        taken = len(items[: self.limit])
        told = {**self.record, "pictures": f"{taken} of {len(items)}"}
        if expected and expected != len(items):
            told["note"] = f"{len(items)} pictures are there, {expected} belong to the published test set"
        return told
