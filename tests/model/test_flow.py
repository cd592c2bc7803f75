"""The flow's pure functions."""

import pytest
import torch

from cooper.model.config import DrawingDefaults
from cooper.model.flow import Branches, branches, guided, schedule, shifted


def test_schedule():
    assert schedule(3, 3.0).tolist() == [1.0, 0.75, 0.0]
    assert schedule(3, 1.0).tolist() == [1.0, 0.5, 0.0]
    torch.testing.assert_close(shifted(torch.tensor([0.0, 1.0]), 3.0), torch.tensor([0.0, 1.0]))


def test_guidance_acts_inside_its_interval_only():
    settings = DrawingDefaults(text_scale=4, image_scale=2, interval=(0.4, 0.9))
    assert branches(settings, 0.95) == Branches(False, False)
    assert branches(settings, 0.9) == Branches(True, True)
    assert branches(settings, 0.4) == Branches(False, False)
    assert branches(DrawingDefaults(text_scale=4, image_scale=1), 0.9) == Branches(True, False)


def test_equal_branches_change_nothing():
    v = torch.randn(2, 5, 3)
    for renorm in ("global", "channel", "text_channel"):
        settings = DrawingDefaults(text_scale=4, image_scale=2, renorm=renorm)
        torch.testing.assert_close(guided(v, v, v, settings), v, atol=1e-5, rtol=1e-5)


def test_global_renormalisation_is_per_picture():
    v, u = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    settings = DrawingDefaults(text_scale=4)
    together = guided(v, u, None, settings)
    for picture in range(2):
        alone = guided(v[picture : picture + 1], u[picture : picture + 1], None, settings)
        torch.testing.assert_close(together[picture : picture + 1], alone)


def test_senseless_settings_are_refused():
    with pytest.raises(ValueError, match="renorm"):
        DrawingDefaults(renorm="sideways")
    with pytest.raises(ValueError, match="num_timesteps"):
        DrawingDefaults(num_timesteps=1)
