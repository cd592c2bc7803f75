"""Position tables and the time embedding."""

import torch
from torch.nn.functional import cosine_similarity

from cooper.model.latents import TimeEmbedder, Waves, sincos_table
from tests.networks import tiny_model


def test_the_first_half_encodes_the_column_the_second_the_row():
    table = sincos_table(4, 16)
    assert torch.equal(table[1, 8:], table[0, 8:])  # same row
    assert torch.equal(table[4, :8], table[0, :8])  # same column
    torch.testing.assert_close(table[2, 0], torch.tensor(2.0).sin())
    torch.testing.assert_close(table[2, 4], torch.tensor(2.0).cos())


def test_waves_of_a_small_grid_tell_neighbours_apart():
    published, small = sincos_table(8, 192), sincos_table(8, 192, Waves(3.14159, 8.0))
    near, far = (float(cosine_similarity(table[27], table[28], dim=0)) for table in (published, small))
    assert near > 0.97
    assert far < 0.8


def test_a_stored_table_wins_over_the_configuration(tmp_path):
    model = tiny_model(position_scale=3.0, position_base=4.0)
    model.latent_pos.table.mul_(2)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    assert torch.equal(again.latent_pos.table, model.latent_pos.table)


def test_time_is_not_rescaled():
    embedder = TimeEmbedder(8)
    with torch.no_grad():
        a, b = embedder(torch.tensor([0.0, 1.0]))
    assert not torch.equal(a, b)
