"""Right for the right reasons: gradients where the input is known to be irrelevant."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from skaba.losses._penalty import ForwardPass, Penalty
from skaba.network import described


class RRR(Penalty):
    r"""Right for the right reasons: squared gradients of the log-probabilities at irrelevant features.

    .. math::
        \lambda \, \frac{1}{n} \sum_i \sum_j
        \left((1 - m_{ij}) \frac{\partial}{\partial x_{ij}} \sum_k \log \hat p_{ik}\right)^2

    It costs one backward pass more, through the pass that training makes, and a second derivative; no second forward
    pass.

    Parameters
    ----------
    weight : float, default=10.0
        The :math:`\lambda`.

    References
    ----------
    Ross, Hughes and Doshi-Velez (2017), "Right for the Right Reasons: Training Differentiable Models by Constraining
    their Explanations", equation 1; there a sum over the samples in place of the mean.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skaba import ABAClassifier
    >>> from skaba.losses import RRR
    >>> from skaba.modules import ConvNet
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X.reshape(-1, 1, 8, 8)[:100] / 16
    >>> mask = np.ones((100, 8, 8), dtype=bool)
    >>> mask[:, 0, 0] = False  # the first pixel is known to be irrelevant
    >>> clf = ABAClassifier(ConvNet, augmenter=None, penalty=RRR(), max_epochs=1, random_state=0, verbose=0)
    >>> clf.fit(X, y[:100], mask=mask).predict(X[:2]).shape
    (2,)
    """

    def __init__(self, weight: float = 10.0) -> None:
        super().__init__(weight)

    def _of_samples(self, forward_pass: ForwardPass) -> Tensor:
        gradient = forward_pass.gradient(log_probabilities(forward_pass))
        return gradient.masked_fill(forward_pass.mask, 0).square().flatten(1).sum(dim=1)


def log_probabilities(forward_pass: ForwardPass) -> Tensor:
    """Return the log-probabilities of the classes; for labels that do not exclude each other, of their presence.

    Raises
    ------
    ValueError
        If the task is a regression, which has no probabilities.
    """
    logits, y, criterion = forward_pass.logits, forward_pass.y, forward_pass.criterion
    if isinstance(criterion, nn.BCEWithLogitsLoss):
        return functional.logsigmoid(logits)
    if isinstance(criterion, nn.CrossEntropyLoss) or (isinstance(y, Tensor) and not y.is_floating_point()):
        return torch.log_softmax(logits, dim=1)
    raise ValueError(
        f"RRR penalises gradients of log-probabilities, but y {_held(y)} and the loss is {criterion!r}: it fits "
        "CrossEntropyLoss and BCEWithLogitsLoss."
    )


def _held(y: Any) -> str:
    return f"holds {y.dtype} targets" if isinstance(y, Tensor) else f"is {described(y)}"
