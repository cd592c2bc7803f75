"""Where the golden numbers lie."""

import os
from pathlib import Path

import pytest
import torch

from cooper.model.checkpoints.opening import open_checkpoint
from cooper.model.cooper import CooperModel
from cooper.sequence.processor import Processor

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """``COOPER_GOLDEN_DIR``, else ``../shared/golden`` beside the repository, else the project's own copy."""
    named = os.environ.get("COOPER_GOLDEN_DIR")
    if named:
        return Path(named)
    beside = ROOT.parent / "shared" / "golden"
    return beside if beside.is_dir() else ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def model(golden_dir: Path) -> CooperModel:
    """The golden network in float32."""
    checkpoint = open_checkpoint(golden_dir / "checkpoint")
    model = CooperModel(checkpoint.config)
    model.load_state_dict({name: tensor.to(torch.float32) for name, tensor in checkpoint.state.items()})
    return model.eval()


@pytest.fixture(scope="session")
def processor(golden_dir: Path, model: CooperModel) -> Processor:
    return model.config.processor(golden_dir / "checkpoint")
