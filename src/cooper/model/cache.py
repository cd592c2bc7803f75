"""Keys and values of tokens read before, for many rows at once. A beginning shared by several rows is held once.

B: rows. G: shared beginnings. K: key/value heads. S: tokens of a beginning. T: tokens of a tail. d: head width. Q: new tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from cooper.sequence.packed import Splits


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


class Cache:
    """The cache of a batch of rows: row b continues the first `shared_B[b]` tokens of beginning `group_B[b]`, then its tail.

    A forward pass writes the new keys and values behind each tail. They count only after `advance`, so a picture being
    denoised is attended to and then simply written over: it never enters the cache.
    """

    def __init__(
        self,
        layers: int,
        tails: list[Tail | None],
        beginnings: Beginnings | None,
        group_B: Tensor,
        shared_B: Tensor,
    ):
        self.beginnings = beginnings
        self.group_B = group_B
        self.shared_B = shared_B
        self.keys: list[Tensor | None] = [None] * layers
        self.values: list[Tensor | None] = [None] * layers
        lengths = [tail.length if tail else 0 for tail in tails]
        self.length_B = torch.tensor(lengths, dtype=torch.long, device=group_B.device)
        self.longest = max(lengths, default=0)
        if self.longest:
            for layer in range(layers):
                self.keys[layer] = _stack(
                    [t.keys[layer] if t and t.length else None for t in tails],
                    self.longest,
                )
                self.values[layer] = _stack(
                    [t.values[layer] if t and t.length else None for t in tails],
                    self.longest,
                )

    @property
    def rows(self) -> int:
        return len(self.group_B)

    def select(self, row_R: Tensor) -> "Cache":
        """Some of the rows, in the order given. Beginnings stay shared; tails are copied."""
        chosen = Cache(
            len(self.keys),
            [],
            self.beginnings,
            self.group_B[row_R],
            self.shared_B[row_R],
        )
        chosen.length_B = self.length_B[row_R]
        chosen.longest = int(chosen.length_B.max())
        chosen.keys = [None if k is None else k[row_R.to(k.device)] for k in self.keys]
        chosen.values = [None if v is None else v[row_R.to(v.device)] for v in self.values]
        return chosen

    def write(self, layer: int, k_BKQd: Tensor, v_BKQd: Tensor, place_BKQ: Tensor) -> tuple[Tensor, Tensor]:
        """Put new keys and values behind each tail, where `places` says; returns keys and values of tails with the new tokens
        [B, K, T + Q, d]."""
        span = self.longest + k_BKQd.shape[2]
        keys, values = _room(self.keys[layer], k_BKQd, span), _room(self.values[layer], v_BKQd, span)
        self.keys[layer], self.values[layer] = keys, values
        index = place_BKQ.flatten()
        keys.view(-1, keys.shape[3]).index_copy_(0, index, k_BKQd.reshape(-1, keys.shape[3]))
        values.view(-1, values.shape[3]).index_copy_(0, index, v_BKQd.reshape(-1, values.shape[3]))
        return keys[:, :, :span], values[:, :, :span]

    def places(self, heads: int, new: int) -> Tensor:
        """Where `new` tokens of each row and head go in the buffers of a layer, which have the same room in all layers: numbers
        [B, K, Q] of rows of width d."""
        held = self.keys[0]
        room = _room_for(self.longest + new, 0 if held is None else held.shape[2])
        device = self.length_B.device
        row_BK1 = torch.arange(self.rows * heads, device=device).view(self.rows, heads, 1)
        return row_BK1 * room + self.length_B[:, None, None] + torch.arange(new, device=device)

    def advance(self, count_B: Tensor) -> None:
        """Let the first `count_B[b]` newly written tokens of each row count."""
        self.length_B = self.length_B + count_B
        self.longest = int(self.length_B.max())

    def tail_mask(self, splits: Splits) -> Tensor:
        """Who sees whom in the tails [B, Q, T + Q]: every old token, and new ones as `splits.mask_BQQ` says."""
        (rows, q), length_B = splits.slot_BQ.shape, self.length_B.to(splits.slot_BQ.device)
        slot_T = torch.arange(self.longest + q, device=length_B.device)
        old_BT = slot_T < length_B[:, None]
        new_BT = slot_T - length_B[:, None]
        inside_BT = (new_BT >= 0) & (new_BT < q)
        index_BQT = new_BT.clamp(0, q - 1)[:, None].expand(rows, q, -1)
        return old_BT[:, None] | (inside_BT[:, None] & splits.mask_BQQ.gather(2, index_BQT))

    def beginning_mask(self) -> Tensor:
        """Which tokens of its beginning each row sees [B, S]."""
        assert self.beginnings is not None
        slots = torch.arange(self.beginnings.keys[0].shape[2], device=self.shared_B.device)
        return slots < self.shared_B[:, None]

    def tail(self, row: int) -> Tail:
        """The tail of one row, as views."""
        if self.keys[0] is None:
            return Tail((), ())
        n = int(self.length_B[row])
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
    zeros = torch.zeros(rows, dtype=torch.long, device=device)
    return Cache(layers, [None] * rows, None, zeros, zeros)


def _stack(parts: list[Tensor | None], longest: int) -> Tensor:
    some = next(part for part in parts if part is not None)
    stacked = some.new_zeros(len(parts), some.shape[0], longest, some.shape[2])
    for row, part in enumerate(parts):
        if part is not None:
            stacked[row, :, : part.shape[1]] = part
    return stacked


def _room(held: Tensor | None, new_BKQd: Tensor, span: int) -> Tensor:
    """A buffer with room for `span` tokens."""
    b, heads, _, width = new_BKQd.shape
    room = _room_for(span, 0 if held is None else held.shape[2])
    if held is not None and held.shape[2] == room:
        return held
    grown = new_BKQd.new_zeros(b, heads, room, width)
    if held is not None:
        grown[:, :, : held.shape[2]] = held
    return grown


def _room_for(span: int, room: int) -> int:
    """Tokens that a buffer with `room` has place for when it must hold `span`: grown by half, so that it is copied rarely."""
    return room if room >= span else max(span, room * 3 // 2, 32) if room else span
