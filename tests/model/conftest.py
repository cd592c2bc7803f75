"""A network small enough to write to disk many times."""

from pathlib import Path

import pytest
import torch

from cooper.model.checkpoints.export import export
from cooper.model.config import CooperConfig
from cooper.model.cooper import CooperModel


@pytest.fixture(scope="session")
def tiny_model() -> CooperModel:
    torch.manual_seed(0)
    return CooperModel(
        CooperConfig(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=24,
            vocab_size=40,
            latent_side=4,
            vit_side=5,
            vit={
                "hidden_size": 8,
                "num_layers": 1,
                "num_attention_heads": 2,
                "intermediate_size": 12,
                "patch_size": 2,
                "position_side": 5,
            },
            vae={
                "base_channels": 4,
                "channel_multipliers": (1, 2),
                "blocks_per_level": 1,
                "latent_channels": 4,
                "norm_groups": 2,
            },
            transforms={"vae": (32, 16, 4), "vit": (16, 8, 2)},
            drawing={"num_timesteps": 5},
        )
    ).eval()


@pytest.fixture
def theirs(tiny_model: CooperModel, tmp_path: Path) -> Path:
    """The tiny model in the published layout."""
    export(tiny_model, tmp_path / "theirs")
    (tmp_path / "theirs" / "tokenizer.json").write_text("{}")
    return tmp_path / "theirs"


@pytest.fixture
def ours(tiny_model: CooperModel, tmp_path: Path) -> Path:
    """The tiny model in our layout."""
    tiny_model.save_pretrained(tmp_path / "ours")
    (tmp_path / "ours" / "tokenizer.json").write_text("{}")
    return tmp_path / "ours"
