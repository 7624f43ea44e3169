"""Without Lightning, its callback says which extra to install."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from torch import nn

import skaba.training.lightning
from skaba.training import Augmentation


def test_there_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def find(name: str, *args: Any) -> Any:
        return None if name in ("lightning", "pytorch_lightning") else found(name, *args)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    spec = importlib.util.spec_from_file_location("without_lightning", skaba.training.lightning.__file__)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    with pytest.raises(ImportError, match=r'^AugmentationCallback needs Lightning: pip install "skaba\[lightning\]"$'):
        module.AugmentationCallback(Augmentation(nn.Linear(2, 2)))
