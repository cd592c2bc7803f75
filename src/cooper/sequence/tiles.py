"""Attention over trees in tiles: a run of queries is multiplied with the keys that it may see, not with its whole row.

In a row that asks several questions about one picture a question sees the picture and itself, not its neighbours, so most of
a full row's scores would be masked. L: packed tokens. B: rows. Q: longest row. G: tiles of one size. T: their queries. S: their
keys.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from cooper.sequence.packed import PackedSequence, Splits, Tiles

TILE = 64  # queries, about
MOST = 8  # tiles of a row: each holds copies of the keys that it sees


def tiled(packed: PackedSequence) -> PackedSequence:
    """The same batch, its tiles made if they are not: for passes without a cache, before the batch goes to a device."""
    if packed.splits.tiles is not None:
        return packed
    return replace(packed, splits=replace(packed.splits, tiles=tiles_of(packed.splits)))


@dataclass(frozen=True, eq=False)
class _Run:
    """Queries `start` to `end` of a row, and the places of the keys that one of them or another sees."""

    row: int
    start: int
    end: int
    key_S: Tensor

    @property
    def queries(self) -> int:
        return self.end - self.start


def tiles_of(splits: Splits, least: int = TILE) -> Tiles:
    """Tiles of about `least` queries, of more in long rows, cut where a branch begins. Tiles of like width are of one size, so
    that few keys are mere padding."""
    size = max(least, -(-splits.slot_BQ.shape[1] // MOST))
    follows_BQ = torch.diagonal(splits.mask_BQQ, offset=-1, dim1=1, dim2=2).tolist()
    widths: dict[int, list[_Run]] = defaultdict(list)
    for row, length in enumerate(splits.lengths):
        begins = [place for place in range(1, length) if not follows_BQ[row][place - 1]]
        for start, end in _cut(begins, length, size):
            key_S = splits.mask_BQQ[row, start:end].any(0).nonzero()[:, 0]
            widths[-(-len(key_S) // size)].append(_Run(row, start, end, key_S))
    place_BQ, before, sizes = torch.zeros_like(splits.slot_BQ), 0, []
    for _, runs in sorted(widths.items()):
        sizes.append(_stacked(splits, runs))
        most = sizes[-1][0].shape[1]
        for number, run in enumerate(runs):
            place_BQ[run.row, run.start : run.end] = torch.arange(run.queries, device=place_BQ.device) + before + number * most
        before += len(runs) * most
    return Tiles(*zip(*sizes, strict=True), place_L=place_BQ.flatten()[splits.place_L])


def _stacked(splits: Splits, runs: Sequence[_Run]) -> tuple[Tensor, Tensor, Tensor]:
    """Queries [G, T], keys [G, S] and mask [G, 1, T, S] of runs that are padded to one size."""
    most, widest = max(run.queries for run in runs), max(len(run.key_S) for run in runs)
    query_GT, key_GS = splits.slot_BQ.new_zeros(len(runs), most), splits.slot_BQ.new_zeros(len(runs), widest)
    mask_GTS = splits.mask_BQQ.new_zeros(len(runs), most, widest)
    for number, run in enumerate(runs):
        query_GT[number, : run.queries] = splits.slot_BQ[run.row, run.start : run.end]
        key_GS[number, : len(run.key_S)] = splits.slot_BQ[run.row, run.key_S]
        mask_GTS[number, : run.queries, : len(run.key_S)] = splits.mask_BQQ[run.row, run.start : run.end][:, run.key_S]
    mask_GTS[..., 0] |= ~mask_GTS.any(-1)
    return query_GT, key_GS, mask_GTS[:, None]


def _cut(begins: Sequence[int], length: int, size: int) -> list[tuple[int, int]]:
    """Runs of a row of `length` tokens whose branches begin at `begins`: whole branches until there are `size` tokens; a longer
    branch in even parts. Worked example: `_cut([4, 6, 8], 30, 4)` is (0, 4), (4, 8), and five even parts of what is left."""
    runs, start = [], 0
    for end in (*begins, length):
        if end - start >= size or end == length:
            parts = max(1, (end - start) // size)
            bounds = [start + (end - start) * part // parts for part in range(parts + 1)]
            runs += pairwise(bounds)
            start = end
    return runs
