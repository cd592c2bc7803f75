"""Keys and values of tokens read before, for many rows at once. A beginning shared by several rows is held once.

B: rows. G: shared beginnings. K: key/value heads. S: tokens of a beginning. T: tokens of a tail, or the
room for them. d: head width. Q: new tokens. E: rows of the beginning that most rows share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from cooper.sequence.packed import Splits, Tensors

if TYPE_CHECKING:
    from functools import cached_property as once
else:

    def once(build):
        """A property that is made once and kept in `self.made`: as `cached_property`, whose lock cannot be traced."""

        def read(self):
            if build.__name__ not in self.made:
                self.made[build.__name__] = build(self)
            return self.made[build.__name__]

        return property(read, doc=build.__doc__)


BLOCK = 32  # tokens by which the buffers of tails grow


@dataclass(frozen=True, eq=False)
class Beginnings:
    """Shared beginnings: per layer keys and values [G, K, S, d]. Never written again once made."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]


def joined(readings: Sequence[Beginnings]) -> Beginnings:
    """Beginnings of several readings as one, those of the first reading first; shorter ones are padded behind their end."""
    longest = max(each.keys[0].shape[2] for each in readings)

    def layer(parts: Sequence[Tensor]) -> Tensor:
        return torch.cat([pad(part, (0, 0, 0, longest - part.shape[2])) for part in parts])

    layers = range(len(readings[0].keys))
    return Beginnings(
        tuple(layer([each.keys[at] for each in readings]) for at in layers),
        tuple(layer([each.values[at] for each in readings]) for at in layers),
    )


@dataclass(frozen=True, eq=False)
class Tail:
    """What one row has of its own: per layer keys and values [K, T, d]. Never written in place."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    @property
    def length(self) -> int:
        return self.keys[0].shape[1] if self.keys else 0


@dataclass(frozen=True, eq=False)
class Fold(Tensors):
    """Rows gathered by their shared beginning. `row_GE`: the rows of each beginning, padded with row 0 to the largest number E;
    `place_B`: where row b went (g * E + e). `apart`: row b continues beginning b, and no other row does."""

    row_GE: Tensor
    place_B: Tensor
    apart: bool = False

    def folded(self, x_XMx: Tensor, keys: int) -> Tensor:
        """Rows and heads [B * K, M, x] as beginnings and heads [G * K, E * M, x]."""
        if self.apart:
            return x_XMx
        each = x_XMx.view(-1, keys, *x_XMx.shape[1:])[self.row_GE]  # [G, E, K, M, x]
        return each.transpose(1, 2).flatten(2, 3).flatten(0, 1)

    def unfolded(self, x_YNx: Tensor, keys: int) -> Tensor:
        """Beginnings and heads [G * K, E * M, x] back to rows and heads [B * K, M, x]."""
        if self.apart:
            return x_YNx
        each = x_YNx.view(-1, keys, self.row_GE.shape[1], x_YNx.shape[1] // self.row_GE.shape[1], x_YNx.shape[2])
        return each.transpose(1, 2).flatten(0, 1)[self.place_B].flatten(0, 1)


def fold_rows(groups: Sequence[int], count: int) -> Fold:
    """Worked example: rows of beginnings [1, 0, 1] give `row_GE` [[1, 0], [0, 2]] and `place_B` [2, 0, 3]."""
    members: list[list[int]] = [[] for _ in range(count)]
    for row, group in enumerate(groups):
        members[group].append(row)
    most = max(map(len, members))
    place_B = [0] * len(groups)
    for group, rows in enumerate(members):
        for place, row in enumerate(rows):
            place_B[row] = group * most + place
    row_GE = [rows + [0] * (most - len(rows)) for rows in members]
    return Fold(torch.tensor(row_GE), torch.tensor(place_B), list(groups) == list(range(count)))


class Cache:
    """The cache of a batch of rows: row b continues the first `shared_B[b]` tokens of beginning `group_B[b]`, then its tail.

    A forward pass writes the new keys and values behind each tail. They count only after `advance`, so a picture being
    denoised is attended to and then simply written over: it never enters the cache.
    """

    def __init__(
        self,
        layers: int,
        tails: Sequence[Tail | None],
        beginnings: Beginnings | None,
        groups: Sequence[int],
        shared: Sequence[int],
        device: torch.device | str,
    ):
        self.beginnings, self.groups, self.shared, self.device = beginnings, groups, shared, device
        self.keys: list[Tensor | None] = [None] * layers
        self.values: list[Tensor | None] = [None] * layers
        self.lengths = [tail.length if tail else 0 for tail in tails]
        self.length_B = torch.tensor(self.lengths, dtype=torch.long, device=device)
        self.room = 0  # tokens of the buffers, from `reserve` on
        self.made: dict[Any, Any] = {}  # what is made once, by name or by what it is made from
        if self.longest:
            for layer in range(layers):
                self.keys[layer] = _stack([t.keys[layer] if t and t.length else None for t in tails], self.longest)
                self.values[layer] = _stack([t.values[layer] if t and t.length else None for t in tails], self.longest)

    @property
    def rows(self) -> int:
        return len(self.groups)

    @property
    def longest(self) -> int:
        """Tokens of the longest tail."""
        return max(self.lengths, default=0)

    @once
    def group_B(self) -> Tensor:
        return torch.tensor(self.groups, dtype=torch.long, device=self.device)

    @once
    def beginning_mask_BS(self) -> Tensor:
        """Which tokens of its beginning each row sees."""
        assert self.beginnings is not None
        slots = torch.arange(self.beginnings.keys[0].shape[2], device=self.device)
        return slots < torch.tensor(self.shared, dtype=torch.long, device=self.device)[:, None]

    @once
    def fold(self) -> Fold:
        """Which rows share a beginning."""
        assert self.beginnings is not None
        return fold_rows(self.groups, self.beginnings.keys[0].shape[0])

    def select(self, rows: Sequence[int]) -> "Cache":
        """Some of the rows, in the order given. Beginnings stay shared; tails are copied."""
        groups, shared = ([values[row] for row in rows] for values in (self.groups, self.shared))
        chosen = Cache(len(self.keys), [None] * len(rows), self.beginnings, groups, shared, self.device)
        chosen.lengths = [self.lengths[row] for row in rows]
        row_R = torch.tensor(rows, dtype=torch.long, device=self.device)
        chosen.length_B = self.length_B[row_R]
        chosen.keys = [None if k is None else k[row_R.to(k.device)] for k in self.keys]
        chosen.values = [None if v is None else v[row_R.to(v.device)] for v in self.values]
        return chosen

    def reserve(self, new: int) -> None:
        """See to it that `new` tokens more have room behind every tail. Buffers grow by blocks: shapes, and what was traced
        for them, last for many tokens."""
        self.room = -(-(self.longest + new) // BLOCK) * BLOCK
        begun = self.beginnings
        for held, shared in ((self.keys, begun and begun.keys), (self.values, begun and begun.values)):
            for layer, like in enumerate(shared or held):
                if like is not None:
                    held[layer] = _grown(held[layer], like, self.rows, self.room)

    def write(self, layer: int, k_BKQd: Tensor, v_BKQd: Tensor, place_BKQ: Tensor) -> tuple[Tensor, Tensor]:
        """Put new keys and values behind each tail, where `places` says; returns the buffers [B, K, T, d], of which `tail_mask`
        says what counts."""
        keys, values = self.keys[layer], self.values[layer]
        if keys is None or values is None:  # the first tokens of all
            keys, values = (_grown(None, new, self.rows, self.room) for new in (k_BKQd, v_BKQd))
            self.keys[layer], self.values[layer] = keys, values
        index = place_BKQ.flatten()
        keys.view(-1, keys.shape[3]).index_copy_(0, index, k_BKQd.reshape(-1, keys.shape[3]))
        values.view(-1, values.shape[3]).index_copy_(0, index, v_BKQd.reshape(-1, values.shape[3]))
        return keys, values

    def places(self, heads: int, new: int) -> Tensor:
        """Where `new` tokens of each row and head go in the buffers of a layer: numbers [B, K, Q] of rows of width d."""
        device = self.length_B.device
        row_BK1 = torch.arange(self.rows * heads, device=device).view(self.rows, heads, 1)
        return row_BK1 * self.room + self.length_B[:, None, None] + torch.arange(new, device=device)

    def advance(self, counts: Sequence[int]) -> None:
        """Let the first `counts[b]` newly written tokens of each row count."""
        self.lengths = [length + count for length, count in zip(self.lengths, counts, strict=True)]
        same = len(set(counts)) == 1  # as in decoding: nothing goes to the device
        self.length_B = self.length_B + (counts[0] if same else torch.tensor(counts, device=self.length_B.device))

    def tail_mask(self, splits: Splits) -> Tensor:
        """Who sees whom in the tails [B, Q, T]: every old token, and new ones as `splits.mask_BQQ` says."""
        (rows, q), length_B = splits.slot_BQ.shape, self.length_B.to(splits.slot_BQ.device)
        slot_T = torch.arange(self.room, device=length_B.device)
        old_BT = slot_T < length_B[:, None]
        new_BT = slot_T - length_B[:, None]
        inside_BT = (new_BT >= 0) & (new_BT < q)
        index_BQT = new_BT.clamp(0, q - 1)[:, None].expand(rows, q, -1)
        return old_BT[:, None] | (inside_BT[:, None] & splits.mask_BQQ.gather(2, index_BQT))

    def tail(self, row: int) -> Tail:
        """The tail of one row, as views."""
        if self.keys[0] is None:
            return Tail((), ())
        n = self.lengths[row]
        return Tail(
            tuple(k[row, :, :n] for k in self._full(self.keys)),
            tuple(v[row, :, :n] for v in self._full(self.values)),
        )

    def freeze(self) -> Beginnings:
        """The tails of all rows as shared beginnings (only for a cache that has no beginnings itself)."""
        assert self.beginnings is None
        n = self.longest
        return Beginnings(
            tuple(k[:, :, :n] for k in self._full(self.keys)),
            tuple(v[:, :, :n] for v in self._full(self.values)),
        )

    @staticmethod
    def _full(layers: list[Tensor | None]) -> list[Tensor]:
        return [layer for layer in layers if layer is not None]


def empty_cache(layers: int, rows: int, device: torch.device | str = "cpu") -> Cache:
    """A cache of rows that have read nothing yet."""
    return Cache(layers, [None] * rows, None, [0] * rows, [0] * rows, device)


def _stack(parts: list[Tensor | None], longest: int) -> Tensor:
    some = next(part for part in parts if part is not None)
    stacked = some.new_zeros(len(parts), some.shape[0], longest, some.shape[2])
    for row, part in enumerate(parts):
        if part is not None:
            stacked[row, :, : part.shape[1]] = part
    return stacked


def _grown(held: Tensor | None, like: Tensor, rows: int, room: int) -> Tensor:
    """A buffer of rows with room for as many tokens, with what is held; `like` has heads, width, type and device of it."""
    if held is not None and held.shape[2] == room:
        return held
    grown = like.new_zeros(rows, like.shape[1], room, like.shape[3])
    if held is not None:
        grown[:, :, : min(held.shape[2], room)] = held[:, :, :room]
    return grown
