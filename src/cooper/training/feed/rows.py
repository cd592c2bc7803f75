"""Rows of a run by number: which item of which source each shows. Row r depends on the seed and r alone.

A stage says how an item becomes a row (`RowMaker`); several sources together are one more such maker (`MixedRows`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from cooper.data.mixture import Mixture
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import Geometry, Row, pack
from cooper.sequence.tiles import tiled
from cooper.training.data import Sources

ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class Pick:
    """One item of a source: its number among those of a kind (a mode or a lesson; "" for all)."""

    index: int
    kind: str = ""
    source: str = ""


class RowMaker(Protocol, Generic[ItemT]):
    """How the items of a source become rows."""

    @property
    def geometry(self) -> Geometry:
        """What packing must know."""
        ...

    def pick(self, order: int) -> Pick:
        """The item of row number `order` of the source."""
        ...

    def count(self, pick: Pick) -> int:
        """How many items there are of the kind of one."""
        ...

    def name(self, pick: Pick) -> tuple[str, str]:
        """What the source and the item are called."""
        ...

    def read(self, number: int, pick: Pick) -> ItemT:
        """An item as row `number` of the run shows it. CooperError: it cannot be read."""
        ...

    def fill(self, items: Mapping[int, ItemT]) -> None:
        """Encode the pictures of several rows together, by the numbers of the rows. CooperError: as `read`."""
        ...

    def row(self, number: int, item: ItemT) -> Row:
        """Row `number` of the run. CooperError: as `read`."""
        ...


def packed(maker: RowMaker[Any], numbers: range) -> PackedSequence:
    """The rows of one source as one batch."""
    items = {number: maker.read(number, maker.pick(number)) for number in numbers}
    maker.fill(items)
    return tiled(pack([maker.row(number, item) for number, item in items.items()], maker.geometry))


@dataclass(frozen=True)
class _MixedItem:
    source: str
    item: Any


@dataclass(frozen=True, eq=False)
class MixedRows:
    """Rows of several sources by weight. Each source gives each of its items once before any comes again."""

    makers: Mapping[str, RowMaker[Any]]
    mixture: Mixture
    seed: int

    @property
    def geometry(self) -> Geometry:
        return next(iter(self.makers.values())).geometry

    def pick(self, order: int) -> Pick:
        turn = self.mixture.turn(self.seed, order)
        return replace(self.makers[turn.source].pick(turn.order), source=turn.source)

    def count(self, pick: Pick) -> int:
        return self.makers[pick.source].count(pick)

    def name(self, pick: Pick) -> tuple[str, str]:
        return self.makers[pick.source].name(pick)

    def read(self, number: int, pick: Pick) -> _MixedItem:
        return _MixedItem(pick.source, self.makers[pick.source].read(number, pick))

    def fill(self, items: Mapping[int, _MixedItem]) -> None:
        for source, maker in self.makers.items():
            maker.fill({number: each.item for number, each in items.items() if each.source == source})

    def row(self, number: int, item: _MixedItem) -> Row:
        return self.makers[item.source].row(number, item.item)


def mixed(makers: Mapping[str, RowMaker[Any]], data: Sources, seed: int) -> RowMaker[Any]:
    """The rows of the sources of a recipe, by their names; of one source as they are."""
    if not isinstance(data, Mapping):
        return makers[""]
    return MixedRows(makers, Mixture({name: data[name].weight for name in makers}), seed)
