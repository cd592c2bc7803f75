"""What one row has: all it has read so far (a shared beginning, its own tail, the next rope position), and its random numbers.

A context is frozen, so a fork is a reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cooper.model.cache import Beginnings, Cache, Tail, empty_cache, joined
from cooper.model.cooper import CooperModel
from cooper.sequence.packing import Geometry, Row, pack, rope_after
from cooper.sequence.segments import Segment


@dataclass(frozen=True, eq=False)
class Context:
    """The first `shared` tokens of beginning number `group`, then `tail`. `rope` is the next position."""

    beginnings: Beginnings | None = None
    group: int = 0
    shared: int = 0
    tail: Tail | None = None
    rope: int = 0

    @property
    def kv_length(self) -> int:
        """Tokens in the context."""
        return self.shared + (self.tail.length if self.tail else 0)


EMPTY = Context()


def bind(model: CooperModel, contexts: Sequence[Context]) -> Cache:
    """The contexts as one cache of rows. Beginnings that come from several readings are joined for it."""
    readings = {id(c.beginnings): c.beginnings for c in contexts if c.beginnings is not None and c.shared}
    places, groups = {}, 0
    for key, reading in readings.items():
        places[key] = groups
        groups += len(reading.keys[0])
    found = list(readings.values())
    beginnings = joined(found) if len(found) > 1 else found[0] if found else None
    groups = [places[id(c.beginnings)] + c.group if c.shared else 0 for c in contexts]
    shared, tails = [c.shared for c in contexts], [c.tail for c in contexts]
    return Cache(model.config.num_hidden_layers, tails, beginnings, groups, shared, model.device)


def unbind(cache: Cache, contexts: Sequence[Context], ropes: Sequence[int]) -> list[Context]:
    """The contexts after a cache has grown; `contexts` are those it was bound from."""
    return [
        Context(context.beginnings, context.group, context.shared, cache.tail(row), rope)
        for row, (context, rope) in enumerate(zip(contexts, ropes, strict=True))
    ]


@torch.no_grad()
def extend(
    model: CooperModel,
    geometry: Geometry,
    contexts: Sequence[Context],
    segments: Sequence[Sequence[Segment]],
) -> list[Context]:
    """Read further segments into each context, all rows in one forward pass. Rows without segments stay as they are."""
    busy = [row for row, more in enumerate(segments) if more]
    grown = list(contexts)
    if not busy:
        return grown
    cache = bind(model, [contexts[row] for row in busy])
    rows = [Row(tuple(segments[row]), start=contexts[row].rope) for row in busy]
    model(pack(rows, geometry).to(model.device), cache)
    ropes = [ropes_of(row.segments, row.start)[-1] for row in rows]
    for row, context in zip(busy, unbind(cache, [contexts[row] for row in busy], ropes), strict=True):
        grown[row] = context
    return grown


@torch.no_grad()
def begin(model: CooperModel, geometry: Geometry, segments: Sequence[Sequence[Segment]]) -> list[Context]:
    """Read the beginning of each row from nothing, as shared beginnings that any number of rows may continue."""
    cache = empty_cache(model.config.num_hidden_layers, len(segments), model.device)
    model(pack([Row(tuple(more)) for more in segments], geometry).to(model.device), cache)
    beginnings, lengths = cache.freeze(), cache.lengths
    return [Context(beginnings, group, lengths[group], None, ropes_of(more, 0)[-1]) for group, more in enumerate(segments)]


def ropes_of(segments: Sequence[Segment], start: int) -> list[int]:
    """The rope position after each segment of a chain."""
    ropes = []
    for segment in segments:
        start = rope_after(segment, start)
        ropes.append(start)
    return ropes


class Randomness(Protocol):
    """One row's own source of random numbers, so that a row does not depend on its neighbours."""

    def uniform(self) -> float: ...

    def normal(self, tokens: int, width: int) -> Tensor: ...


class Seeded:
    """Random numbers of one row from a seed; made on the CPU, so the same on every device."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self) -> float:
        return float(torch.rand((), generator=self.generator, dtype=torch.float64))

    def normal(self, tokens: int, width: int) -> Tensor:
        return torch.randn(tokens, width, generator=self.generator)
