"""A multilayer perceptron for tables."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from skaba.modules._initialize import he_normal


class MLP(nn.Module):
    """Multilayer perceptron for tables.

    Parameters
    ----------
    n_features : int
        Number of columns of the table.
    n_classes : int, default=2
        Number of classes; the network returns one logit per class.
    hidden : int, default=64
        Size of each hidden layer.
    n_layers : int, default=2
        Number of hidden layers.
    dropout : float, default=0.0
        Probability that an output of a hidden layer is dropped.
    batch_norm : bool, default=False
        Whether each hidden linear layer is followed by batch normalization.

    Attributes
    ----------
    features : torch.nn.Sequential
        The hidden layers.
    classifier : torch.nn.Linear
        The linear layer from the last hidden layer to the logits.

    Notes
    -----
    The weights are initialised as in He et al. (2015), as those of :class:`ConvNet`.

    Examples
    --------
    >>> import torch
    >>> from skaba.modules import MLP
    >>> MLP(n_features=30, n_classes=2)(torch.zeros(4, 30)).shape
    torch.Size([4, 2])
    """

    def __init__(
        self,
        n_features: int,
        n_classes: int = 2,
        *,
        hidden: int = 64,
        n_layers: int = 2,
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        sizes = [n_features, *[hidden] * n_layers]
        layers: list[nn.Module] = []
        for size, next_size in pairwise(sizes):
            layers.append(nn.Linear(size, next_size))
            if batch_norm:
                layers.append(nn.BatchNorm1d(next_size))
            layers += [nn.ReLU(), nn.Dropout(dropout)]
        self.n_features = n_features
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(sizes[-1], n_classes)
        self.apply(he_normal)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits.

        Parameters
        ----------
        x : torch.Tensor of shape (n, n_features)

        Returns
        -------
        logits : torch.Tensor of shape (n, n_classes)
            One logit per class.

        Raises
        ------
        ValueError
            If the samples do not have this shape.
        """
        if x.ndim != 2 or x.shape[1] != self.n_features:
            raise ValueError(f"Expected rows of shape (n, {self.n_features}), got {tuple(x.shape)}. Set n_features.")
        logits: Tensor = self.classifier(self.features(x))
        return logits
