"""Right for the right reasons: gradients where the input is known to be irrelevant."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from skaba.losses._penalty import ForwardPass, Penalty


class RRR(Penalty):
    r"""Right for the right reasons: squared gradients of the log-probabilities at irrelevant features.

    .. math::
        \lambda \, \frac{1}{n} \sum_i \sum_j
        \left((1 - m_{ij}) \frac{\partial}{\partial x_{ij}} \sum_k \log \hat p_{ik}\right)^2

    It costs one more backward pass and a second derivative. The forward pass is that of training.

    Parameters
    ----------
    weight : float, default=10.0
        The :math:`\lambda`.

    References
    ----------
    Ross, Hughes and Doshi-Velez (2017), "Right for the Right Reasons: Training Differentiable Models by Constraining
    their Explanations", equation 1, which has a sum over the samples in place of the mean.

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
        # masked_fill and not a product with 1 - mask: an infinite gradient under the mask would give NaN.
        gradient = forward_pass.gradient(log_probabilities(forward_pass))
        return gradient.masked_fill(forward_pass.mask, 0).square().flatten(1).sum(dim=1)


def log_probabilities(forward_pass: ForwardPass) -> Tensor:
    """Return the log-probabilities of the classes, or of the presence of each label in a multi-label task.

    Raises
    ------
    ValueError
        If the task is a regression, which has no probabilities.
    """
    logits, y, criterion = forward_pass.logits, forward_pass.y, forward_pass.criterion
    if isinstance(criterion, nn.BCEWithLogitsLoss):
        return functional.logsigmoid(logits)
    # A custom criterion with class indices is a classification too.
    if isinstance(criterion, nn.CrossEntropyLoss) or not y.is_floating_point():
        return torch.log_softmax(logits, dim=1)
    raise ValueError(
        f"RRR penalises gradients of log-probabilities, but y holds {y.dtype} targets and the loss is {criterion!r}: "
        "it fits CrossEntropyLoss and BCEWithLogitsLoss."
    )
