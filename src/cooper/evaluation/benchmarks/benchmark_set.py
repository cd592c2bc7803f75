"""A published benchmark as it was found on disk."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.files.pictures import LazyPicture


@dataclass(frozen=True)
class BenchmarkSet:
    """Questions of one benchmark. `expected`: how many were published, 0 if that is not known.

    `notes` say in a sentence each what a reader of the figures must know: another number of questions, rows left out.
    """

    name: str
    items: tuple[Item, ...]
    expected: int
    notes: tuple[str, ...] = ()


class BadPicturesError(CooperError):
    """Some questions have pictures that cannot be read; `found` holds all questions, `faults` says of which and why, by id."""

    def __init__(self, found: BenchmarkSet, faults: Mapping[str, str]) -> None:
        super().__init__(next(iter(faults.values())))
        self.found, self.faults = found, faults


def checked_set(
    name: str, items: Sequence[Item], expected: int, notes: Sequence[str] = (), found: int | None = None
) -> BenchmarkSet:
    """The set, with a note if its number of questions is not the expected one.

    `found`: questions where one has several items, else their number. CooperError: no items, two of one id, or pictures that
    cannot be read (`BadPicturesError`).
    """
    if not items:
        raise CooperError(f"{name}: no question is left to ask")
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise CooperError(f"{name}: two questions have one id: {item.id}")
        seen.add(item.id)
    found = len(items) if found is None else found
    counted = [f"{name}: {found} questions, {expected} were published"] if expected and found != expected else []
    whole = BenchmarkSet(name, tuple(items), expected, (*counted, *notes))
    faults = {
        item.id: part.fault for item in items for part in item.question.parts if isinstance(part, LazyPicture) and part.fault
    }
    if faults:
        raise BadPicturesError(whole, faults)
    return whole


def item_id(name: str, index: str) -> str:
    """The id of a question, fit to name a folder: `item_id("mmvp", "7/2")` is `"mmvp-7_2"`."""
    return re.sub(r"[^\w.+-]+", "_", f"{name}-{index}")
