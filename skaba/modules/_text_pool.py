"""A network for texts that ignores the order of words."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from skaba.modules._word_vectors import check_texts, frozen_embedding, highest


class TextPool(nn.Module):
    """Network for texts: mean and maximum of frozen word vectors, and one hidden layer.

    Parameters
    ----------
    vectors : array-like of shape (n_words, dimension)
        Word vectors; row i is the vector of word id i, see
        :meth:`skaba.preprocessing.WordSequences.embedding_matrix`. They are copied
        as float32 and not trained. Row 0 is padding and is set to zero.
    n_classes : int, default=20
        Number of classes; the network returns one logit per class.
    hidden : int, default=128
        Size of the hidden linear layer.
    dropout : float, default=0.5
        Probability that an output of the hidden linear layer is dropped.

    Attributes
    ----------
    embedding : torch.nn.Embedding
        The frozen word vectors. With ``layer="embedding"``, an estimator augments
        the output of this layer, of shape (n, length, dimension).
    classifier : torch.nn.Sequential
        The two linear layers.

    Raises
    ------
    ValueError
        If ``vectors`` is not 2-dimensional, has no row except the padding, or is not
        finite; or if texts are not of shape (n, length).

    Notes
    -----
    Mean and maximum are taken over the words only, so the number of zeros after a text
    does not matter. A text without words has zeros in their place.

    References
    ----------
    D. Shen et al. Baseline needs more love: on simple word-embedding-based models and
    associated pooling mechanisms. ACL 2018.

    Examples
    --------
    >>> import torch
    >>> from skaba.modules import TextPool
    >>> model = TextPool(torch.randn(50, 8), n_classes=3)
    >>> model(torch.randint(0, 50, (2, 30))).shape
    torch.Size([2, 3])
    """

    def __init__(self, vectors: Any, n_classes: int = 20, *, hidden: int = 128, dropout: float = 0.5) -> None:
        super().__init__()
        self.embedding = frozen_embedding(vectors)
        self.classifier = nn.Sequential(
            nn.Linear(2 * self.embedding.embedding_dim, hidden),
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
        check_texts(x)
        is_word = x.ne(0)
        words = self.embedding(x)
        n_words = is_word.sum(dim=1, keepdim=True).clamp(min=1)
        # The product leaves padding out of the sum, also where the vectors after the embedding were changed.
        mean = (words * is_word.unsqueeze(-1)).sum(dim=1) / n_words
        logits: Tensor = self.classifier(torch.cat([mean, highest(words, is_word)], dim=1))
        return logits
