"""The bundled model: types on disk, and the size that a package may have."""

from pathlib import Path

import pytest
import torch

from cooper.errors import CooperError
from cooper.training.bundles import Bundle, load_bundle, save_bundle
from cooper.training.start import bundling


def test_the_network_is_halved_and_the_autoencoder_stays(bundle: Bundle, tmp_path: Path):
    save_bundle(bundle, tmp_path / "model")
    written = bundling.bundle(tmp_path / "model", tmp_path / "out")
    assert written == sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    whole = dict(bundle.model.named_parameters())
    for name, weight in load_bundle(tmp_path / "out").model.named_parameters():
        wanted = whole[name].detach()
        assert torch.equal(weight, wanted if name.startswith("vae.") else wanted.bfloat16().float()), name


def test_a_model_that_is_too_large_is_refused(bundle: Bundle, tmp_path: Path, monkeypatch):
    save_bundle(bundle, tmp_path / "model")
    monkeypatch.setattr(bundling, "LIMIT_MB", 0.001)
    with pytest.raises(CooperError, match=r"has .* MB; the bundled model may have 0.001"):
        bundling.bundle(tmp_path / "model", tmp_path / "out")
