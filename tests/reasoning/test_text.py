"""Choosing tokens."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cooper.reasoning.context import Seeded
from cooper.reasoning.decoding import Sampling, sample

P = torch.tensor([[0.2, 0.5, 0.3]]).log()


@pytest.mark.parametrize(
    ("u", "top_p", "token"),
    [(0.7, 0.6, 2), (0.6, 0.6, 1), (0.99, 0.4, 1), (0.95, 1.0, 2), (0.1, 1.0, 0), (1.0, 0.6, 2), (1.0, 0.4, 1)],
)
def test_inverse_transform(u, top_p, token):
    assert sample(P, torch.tensor([u], dtype=torch.float64), [top_p]).tolist() == [token]


def test_frequencies_follow_the_distribution():
    random = Seeded(0)
    u = torch.tensor([random.uniform() for _ in range(4000)], dtype=torch.float64)
    counts = torch.bincount(sample(P.expand(4000, -1), u, [1.0] * 4000), minlength=3) / 4000
    torch.testing.assert_close(counts, torch.tensor([0.2, 0.5, 0.3]), atol=0.03, rtol=0)


def test_rows_are_cut_each_by_its_own_share():
    torch.manual_seed(0)
    scores, u = torch.randn(12, 40).log_softmax(-1), torch.rand(12, dtype=torch.float64)
    shares = [1.0, 0.9, 0.3, 0.01] * 3
    together = sample(scores, u, shares).tolist()
    assert together == [sample(scores[k : k + 1], u[k : k + 1], shares[k : k + 1]).item() for k in range(12)]
    for row, share in enumerate(shares):
        likelier = scores[row][scores[row] > scores[row, together[row]]].exp().sum()
        assert likelier <= share + 1e-6


class Asked(TorchDispatchMode):
    """The names of the operations that were done."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("share", "sorts"), [(1.0, 0), (0.9, 1)])
def test_nothing_is_sorted_where_no_row_cuts(share, sorts):
    with Asked() as asked:
        sample(P, torch.tensor([0.95], dtype=torch.float64), [share])
    assert sum(name.startswith("aten.sort") for name in asked.names) == sorts


def test_senseless_settings_are_refused():
    for settings in ({"temperature": -1.0}, {"top_p": 0.0}, {"max_tokens": 0}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            Sampling(**settings)
