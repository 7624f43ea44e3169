"""Fixtures that several test packages share."""

import os
from pathlib import Path

import pytest
import torch

# The networks are tiny: handing work to a second thread costs more than it saves.
torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data subsets; skipped where it is missing, but never in continuous integration."""
    folder = Path(os.environ.get("SKABA_TEST_DATA", ROOT.parent / "shared" / "data"))
    if folder.is_dir():
        return folder
    message = f"no real data in {folder}; set SKABA_TEST_DATA to the folder that has them"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Start every test from the same global random state."""
    torch.manual_seed(0)
