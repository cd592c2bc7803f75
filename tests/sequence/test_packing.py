"""The worked examples of the packer's docstrings, as tests."""

import pytest
import torch

from cooper.errors import CooperError
from cooper.sequence.packing import Geometry, Row, grid_positions, pack, pack_tokens, visibility
from cooper.sequence.segments import LatentSegment, NoisedSegment, TextSegment, VitSegment, latent_tokens, noised, tokens_latent

GEOMETRY = Geometry(1, 2, 3, 4, latent_patch=2, latent_side=4, latent_width=16, vit_patch=14, vit_side=4)


def test_the_worked_example():
    rows = [
        Row((TextSegment((7, 8), loss=True), TextSegment((9,)))),
        Row((LatentSegment(torch.zeros(4, 2, 2)),)),
    ]
    packed = pack(rows, GEOMETRY)
    assert packed.text.ids_T.tolist() == [1, 7, 8, 2, 1, 9, 2, 3, 4]
    assert packed.und == 9
    assert packed.position_L.tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 0, 0]
    assert packed.splits.slot_BQ.tolist() == [[0, 1, 2, 3, 4, 5, 6], [7, 9, 8, 0, 0, 0, 0]]
    assert packed.splits.lengths == (7, 3)
    assert packed.targets.index_S.tolist() == [0, 1, 2]
    assert packed.targets.ids_S.tolist() == [7, 8, 2]


def test_a_truncated_turn_has_no_end_token():
    packed = pack([Row((TextSegment((7, 8), closed=False, loss=True), TextSegment((9,))))], GEOMETRY)
    assert packed.text.ids_T.tolist() == [1, 7, 8, 1, 9, 2]
    assert packed.targets.ids_S.tolist() == [7, 8]
    assert packed.position_L.tolist() == [0, 1, 2, 3, 4, 5]


def test_who_sees_whom():
    segments = (TextSegment((), closed=True), NoisedSegment(torch.zeros(1, 16), 0.5, (1, 1)), TextSegment((), closed=False))
    expected = [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 0],
        [1, 1, 0, 0, 0, 1],
    ]
    assert visibility(Row(segments), [2, 3, 1]).int().tolist() == expected


def test_branches_do_not_see_each_other():
    text = TextSegment((), closed=False)
    row = Row((text, text, text, text), parents=(-1, 0, 0, 2))
    assert visibility(row, [1, 1, 1, 1]).int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 1, 1]]
    assert pack([row], GEOMETRY).position_L.tolist() == [0, 1, 1, 2]


def test_a_noised_picture_takes_no_rope_position_and_is_not_cached():
    target = noised(torch.zeros(4, 2, 2), torch.ones(1, 16), 0.25, patch=2)
    packed = pack([Row((TextSegment((7,)), target, LatentSegment(torch.zeros(4, 2, 2))))], GEOMETRY)
    assert packed.position_L[-2:].tolist() == [3, 3]
    assert packed.latents.t_N.tolist() == [0.25, 0.0]
    assert packed.targets.velocity_index_M.tolist() == [0]
    torch.testing.assert_close(packed.latents.tokens_ND[0], torch.full((16,), 0.25))
    torch.testing.assert_close(packed.targets.velocity_MD, torch.ones(1, 16))
    assert packed.splits.kept == (0,)


def test_latent_tokens_and_back():
    latent = torch.arange(4 * 4 * 6.0).reshape(4, 4, 6)
    tokens = latent_tokens(latent, 2)
    assert tokens.shape == (6, 16)
    assert tokens[0, :4].tolist() == latent[:, 0, 0].tolist()  # channel fastest
    assert torch.equal(tokens_latent(tokens, (2, 3), 2), latent)


def test_positions_of_a_grid():
    assert grid_positions(2, 3, side=10).tolist() == [0, 1, 2, 10, 11, 12]
    with pytest.raises(CooperError, match="5 x 1 tokens does not fit a position table of side 4"):
        pack([Row((VitSegment(torch.zeros(3, 70, 14)),))], GEOMETRY)


def test_a_step_of_decoding_is_one_bare_token_per_row():
    packed = pack_tokens(torch.tensor([5, 6]), torch.tensor([9, 11]), GEOMETRY)
    assert packed.rows == 2
    assert packed.position_L.tolist() == [9, 11]
    assert packed.splits.kept == (1, 1)
    assert packed.text.ids_T.tolist() == [5, 6]
