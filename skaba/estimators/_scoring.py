"""Scores during training, computed from the user's labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from skorch.callbacks import BatchScoring, EpochScoring


@contextmanager
def scored_by_label(callback: Any, decode: Callable[[Any], Any]) -> Iterator[None]:
    """Let skorch's scoring callbacks see the user's labels, in place of class indices, for the time of the block.

    A scorer then compares them with ``predict`` and reads ``pos_label`` as scikit-learn does outside of training.

    Parameters
    ----------
    callback : skorch.callbacks.Callback
        Others than ``EpochScoring`` and ``BatchScoring`` are left alone.
    decode : callable
        Turns targets as training uses them into the user's.
    """
    if not isinstance(callback, (EpochScoring, BatchScoring)):
        yield
        return
    # Set for one call only: nets are pickled with their callbacks, and a lambda cannot be pickled.
    extract = callback.target_extractor
    callback.target_extractor = lambda y: decode(extract(y))
    try:
        yield
    finally:
        callback.target_extractor = extract
