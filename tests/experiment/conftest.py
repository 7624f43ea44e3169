"""Experiments that take seconds."""

from pathlib import Path
from typing import Any

import pytest

from skaba.experiment.kinds import KINDS

SMALL = """
title = "small"
kind = "benchmark"
epochs = 1
batch_size = 50
learning_rates = [0.001, 0.01]
strengths = [0.1, 0.3]
methods = ["plain", "FastABA-CE"]
controls_of = ["FastABA-CE"]
attack = 0.1
longer = [1, 2]
n_attacked = 20
seeds = 2
tuning_seeds = 1

[data]
name = "digits"
per_class = 2

[module]
name = "ConvNet"
width = 2

[published]
plain = "63.1"

[full]
epochs = 3
module.width = 4
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A file of settings."""
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    return file


@pytest.fixture
def make():
    """Make an experiment of any kind by the settings that differ from common ones."""

    def made(kind: str, **settings: Any) -> Any:
        common = {
            "name": "small",
            "scale": "cpu",
            "title": "small",
            "data": {"name": "digits", "per_class": 2},
            "module": {"name": "ConvNet", "width": 2},
            "epochs": 1,
            "batch_size": 50,
            "learning_rates": [0.01],
            "strengths": [0.3],
            "seeds": 1,
            "tuning_seeds": 1,
        }
        return KINDS[kind](**common | settings)

    return made
