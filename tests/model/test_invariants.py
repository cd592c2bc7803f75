"""What must hold for any interleaved sequence: cached = uncached, packed = alone, branches = rows, SDPA = FlexAttention."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cooper.model.cache import Cache, empty_cache
from cooper.model.cooper import CooperModel
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import Geometry, Row, pack, rope_after
from cooper.sequence.segments import NoisedSegment, Segment
from tests.networks import segment_of, shapes, tiny_model, tiny_processor

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
FEW = settings(max_examples=25, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def model() -> CooperModel:
    return tiny_model()


@pytest.fixture(scope="module")
def geometry(model, tmp_path_factory) -> Geometry:
    return tiny_processor(model, tmp_path_factory.mktemp("tokenizer")).geometry


@torch.no_grad()
def rows_of(model: CooperModel, packed: PackedSequence, cache: Cache | None = None) -> list[torch.Tensor]:
    """Hidden states of every row in sequence order."""
    hidden = model(packed, cache)
    splits = packed.splits
    return [hidden[slots[:n]] for slots, n in zip(splits.slot_BQ, splits.lengths, strict=True)]


def alone(model: CooperModel, geometry: Geometry, segments: list[Segment]) -> torch.Tensor:
    return rows_of(model, pack([Row(tuple(segments))], geometry))[0]


chains = st.lists(shapes(), min_size=1, max_size=5)


@FEW
@given(st.lists(chains, min_size=1, max_size=3))
def test_packed_is_alone(model, geometry, batch):
    rows = [[segment_of(shape) for shape in chain] for chain in batch]
    together = rows_of(model, pack([Row(tuple(row)) for row in rows], geometry))
    for row, hidden in zip(rows, together, strict=True):
        torch.testing.assert_close(hidden, alone(model, geometry, row), **CLOSE)


@FEW
@given(st.lists(chains, min_size=1, max_size=3))
def test_cached_is_uncached(model, geometry, batch):
    """Each segment read by itself behind a cache gives what the whole row gives at once; noised pictures leave no trace."""
    rows = [[segment_of(shape) for shape in chain] for chain in batch]
    whole = [alone(model, geometry, row) for row in rows]
    cache = empty_cache(model.config.num_hidden_layers, len(rows))
    ropes, parts = [0] * len(rows), [[] for _ in rows]
    for step in range(max(len(row) for row in rows)):
        busy = [i for i, row in enumerate(rows) if step < len(row)]
        chosen = cache.select(busy)
        packed = pack([Row((rows[i][step],), start=ropes[i]) for i in busy], geometry)
        for i, hidden in zip(busy, rows_of(model, packed, chosen), strict=True):
            parts[i].append(hidden)
            ropes[i] = rope_after(rows[i][step], ropes[i])
        if len(busy) == len(rows):
            cache = chosen
        else:  # rows that have ended are not needed any more
            rows, ropes, parts, whole = ([x[i] for i in busy] for x in (rows, ropes, parts, whole))
            cache = chosen
        for i, row in enumerate(rows):
            done = torch.cat(parts[i])
            torch.testing.assert_close(done, whole[i][: len(done)], **CLOSE)
            cached = sum(len(p) for p, s in zip(parts[i], row, strict=False) if not isinstance(s, NoisedSegment))
            assert int(cache.length_B[i]) == cache.lengths[i] == cached


@FEW
@given(chains, st.lists(chains, min_size=2, max_size=3))
def test_branches_are_rows(model, geometry, trunk_shapes, branch_shapes):
    """Branches that share a beginning give what separate rows give."""
    trunk = [segment_of(shape) for shape in trunk_shapes]
    branches = [[segment_of(shape) for shape in chain] for chain in branch_shapes]
    segments, parents = list(trunk), list(range(-1, len(trunk) - 1))
    for branch in branches:
        parents += [len(trunk) - 1, *range(len(segments), len(segments) + len(branch) - 1)]
        segments += branch
    tree = rows_of(model, pack([Row(tuple(segments), tuple(parents))], geometry))[0]
    start = len(alone(model, geometry, trunk))
    for branch in branches:
        row = alone(model, geometry, trunk + branch)
        n = len(row) - len(alone(model, geometry, trunk))
        torch.testing.assert_close(tree[start : start + n], row[-n:], **CLOSE)
        start += n


@FEW
@given(st.lists(chains, min_size=1, max_size=3))
def test_flex_is_sdpa(model, geometry, batch):
    packed = pack([Row(tuple(segment_of(shape) for shape in chain)) for chain in batch], geometry)
    dense = rows_of(model, packed)
    model.attention_backend = "flex"
    try:
        sparse = rows_of(model, packed)
    finally:
        model.attention_backend = "sdpa"
    for a, b in zip(dense, sparse, strict=True):
        torch.testing.assert_close(a, b, **CLOSE)


@FEW
@given(chains, st.lists(st.integers(0, 255), min_size=1, max_size=4))
def test_shared_beginning_is_held_once_and_changes_nothing(model, geometry, trunk_shapes, tokens):
    """Rows that continue one shared beginning, a token at a time, give what whole rows give."""
    from cooper.reasoning.context import begin, bind
    from cooper.sequence.packing import pack_tokens

    trunk = [segment_of(shape) for shape in trunk_shapes if shape.kind != "noised"] or [segment_of(trunk_shapes[0])]
    if any(isinstance(segment, NoisedSegment) for segment in trunk):
        return
    context = begin(model, geometry, [trunk, trunk])[1]
    cache = bind(model, [context] * len(tokens))
    assert cache.beginnings is context.beginnings
    one = torch.ones(len(tokens), dtype=torch.long)
    fed = torch.tensor(tokens)
    with torch.no_grad():
        model(pack_tokens(one * geometry.bos, one * context.rope, geometry), cache)
        hidden = model(pack_tokens(fed, one * (context.rope + 1), geometry), cache)
    from cooper.sequence.segments import TextSegment

    for row, token in enumerate(tokens):
        whole = alone(model, geometry, [*trunk, TextSegment((token,), closed=False)])
        torch.testing.assert_close(hidden[row], whole[-1], **CLOSE)
