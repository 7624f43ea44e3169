"""What tests and documented examples must leave as it was."""

from collections.abc import Iterator

import pytest

from skaba.augmenters import PRESETS


@pytest.fixture(autouse=True)
def _presets() -> Iterator[None]:
    """Forget the presets that a test or an example registers."""
    before = dict(PRESETS)
    yield
    PRESETS.clear()
    PRESETS.update(before)
