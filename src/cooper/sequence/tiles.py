"""Attention over trees in tiles: a run of queries is multiplied with the keys that it may see, not with its whole row.

In a row that asks several questions about one picture a question sees the picture and itself, not its neighbours, so most of
a full row's scores would be masked. L: packed tokens. B: rows. Q: longest row. G: tiles. T: queries of a tile. S: most keys
of a tile.
"""

from dataclasses import replace

import torch
from torch.nn.functional import pad

from cooper.sequence.packed import PackedSequence, Splits, Tiles

TILE = 128  # queries, at least
MOST = 8  # tiles of a row: each holds copies of the keys that it sees


def tiled(packed: PackedSequence) -> PackedSequence:
    """The same batch, its tiles made: for passes without a cache, before the batch goes to a device."""
    return replace(packed, splits=replace(packed.splits, tiles=tiles_of(packed.splits)))


def tiles_of(splits: Splits, least: int = TILE) -> Tiles:
    """Tiles of `least` queries, of more in long rows; one tile per row where rows are hardly longer than that."""
    rows, longest = splits.slot_BQ.shape
    size = max(least, -(-longest // MOST))
    if longest <= 2 * size:
        return Tiles(splits.slot_BQ, splits.slot_BQ, splits.mask_BQQ[:, None], splits.place_L)
    each = -(-longest // size)
    spare = each * size - longest
    query_GT = pad(splits.slot_BQ, (0, spare)).view(rows * each, size)
    mask_GTQ = pad(splits.mask_BQQ, (0, 0, 0, spare)).view(rows * each, size, longest)
    lengths_B = torch.tensor(splits.lengths, device=query_GT.device)
    starts = torch.arange(each, device=query_GT.device) * size
    kept_G = (starts < lengths_B[:, None]).flatten()
    seen_GQ = mask_GTQ.any(1)
    most = int(seen_GQ[kept_G].sum(-1).max())
    order_GS = seen_GQ.to(torch.uint8).argsort(dim=-1, descending=True, stable=True)[:, :most]
    key_GS = splits.slot_BQ.repeat_interleave(each, 0).gather(1, order_GS)
    mask_GTS = mask_GTQ.gather(2, order_GS[:, None].expand(-1, size, -1))
    mask_GTS[..., 0] |= ~mask_GTS.any(-1)
    number_G = kept_G.cumsum(0) - 1
    row_L, query_L = splits.place_L // longest, splits.place_L % longest
    place_L = number_G[row_L * each + query_L // size] * size + query_L % size
    return Tiles(query_GT[kept_G], key_GS[kept_G], mask_GTS[kept_G][:, None], place_L)
