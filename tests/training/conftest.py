"""Fixtures for the tests with other libraries' trainers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def fresh_accelerator() -> Iterator[None]:
    """accelerate, which transformers uses too, keeps its settings for the whole process."""
    state = pytest.importorskip("accelerate.state").AcceleratorState
    state._reset_state(reset_partial_state=True)
    yield
    state._reset_state(reset_partial_state=True)
