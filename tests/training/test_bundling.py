"""The bundled model: types on disk, and two experts that were trained apart."""

from pathlib import Path

import pytest
import torch

from cooper.errors import CooperError
from cooper.training.bundles import Bundle, load_bundle, save_bundle
from cooper.training.start import bundling


def test_words_of_one_checkpoint_and_drawing_of_another(bundle: Bundle, tmp_path: Path):
    save_bundle(bundle, tmp_path / "words")
    other = load_bundle(tmp_path / "words")
    with torch.no_grad():
        for weight in other.model.parameters():
            weight.add_(0.5)
    save_bundle(other, tmp_path / "drawing")
    written = bundling.bundle(tmp_path / "words", tmp_path / "out", tmp_path / "drawing")
    assert written == sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    words, drawing = dict(bundle.model.named_parameters()), dict(other.model.named_parameters())
    moved = set()
    for name, weight in load_bundle(tmp_path / "out").model.named_parameters():
        drawn = ".gen." in name or name.startswith(("latent_in", "latent_out", "time_embedder"))
        wanted = (drawing if drawn else words)[name].detach()
        assert torch.equal(weight, wanted if name.startswith("vae.") else wanted.bfloat16().float()), name
        moved |= {name} if drawn else set()
    assert any(".gen." in name for name in moved) and len(moved) < len(words)


def test_a_model_that_is_too_large_is_refused(bundle: Bundle, tmp_path: Path, monkeypatch):
    save_bundle(bundle, tmp_path / "model")
    monkeypatch.setattr(bundling, "LIMIT_MB", 0.001)
    with pytest.raises(CooperError, match=r"has .* MB; the bundled model may have 0.001"):
        bundling.bundle(tmp_path / "model", tmp_path / "out")
