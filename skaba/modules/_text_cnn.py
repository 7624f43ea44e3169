"""A convolutional network for texts."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from skaba.modules._word_vectors import frozen_embedding


class TextCNN(nn.Module):
    """Convolutional network for texts: frozen word vectors, 3 convolutions, 2 linear layers.

    A max pool follows each of the first two convolutions, and the maximum over all
    positions follows the third, so texts may have any length from
    ``pool_size ** 2`` words.

    Parameters
    ----------
    vectors : array-like of shape (n_words, dimension)
        Word vectors; row i is the vector of word id i, see
        :meth:`skaba.preprocessing.WordSequences.embedding_matrix`. They are copied
        as float32 and not trained. Row 0 is padding and is set to zero.
    n_classes : int, default=20
        Number of classes; the network returns one logit per class.
    channels : int, default=128
        Number of channels of each convolution.
    kernel_size : int, default=5
        Kernel size of the convolutions in words.
    pool_size : int, default=5
        Kernel size and stride of the max pools.
    hidden : int, default=128
        Size of the hidden linear layer.
    dropout : float, default=0.5
        Probability that an output of the hidden linear layer is dropped.
    batch_norm : bool, default=False
        Whether each convolution is followed by batch normalization.

    Attributes
    ----------
    embedding : torch.nn.Embedding
        The frozen word vectors. With ``layer="embedding"``, an estimator augments
        the output of this layer, of shape (n, length, dimension).
    features : torch.nn.Sequential
        The convolutions and the pools between them.
    pool : torch.nn.Sequential
        The maximum over all positions.
    classifier : torch.nn.Sequential
        The two linear layers.

    Raises
    ------
    ValueError
        If ``vectors`` is not 2-dimensional, has no row except the padding, or is not
        finite; or if texts are not of shape (n, length), or are too short.

    Notes
    -----
    The papers name the layers, but not their sizes. The default sizes are those of
    F. Chollet, "Using pre-trained word embeddings in a Keras model" (2016), a
    tutorial for the same task: 20 Newsgroups, texts of 1000 words, GloVe vectors of
    100 dimensions. Unlike there, the convolutions keep the length, so that the
    network takes short texts too.

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
        self.min_length = pool_size**2
        self.embedding = frozen_embedding(vectors)
        self.features = nn.Sequential(
            *_convolution(self.embedding.embedding_dim, channels, kernel_size, batch_norm),
            nn.MaxPool1d(pool_size),
            *_convolution(channels, channels, kernel_size, batch_norm),
            nn.MaxPool1d(pool_size),
            *_convolution(channels, channels, kernel_size, batch_norm),
        )
        # A module instead of a function, so that attribution methods with rules per layer (LRP, DeepLIFT) see it.
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
            One logit per class.
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
    """Return a convolution that keeps the length, with batch normalization and ReLU."""
    before = (kernel_size - 1) // 2
    layers: list[nn.Module] = [nn.Conv1d(channels_in, channels_out, kernel_size, padding=before)]
    if kernel_size % 2 == 0:
        # One more zero on the right. padding="same" does it too, but warns about a copy of the input.
        layers.insert(0, nn.ConstantPad1d((0, 1), 0.0))
    if batch_norm:
        layers.append(nn.BatchNorm1d(channels_out))
    return [*layers, nn.ReLU()]
