"""Tiles show every query exactly the keys that its row shows it, and give the same attention."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cooper.model.attention import _tiled
from cooper.sequence.packing import Geometry, Row, pack
from cooper.sequence.segments import TextSegment
from cooper.sequence.tiles import _cut, tiles_of
from tests.networks import segment_of, shapes, tiny_model, tiny_processor

FEW = settings(max_examples=25, deadline=None, derandomize=True)
chains = st.lists(shapes(), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def geometry(tmp_path_factory) -> Geometry:
    return tiny_processor(tiny_model(), tmp_path_factory.mktemp("tokenizer")).geometry


def tree(trunk_shapes, branch_shapes) -> Row:
    segments = [segment_of(shape) for shape in trunk_shapes]
    parents, trunk = list(range(-1, len(segments) - 1)), len(segments) - 1
    for chain in branch_shapes:
        parents += [trunk, *range(len(segments), len(segments) + len(chain) - 1)]
        segments += [segment_of(shape) for shape in chain]
    return Row(tuple(segments), tuple(parents))


trees = st.builds(tree, chains, st.lists(chains, min_size=0, max_size=3))


@FEW
@given(st.lists(trees, min_size=1, max_size=3), st.integers(2, 12))
def test_tiles_show_what_rows_show(geometry, rows, size):
    splits = pack(rows, geometry).splits
    tiles, total, longest = tiles_of(splits, size), len(splits.place_L), splits.slot_BQ.shape[1]
    wanted, found = torch.zeros(2, total, total, dtype=torch.bool)
    tile_of_query = [  # of each size, the sizes one behind the other
        (size, tile, query)
        for size, query_GT in enumerate(tiles.query_GT)
        for tile in range(query_GT.shape[0])
        for query in range(query_GT.shape[1])
    ]
    for token in range(total):
        row, place = divmod(int(splits.place_L[token]), longest)
        wanted[token, splits.slot_BQ[row][splits.mask_BQQ[row, place]]] = True
        of, tile, query = tile_of_query[int(tiles.place_L[token])]
        assert tiles.query_GT[of][tile, query] == token
        found[token, tiles.key_GS[of][tile][tiles.mask_G1TS[of][tile, 0, query]]] = True
    assert torch.equal(found, wanted)


def test_runs_end_where_branches_begin():
    assert _cut([4, 6, 8], 30, 4) == [(0, 4), (4, 8), (8, 12), (12, 16), (16, 21), (21, 25), (25, 30)]
    assert _cut([], 3, 4) == [(0, 3)] and _cut([2], 4, 10) == [(0, 4)]


def test_branches_of_one_picture_are_not_multiplied_with_one_another(geometry):
    """Eight branches of 60 tokens behind a trunk of 60: no tile is wider than the trunk and two branches."""
    text = TextSegment(tuple(range(58)))
    splits = pack([Row((text,) * 9, (-1, *[0] * 8))], geometry).splits
    assert max(key_GS.shape[1] for key_GS in tiles_of(splits, 60).key_GS) <= 3 * 60


@FEW
@given(st.lists(trees, min_size=1, max_size=3), st.integers(2, 12))
def test_tiled_attention_is_attention_over_rows(geometry, rows, size):
    splits = pack(rows, geometry).splits
    random = torch.Generator().manual_seed(size)
    qkv = [torch.randn(len(splits.place_L), heads, 8, generator=random, requires_grad=True) for heads in (4, 2, 2)]
    tiled, whole = (_tiled(*qkv, tiles_of(splits, length)) for length in (size, 10_000))
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=1e-5)
    ours, theirs = (torch.autograd.grad(out.square().sum(), qkv) for out in (tiled, whole))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
