"""A published benchmark as it was found on disk."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cooper.errors import CooperError
from cooper.evaluation.runner import Item


@dataclass(frozen=True)
class BenchmarkSet:
    """Questions of one benchmark. `expected`: how many were published, 0 if that is not known.

    `notes` say in a sentence each what a reader of the figures must know: another number of questions, rows left out.
    """

    name: str
    items: tuple[Item, ...]
    expected: int
    notes: tuple[str, ...] = ()


def checked_set(
    name: str, items: Sequence[Item], expected: int, notes: Sequence[str] = (), found: int | None = None
) -> BenchmarkSet:
    """The set, with a note if its number of questions is not the expected one.

    `found`: questions where one has several items, else their number. CooperError: no items, or two of one id.
    """
    if not items:
        raise CooperError(f"{name}: no question is left to ask")
    if len({item.id for item in items}) < len(items):
        raise CooperError(f"{name}: two questions have one id")
    found = len(items) if found is None else found
    counted = [f"{name}: {found} questions, {expected} were published"] if expected and found != expected else []
    return BenchmarkSet(name, tuple(items), expected, (*counted, *notes))


def item_id(name: str, index: str) -> str:
    """The id of a question, fit to name a folder: `item_id("mmvp", "7/2")` is `"mmvp-7_2"`."""
    return re.sub(r"[^\w.+-]+", "_", f"{name}-{index}")
