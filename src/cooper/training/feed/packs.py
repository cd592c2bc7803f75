"""Packs by a budget of tokens: rows of very different lengths fill each pack about equally.

A batch of n packs is n lanes. Lane k takes the rows k, k + n, k + 2n and so on of the run and makes one pack an update. So
what a lane holds depends on the seed and n alone, whatever process or part of an update it falls to. Rows that do not fit wait
in the lane; which ones wait is its state, which lies in the checkpoints: it cannot be made anew from the seed, because a row
that could be read once may be gone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import Annotated

from cooper.errors import CooperError
from cooper.files.values import AtLeast, AtMost, Count
from cooper.sequence.packing import Geometry, Row
from cooper.sequence.segments import LatentSegment, Segment, TextSegment, VitSegment
from cooper.training.feed.aside import Taken

MOST_DROPPED = 1000  # rows one after the other; more, and none may ever fit


@dataclass(frozen=True, kw_only=True)
class Packing:
    """Packs by tokens. A pack is handed on when it has `expected` tokens, or when `buffer` rows wait that do not fit; it never
    has more than `maximum`. Rows of more than `sample` tokens are dropped and counted. `optimiser.batch` is then the number of
    packs of an update, over all processes."""

    expected: Count = 10240
    maximum: Count = 10240
    sample: Count = 10240
    buffer: Annotated[int, AtLeast(0), AtMost(10_000)] = 50

    def __post_init__(self) -> None:
        for name in ("expected", "sample"):
            if getattr(self, name) > self.maximum:
                raise CooperError(f"{name} is {getattr(self, name)}, more than the maximum of a pack, {self.maximum}")


@dataclass(frozen=True)
class LaneState:
    """Where a lane is: the row that it takes next, those that wait, and how many were dropped so far."""

    following: int
    waiting: tuple[int, ...] = ()
    dropped: int = 0


@dataclass(frozen=True, eq=False)
class TokenPack:
    """The rows of one pack, their tokens, and the state of the lane behind it."""

    rows: tuple[Row, ...]
    tokens: tuple[int, ...]
    state: LaneState


@dataclass(frozen=True, eq=False)
class Lane:
    """One lane of `lanes`, from a state on. `refuse` notes a row that is too long."""

    packing: Packing
    geometry: Geometry
    lanes: int
    state: LaneState
    refuse: Callable[[Taken, str], None]

    @property
    def numbers(self) -> Iterator[int]:
        """The rows that it takes, in order: first those that wait."""
        return chain(self.state.waiting, count(self.state.following, self.lanes))

    def packs(self, rows: Iterator[Taken]) -> Iterator[TokenPack]:
        """Packs without end of the rows that `numbers` tells. CooperError: row after row is too long."""
        packing, state = self.packing, self.state
        waiting = [(each, tokens_of(each.row, self.geometry)) for each in islice(rows, len(state.waiting))]
        following, dropped = state.following, state.dropped
        while True:
            chosen, filled = [], 0
            for each in tuple(waiting):  # those that wait for longest come first
                if filled + each[1] <= packing.maximum:
                    waiting.remove(each)
                    chosen.append(each)
                    filled += each[1]
            refused = 0
            while filled < packing.expected and len(waiting) <= packing.buffer:
                taken = next(rows)
                following, tokens = taken.number + self.lanes, tokens_of(taken.row, self.geometry)
                if tokens > packing.sample:
                    dropped, refused = dropped + 1, refused + 1
                    self._refuse(taken, tokens, refused)
                elif filled + tokens <= packing.maximum:
                    chosen.append((taken, tokens))
                    filled += tokens
                else:
                    waiting.append((taken, tokens))
            after = LaneState(following, tuple(each.number for each, _ in waiting), dropped)
            yield TokenPack(tuple(each.row for each, _ in chosen), tuple(tokens for _, tokens in chosen), after)

    def _refuse(self, taken: Taken, tokens: int, refused: int) -> None:
        reason = f"the row has {tokens:,} tokens, above {self.packing.sample:,} (packing.sample)"
        self.refuse(taken, reason)
        if refused == MOST_DROPPED:
            raise CooperError(f"{MOST_DROPPED:,} rows one after the other are too long; of the last, {reason}")


def tokens_of(row: Row, geometry: Geometry) -> int:
    """How many tokens a row has in a pack, marks included."""
    return sum(_tokens(segment, geometry) for segment in row.segments)


def _tokens(segment: Segment, geometry: Geometry) -> int:
    if isinstance(segment, TextSegment):
        return len(segment.ids) + 1 + segment.closed
    if isinstance(segment, VitSegment):
        return segment.pixels_CHW.shape[1] * segment.pixels_CHW.shape[2] // geometry.vit_patch**2 + 2
    if isinstance(segment, LatentSegment):
        return segment.latent_zhw.shape[1] * segment.latent_zhw.shape[2] // geometry.latent_patch**2 + 2
    return len(segment.tokens_ND) + 2


def lines_of(rows: Sequence[Row], tokens: Sequence[int]) -> list[Row]:
    """The rows laid behind one another in lines no longer than the longest row, so that few places of the packed sequence stay
    empty. Rows of one line do not see each other, and each begins at rope position 0.

    >>> from cooper.sequence.segments import TextSegment
    >>> rows = [Row((TextSegment((1,) * n), TextSegment((2,)))) for n in (3, 9, 2)]
    >>> [line.parent_of for line in lines_of(rows, [8, 14, 7])]
    [(-1, 0), (-1, 0, -1, 2)]
    """
    longest = max(tokens)
    lines: list[tuple[Row, int]] = []
    for place in sorted(range(len(rows)), key=lambda place: -tokens[place]):
        row, length = rows[place], tokens[place]
        fitting = next((number for number, (_, filled) in enumerate(lines) if filled + length <= longest), None)
        if fitting is None:
            lines.append((row, length))
        else:
            line, filled = lines[fitting]
            lines[fitting] = (_joined(line, row), filled + length)
    return [line for line, _ in lines]


def _joined(first: Row, second: Row) -> Row:
    shift = len(first.segments)
    moved = tuple(parent + shift if parent >= 0 else -1 for parent in second.parent_of)
    return Row((*first.segments, *second.segments), (*first.parent_of, *moved))
