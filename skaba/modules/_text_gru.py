"""A recurrent network for texts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from skaba.modules._word_vectors import check_texts, frozen_embedding, highest


class TextGRU(nn.Module):
    """Recurrent network for texts: frozen word vectors, a bidirectional GRU, the maximum over words.

    Parameters
    ----------
    vectors : array-like of shape (n_words, dimension)
        Word vectors; row i is the vector of word id i, see
        :meth:`skaba.preprocessing.WordSequences.embedding_matrix`. They are copied
        as float32 and not trained. Row 0 is padding and is set to zero.
    n_classes : int, default=20
        Number of classes; the network returns one logit per class.
    hidden : int, default=64
        Size of the state of the GRU in each direction.
    dropout : float, default=0.5
        Probability that an input of the linear layer is dropped.

    Attributes
    ----------
    embedding : torch.nn.Embedding
        The frozen word vectors. With ``layer="embedding"``, an estimator augments
        the output of this layer, of shape (n, length, dimension).
    features : torch.nn.GRU
    classifier : torch.nn.Sequential
        The dropout and the linear layer.

    Raises
    ------
    ValueError
        If ``vectors`` is not 2-dimensional, has no row except the padding, or is not
        finite; or if texts are not of shape (n, length).

    Notes
    -----
    Both directions read a text up to its last word, so the number of zeros after it
    does not matter.

    Examples
    --------
    >>> import torch
    >>> from skaba.modules import TextGRU
    >>> model = TextGRU(torch.randn(50, 8), n_classes=3)
    >>> model(torch.randint(0, 50, (2, 30))).shape
    torch.Size([2, 3])
    """

    def __init__(self, vectors: Any, n_classes: int = 20, *, hidden: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        self.embedding = frozen_embedding(vectors)
        self.features = nn.GRU(self.embedding.embedding_dim, hidden, batch_first=True, bidirectional=True)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * hidden, n_classes))

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
        states = self._states(self.embedding(x), is_word)
        logits: Tensor = self.classifier(highest(states, is_word))
        return logits

    def _states(self, words: Tensor, is_word: Tensor) -> Tensor:
        """Return the states at all positions, zeros after the last word of a text."""
        positions = torch.arange(1, words.shape[1] + 1, device=words.device)
        lengths = (is_word * positions).amax(dim=1).clamp(min=1)  # a packed text holds at least one position
        packed = pack_padded_sequence(words, lengths.cpu(), batch_first=True, enforce_sorted=False)
        # cuDNN cannot compute gradients of a GRU in evaluation mode, in which maps are computed.
        with torch.backends.cudnn.flags(enabled=self.training):
            states, _ = self.features(packed)
        padded: Tensor = pad_packed_sequence(states, batch_first=True, total_length=words.shape[1])[0]
        return padded
