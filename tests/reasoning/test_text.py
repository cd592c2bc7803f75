"""Choosing tokens."""

import pytest
import torch

from cooper.reasoning.context import Seeded
from cooper.reasoning.decoding import Sampling, sample

P = torch.tensor([[0.5, 0.3, 0.2]]).log()


@pytest.mark.parametrize(("u", "top_p", "token"), [(0.7, 0.6, 1), (0.6, 0.6, 0), (0.99, 0.4, 0), (0.95, 1.0, 2), (0.0, 1.0, 0)])
def test_inverse_transform(u, top_p, token):
    assert sample(P, torch.tensor([u], dtype=torch.float64), top_p).tolist() == [token]


def test_frequencies_follow_the_distribution():
    random = Seeded(0)
    u = torch.tensor([random.uniform() for _ in range(4000)], dtype=torch.float64)
    counts = torch.bincount(sample(P.expand(4000, -1), u, 1.0), minlength=3) / 4000
    torch.testing.assert_close(counts, torch.tensor([0.5, 0.3, 0.2]), atol=0.03, rtol=0)


def test_senseless_settings_are_refused():
    for settings in ({"temperature": -1.0}, {"top_p": 0.0}, {"max_tokens": 0}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            Sampling(**settings)
