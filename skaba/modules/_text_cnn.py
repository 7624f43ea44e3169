"""A convolutional network over word vectors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class TextCNN(nn.Module):
    """Convolutional network for texts: word ids, frozen word vectors, 3 convolutions, 2 linear layers.

    Each of the first two convolutions is followed by a max pool, and the third by
    the maximum over all positions, so texts of any length from ``pool_size ** 2``
    words will do.

    Parameters
    ----------
    vectors : array-like of shape (n_words, dimension)
        Word vectors, of which row i belongs to word id i; see
        :meth:`skaba.preprocessing.WordSequences.embedding_matrix`. They are copied
        as float32 and not trained. Row 0 stands for padding and is set to zero.
    n_classes : int, default=20
        Number of outputs.
    channels : int, default=128
        Channels of every convolution.
    kernel_size : int, default=5
        Words that a convolution sees at once.
    pool_size : int, default=5
        Words, or positions, that a max pool makes one.
    hidden : int, default=128
        Size of the hidden linear layer.
    dropout : float, default=0.5
        Probability of dropping an output of the hidden linear layer.
    batch_norm : bool, default=False
        Whether to put batch normalization after every convolution.

    Attributes
    ----------
    embedding : torch.nn.Embedding
        The frozen word vectors; its output, of shape (n, length, dimension), is
        what ``layer="embedding"`` augments.
    features : torch.nn.Sequential
        Convolutions and the pools between them.
    pool : torch.nn.Sequential
        The maximum over all positions.
    classifier : torch.nn.Sequential
        The two linear layers.

    Raises
    ------
    ValueError
        If ``vectors`` is not 2-dimensional, has no row besides padding, or is not
        finite; or if the texts given are not of shape (n, length), or too short.

    Notes
    -----
    The papers name the layers, not their sizes. These follow the tutorial network
    of F. Chollet, "Using pre-trained word embeddings in a Keras model" (2016), made
    for the same task: 20 Newsgroups, texts of 1000 words, GloVe vectors of 100
    dimensions. Here convolutions keep the length, so short texts work as well.

    Examples
    --------
    >>> import torch
    >>> from skaba.modules import TextCNN
    >>> model = TextCNN(torch.randn(50, 8), n_classes=3)
    >>> word_ids = torch.randint(0, 50, (2, 30))
    >>> model(word_ids).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        vectors: Any,
        n_classes: int = 20,
        *,
        channels: int = 128,
        kernel_size: int = 5,
        pool_size: int = 5,
        hidden: int = 128,
        dropout: float = 0.5,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        weights = _checked_vectors(vectors)
        self.min_length = pool_size**2
        self.embedding: nn.Embedding = nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
            weights, freeze=True, padding_idx=0
        )
        self.features = nn.Sequential(
            *_convolution(weights.shape[1], channels, kernel_size, batch_norm),
            nn.MaxPool1d(pool_size),
            *_convolution(channels, channels, kernel_size, batch_norm),
            nn.MaxPool1d(pool_size),
            *_convolution(channels, channels, kernel_size, batch_norm),
        )
        # As a module, so that attribution methods with rules for layers know it.
        self.pool = nn.Sequential(nn.AdaptiveMaxPool1d(1), nn.Flatten())
        self.classifier = nn.Sequential(
            nn.Linear(channels, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, n_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits.

        Parameters
        ----------
        x : torch.Tensor of shape (n, length)
            Word ids, int64; 0 is padding.

        Returns
        -------
        logits : torch.Tensor of shape (n, n_classes)
        """
        if x.ndim != 2 or x.shape[1] < self.min_length:
            raise ValueError(
                f"Expected word ids of shape (n, length) with length at least {self.min_length}, got "
                f"{tuple(x.shape)}. Pad the texts with 0, or lower pool_size."
            )
        embedded: Tensor = self.embedding(x).transpose(1, 2)
        logits: Tensor = self.classifier(self.pool(self.features(embedded)))
        return logits


def _convolution(channels_in: int, channels_out: int, kernel_size: int, batch_norm: bool) -> list[nn.Module]:
    """Convolution that keeps the length, and what follows it."""
    before = (kernel_size - 1) // 2
    layers: list[nn.Module] = [nn.Conv1d(channels_in, channels_out, kernel_size, padding=before)]
    if kernel_size % 2 == 0:
        # One more on the right; padding="same" would warn about a copy.
        layers.insert(0, nn.ConstantPad1d((0, 1), 0.0))
    if batch_norm:
        layers.append(nn.BatchNorm1d(channels_out))
    return [*layers, nn.ReLU()]


def _checked_vectors(vectors: Any) -> Tensor:
    """Copy the word vectors to a float32 tensor whose row 0 is zero."""
    weights = torch.as_tensor(vectors).detach().to(torch.float32, copy=True)
    if weights.ndim != 2 or weights.shape[0] < 2 or weights.shape[1] < 1:
        raise ValueError(
            "vectors must be of shape (n_words, dimension), with row 0 for padding and at least one word, "
            f"got shape {tuple(weights.shape)}. WordSequences.embedding_matrix() makes such an array."
        )
    if not torch.isfinite(weights).all():
        rows = int((~torch.isfinite(weights)).any(dim=1).sum())
        raise ValueError(
            f"vectors must be finite, but {rows} of {weights.shape[0]} rows hold NaN or infinity. "
            "Drop those words, or repair the file the vectors came from."
        )
    weights[0] = 0.0
    return weights
