"""The format reward: 1 where every turn is one thought and one request, and the last one thought and one answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from cooper.data.item import Item
from cooper.trace.trace import Trace


@dataclass(frozen=True)
class FormatReward:
    """`tags`: the requests that a turn may end with (none in text mode). The grammar is `trace.grammar.is_well_formed`."""

    tags: tuple[str, ...] = ()
    name: str = "format"

    def __call__(self, item: Item, traces: Sequence[Trace]) -> list[float | None]:
        return [float(trace.well_formed(self.tags)) for trace in traces]
