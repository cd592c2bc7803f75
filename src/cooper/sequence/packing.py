"""Rows of segments -> one PackedSequence. The only packer: training, reinforcement learning and inference use it.

Next-token targets are shifted here and nowhere else.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from cooper.errors import CooperError
from cooper.sequence.packed import LatentRows, Noising, PackedSequence, Splits, Targets, TextRows, VitRows
from cooper.sequence.segments import (
    LatentSegment,
    NoisedSegment,
    Segment,
    TextSegment,
    VitSegment,
    latent_tokens,
    pixel_patches,
)


@dataclass(frozen=True)
class Geometry:
    """What packing must know of a checkpoint: marks, patch sizes and the sides of the two position tables."""

    bos: int
    eos: int
    image_start: int
    image_end: int
    latent_patch: int
    latent_side: int
    latent_width: int
    vit_patch: int
    vit_side: int


@dataclass(frozen=True)
class Row:
    """One sequence, or a tree of sequences that share their beginning.

    `parents[i]` is the segment that segment i continues (-1: none). Left out, each segment continues the one before it.
    Two answers to one question, for example, are `segments = [picture, question, a, b]`, `parents = [-1, 0, 1, 1]`:
    the branches a and b see the picture and the question but not each other, and start at the same rope position.
    `start` is the rope position of a segment without parent (beyond 0 when a cache holds what came before).
    """

    segments: tuple[Segment, ...]
    parents: tuple[int, ...] | None = None
    start: int = 0

    @property
    def parent_of(self) -> tuple[int, ...]:
        return self.parents if self.parents is not None else tuple(range(-1, len(self.segments) - 1))


def rope_after(segment: Segment, rope: int) -> int:
    """The position after a segment that starts at `rope`: text advances by its tokens, a picture by 1, noised latents by 0."""
    if isinstance(segment, TextSegment):
        return rope + len(segment.ids) + 1 + segment.closed
    return rope if isinstance(segment, NoisedSegment) else rope + 1


def grid_positions(rows: int, columns: int, side: int) -> Tensor:
    """Flattened 2-D positions row * side + column, row major.

    >>> grid_positions(2, 3, side=10).tolist()
    [0, 1, 2, 10, 11, 12]
    """
    if rows > side or columns > side:
        raise CooperError(f"a picture of {rows} x {columns} tokens does not fit a position table of side {side}")
    return (torch.arange(rows)[:, None] * side + torch.arange(columns)).flatten()


class _Columns:
    """The growing columns of a PackedSequence while segments are laid down."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.count = 0  # tokens so far, in sequence order
        self.text_ids: list[int] = []
        self.text_at: list[int] = []
        self.patches: list[Tensor] = []
        self.patch_position: list[Tensor] = []
        self.patch_at: list[Tensor] = []
        self.latents: list[Tensor] = []
        self.latent_t: list[Tensor] = []
        self.latent_position: list[Tensor] = []
        self.latent_at: list[Tensor] = []
        self.position: list[Tensor] = []
        self.target_at: list[int] = []
        self.target_ids: list[int] = []
        self.velocity_at: list[Tensor] = []
        self.velocity: list[Tensor] = []
        self.noisings: list[Noising] = []

    def lay(self, segment: Segment, rope: int) -> int:
        """Lay one segment down at a rope position; returns its number of tokens."""
        before = self.count
        if isinstance(segment, TextSegment):
            self._text(segment, rope)
        elif isinstance(segment, VitSegment):
            self._vit(segment, rope)
        else:
            self._latent(segment, rope)
        return self.count - before

    def _text(self, segment: TextSegment, rope: int) -> None:
        ids = [self.geometry.bos, *segment.ids] + [self.geometry.eos] * segment.closed
        self.text_ids += ids
        self.text_at += range(self.count, self.count + len(ids))
        self.position.append(torch.arange(rope, rope + len(ids)))
        if segment.loss:
            self.target_at += range(self.count, self.count + len(ids) - 1)
            self.target_ids += ids[1:]
        self.count += len(ids)

    def _mark(self, token: int) -> None:
        self.text_ids.append(token)
        self.text_at.append(self.count)
        self.count += 1

    def _vit(self, segment: VitSegment, rope: int) -> None:
        side, patch = self.geometry.vit_side, self.geometry.vit_patch
        patches_PC = pixel_patches(segment.pixels_CHW, patch)
        n, (_, height, width) = len(patches_PC), segment.pixels_CHW.shape
        self._mark(self.geometry.image_start)
        self.patches.append(patches_PC)
        self.patch_position.append(grid_positions(height // patch, width // patch, side))
        self.patch_at.append(torch.arange(self.count, self.count + n))
        self.count += n
        self._mark(self.geometry.image_end)
        self.position.append(torch.full((n + 2,), rope))

    def _latent(self, segment: LatentSegment | NoisedSegment, rope: int) -> None:
        patch, side = self.geometry.latent_patch, self.geometry.latent_side
        if isinstance(segment, LatentSegment):
            tokens_ND, t = latent_tokens(segment.latent_zhw, patch), 0.0
            grid = (segment.latent_zhw.shape[1] // patch, segment.latent_zhw.shape[2] // patch)
        else:
            tokens_ND, t, grid = segment.tokens_ND, segment.t, segment.grid
        n, done = len(tokens_ND), sum(len(part) for part in self.latents)
        if isinstance(segment, NoisedSegment):
            self.noisings.append(Noising(done, n, t, segment.branch))
        if isinstance(segment, NoisedSegment) and segment.velocity_ND is not None:
            self.velocity_at.append(torch.arange(done, done + n)[segment.learnt])
            self.velocity.append(segment.velocity_ND[segment.learnt])
        self._mark(self.geometry.image_start)
        self.latents.append(tokens_ND)
        self.latent_t.append(torch.full((n,), t, device=tokens_ND.device))
        self.latent_position.append(grid_positions(*grid, side))
        self.latent_at.append(torch.arange(self.count, self.count + n))
        self.count += n
        self._mark(self.geometry.image_end)
        self.position.append(torch.full((n + 2,), rope))


def pack(rows: list[Row], geometry: Geometry) -> PackedSequence:
    """Lay rows of segments out as one packed sequence.

    Worked example, two rows: text [7, 8] with loss, then text [9]; and a 1x1-token clean picture. Marks bos=1, eos=2,
    start=3, end=4. In sequence order the tokens are `1 7 8 2 | 1 9 2 || 3 x 4` at rope `0 1 2 3 | 4 5 6 || 0 0 0`.
    The latent x moves behind the understanding tokens, so packed order is `1 7 8 2 1 9 2 3 4 x`, `und` is 9,
    `slot_BQ` is `[[0..6], [7, 9, 8, 0, ...]]`, and the targets are: places 0, 1, 2 predict 7, 8, 2.
    """
    columns = _Columns(geometry)
    spans: list[list[int]] = []  # tokens of each segment, per row
    for row in rows:
        after: list[int] = []
        span = []
        for segment, parent in zip(row.segments, row.parent_of, strict=True):
            rope = after[parent] if parent >= 0 else row.start
            span.append(columns.lay(segment, rope))
            after.append(rope_after(segment, rope))
        spans.append(span)
    return _assemble(columns, rows, spans)


def pack_tokens(ids_B: Tensor, rope_B: Tensor, geometry: Geometry) -> PackedSequence:
    """One text token per row, bare (no marks): a step of decoding."""
    rows = len(ids_B)
    place_B = torch.arange(rows, device=ids_B.device)
    nothing = torch.empty(0, dtype=torch.long, device=ids_B.device)
    empty_ND = torch.empty(0, geometry.latent_width, device=ids_B.device)
    return PackedSequence(
        text=TextRows(ids_B, place_B),
        vit=VitRows(
            torch.empty(0, 3 * geometry.vit_patch**2, device=ids_B.device),
            nothing,
            nothing,
            (),
        ),
        latents=LatentRows(empty_ND, torch.empty(0, device=ids_B.device), nothing),
        splits=Splits(
            (1,) * rows,
            place_B[:, None],
            place_B,
            place_B.new_ones(rows, 1, 1, dtype=torch.bool),
            (1,) * rows,
            even=True,
        ),
        targets=Targets(nothing, nothing, nothing, empty_ND),
        position_L=rope_B,
        und=rows,
    )


def _assemble(columns: _Columns, rows: list[Row], spans: list[list[int]]) -> PackedSequence:
    geometry, total = columns.geometry, columns.count
    latent_at_N = torch.cat(columns.latent_at) if columns.latent_at else torch.empty(0, dtype=torch.long)
    is_latent_L = torch.zeros(total, dtype=torch.bool)
    is_latent_L[latent_at_N] = True
    order_L = torch.cat([torch.arange(total)[~is_latent_L], latent_at_N])  # packed place -> sequence place
    packed_L = torch.empty(total, dtype=torch.long)
    packed_L[order_L] = torch.arange(total)  # sequence place -> packed place
    patch_at_P = torch.cat(columns.patch_at) if columns.patch_at else torch.empty(0, dtype=torch.long)
    width = geometry.latent_width
    return PackedSequence(
        text=TextRows(
            torch.tensor(columns.text_ids, dtype=torch.long),
            packed_L[torch.tensor(columns.text_at, dtype=torch.long)],
        ),
        vit=VitRows(
            _cat(columns.patches, (0, 3 * geometry.vit_patch**2)),
            _cat(columns.patch_position, (0,), torch.long),
            packed_L[patch_at_P],
            tuple(len(patches) for patches in columns.patches),
        ),
        latents=LatentRows(
            _cat(columns.latents, (0, width)),
            _cat(columns.latent_t, (0,)),
            _cat(columns.latent_position, (0,), torch.long),
            tuple(columns.noisings),
        ),
        splits=_splits(rows, spans, packed_L),
        targets=Targets(
            packed_L[torch.tensor(columns.target_at, dtype=torch.long)],
            torch.tensor(columns.target_ids, dtype=torch.long),
            _cat(columns.velocity_at, (0,), torch.long),
            _cat(columns.velocity, (0, width)),
        ),
        position_L=_cat(columns.position, (0,), torch.long)[order_L],
        und=total - len(latent_at_N),
    )


def _cat(parts: list[Tensor], empty: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.cat(parts) if parts else torch.empty(empty, dtype=dtype)


def _splits(rows: list[Row], spans: list[list[int]], packed_L: Tensor) -> Splits:
    lengths = tuple(sum(span) for span in spans)
    longest = max(lengths)
    slot_BQ = torch.zeros(len(rows), longest, dtype=torch.long)
    place_L = torch.empty(len(packed_L), dtype=torch.long)
    mask_BQQ = torch.eye(longest, dtype=torch.bool).repeat(len(rows), 1, 1)
    start = 0
    for b, (row, span, length) in enumerate(zip(rows, spans, lengths, strict=True)):
        slot_BQ[b, :length] = packed_L[start : start + length]
        place_L[packed_L[start : start + length]] = b * longest + torch.arange(length)
        mask_BQQ[b, :length, :length] = visibility(row, span)
        start += length
    noised = [any(isinstance(segment, NoisedSegment) for segment in row.segments) for row in rows]
    kept = tuple(0 if drawn else length for drawn, length in zip(noised, lengths, strict=True))
    return Splits(lengths, slot_BQ, place_L, mask_BQQ, kept)


def visibility(row: Row, span: list[int]) -> Tensor:
    """Who sees whom inside a row [Q, Q]: a token sees the segments its own continues, and its own (text: up to itself).

    Noised latents, with their marks, are seen by nothing but themselves. Two segments, text of 2 and a noised picture
    of 1 (3 tokens), then text of 1:

        text    1 0  0 0 0  0
                1 1  0 0 0  0
        noised  1 1  1 1 1  0   (three times)
        text    1 1  0 0 0  1
    """
    parents, count = row.parent_of, len(row.segments)
    sees_SS = torch.zeros(count, count, dtype=torch.bool)
    for i, parent in enumerate(parents):
        if parent >= 0:
            sees_SS[i] = sees_SS[parent]
            sees_SS[i, parent] = not isinstance(row.segments[parent], NoisedSegment)
        sees_SS[i, i] = True
    segment_Q = torch.repeat_interleave(torch.arange(count), torch.tensor(span))
    place_Q = torch.arange(len(segment_Q))
    causal_Q = torch.tensor([isinstance(s, TextSegment) for s in row.segments])[segment_Q]
    future_QQ = (segment_Q[:, None] == segment_Q[None, :]) & causal_Q[:, None] & (place_Q[None, :] > place_Q[:, None])
    return sees_SS[segment_Q][:, segment_Q] & ~future_QQ
