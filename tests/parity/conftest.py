"""Where the golden numbers lie."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """``COOPER_GOLDEN_DIR``, else ``../shared/golden`` beside the repository, else the project's own copy."""
    named = os.environ.get("COOPER_GOLDEN_DIR")
    if named:
        return Path(named)
    beside = ROOT.parent / "shared" / "golden"
    return beside if beside.is_dir() else ROOT / "tests" / "golden"
