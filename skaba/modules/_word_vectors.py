"""Frozen word vectors, which the networks for texts share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def frozen_embedding(vectors: Any) -> nn.Embedding:
    """Return the layer that looks up word vectors, which are not trained; word 0 is padding.

    Parameters
    ----------
    vectors : array-like of shape (n_words, dimension)

    Returns
    -------
    torch.nn.Embedding

    Raises
    ------
    ValueError
        If ``vectors`` is not 2-dimensional, has no row except the padding, or is not finite.
    """
    # skaba.network reads padding_idx to find the positions that augmentation must not change.
    embedding: nn.Embedding = nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
        _checked_vectors(vectors), freeze=True, padding_idx=0
    )
    return embedding


def check_texts(x: Tensor) -> None:
    """Raise a ValueError unless x is a batch of texts."""
    if x.ndim != 2 or x.shape[1] < 1:
        raise ValueError(f"Expected word ids of shape (n, length), got {tuple(x.shape)}.")


def highest(features: Tensor, is_word: Tensor) -> Tensor:
    """Return the maximum over words; it is 0 for a text without words.

    Parameters
    ----------
    features : Tensor of shape (n, length, channels)
    is_word : bool Tensor of shape (n, length)
        False at padding.

    Returns
    -------
    Tensor of shape (n, channels)
    """
    padded = features.masked_fill(~is_word.unsqueeze(-1), -torch.inf).amax(dim=1)
    return padded.masked_fill(~is_word.any(dim=1, keepdim=True), 0.0)


def _checked_vectors(vectors: Any) -> Tensor:
    """Copy the word vectors to a float32 tensor whose row 0 is zero."""
    # Always a copy, because row 0 is changed below.
    weights = torch.as_tensor(vectors).detach().to(torch.float32, copy=True)
    if weights.ndim != 2 or weights.shape[0] < 2 or weights.shape[1] < 1:
        raise ValueError(
            "vectors must have the shape (n_words, dimension), with row 0 for padding and at least one word, "
            f"got shape {tuple(weights.shape)}. WordSequences.embedding_matrix() returns such an array."
        )
    if not torch.isfinite(weights).all():
        rows = int((~torch.isfinite(weights)).any(dim=1).sum())
        raise ValueError(
            f"vectors must be finite, but {rows} of {weights.shape[0]} rows hold NaN or infinity. "
            "Drop these words, or repair the file of the vectors."
        )
    weights[0] = 0.0
    return weights
