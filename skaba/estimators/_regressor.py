"""Regression."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from skorch import NeuralNetRegressor
from torch import Tensor, nn

from skaba.attribution import Loss
from skaba.estimators._net import AugmentedNet
from skaba.estimators._targets import NamedTargets


class ABARegressor(NamedTargets, AugmentedNet, NeuralNetRegressor):
    """A PyTorch network as a regressor, trained with attribution-based augmentation.

    Like :class:`ABAClassifier`, for real targets. Presets given by name explain the loss.

    Parameters
    ----------
    module : nn.Module class or instance
        Returns predictions of shape (n, n_outputs), or (n,) for a single output.
    augmenter, strength, penalty, layer, random_state, optimizer, lr, max_epochs, batch_size, iterator_train
        As in :class:`ABAClassifier`.
    train_split
        As in :class:`ABAClassifier`.
    criterion : nn.Module class, default=nn.MSELoss
    **parameters
        Other parameters of skorch.

    Attributes
    ----------
    target_names_ : ndarray of str of shape (n_outputs,) or None
        The names of y's columns if ``fit`` saw a data frame whose columns are named by strings. Later
        frames must have the same columns in the same order.
    module_, augmenter_, history
        As in :class:`ABAClassifier`.

    Notes
    -----
    Scale the targets to about mean 0 and standard deviation 1, the scale of a new network's predictions.

    References
    ----------
    Kinkel (2023), chapter 6, names regression as future work. Where no class can be picked, it
    explains the loss (section 4.1.3).

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import make_regression
    >>> from skaba import ABARegressor
    >>> X, y = make_regression(80, 5, random_state=0)
    >>> reg = ABARegressor(torch.nn.Linear(5, 1), max_epochs=2, random_state=0, verbose=0)
    >>> reg.fit(X, y / y.std()).predict(X[:3]).shape
    (3,)
    """

    _refused_losses: ClassVar[dict[tuple[type[nn.Module], ...], str]] = {
        (nn.CrossEntropyLoss, nn.NLLLoss): "it takes classes. Use torch.nn.MSELoss, or ABAClassifier for labels."
    }
    _task: ClassVar[str] = "regressor"
    _learned: ClassVar[tuple[str, ...]] = (*AugmentedNet._learned, "target_shape_", "target_names_")
    target_shape_: Any = None

    def __init__(self, module: type[nn.Module] | nn.Module, *, criterion: Any = nn.MSELoss, **parameters: Any) -> None:
        super().__init__(module, criterion=criterion, **parameters)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the module's output. The name is skorch's: a regression has no probabilities.

        Parameters
        ----------
        X : array-like, Tensor or Dataset of n samples

        Returns
        -------
        ndarray of shape (n, n_outputs)
            Also if the module returns (n,).
        """
        outputs = super().predict_proba(X)
        return outputs[:, None] if outputs.ndim == 1 else outputs

    def predict(self, X: Any) -> np.ndarray:
        """Return the predictions.

        Parameters
        ----------
        X : array-like, Tensor or Dataset of n samples

        Returns
        -------
        ndarray of shape (n,) or (n, n_outputs)
            The shape of y in ``fit``.
        """
        predictions = self.predict_proba(X)
        if self.target_shape_ is None:  # loaded weights, never fitted
            return predictions
        return predictions.reshape(len(predictions), *self.target_shape_)

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        y_pred, y_true : Tensor
            Reshaped to match: (n, 1) against (n,) would broadcast to (n, n).
        X, training
            As in skorch.

        Returns
        -------
        Tensor
            A scalar.
        """
        if isinstance(y_pred, Tensor) and y_pred.shape != y_true.shape and y_pred.numel() == y_true.numel():
            y_true = y_true.reshape(y_pred.shape)
        return super().get_loss(y_pred, y_true, X=X, training=training)

    # This get_loss only reshapes y, so maps of the loss explain the criterion.
    _loss_of_criterion = get_loss

    def _read_targets(self, y: Any) -> np.ndarray:
        y = super()._read_targets(y)
        if y.dtype.kind not in "biuf":
            raise ValueError(
                f"y must hold numbers, got {y.dtype} values such as {y.ravel()[0]}. For labels use ABAClassifier."
            )
        return y

    def _learn_targets(self, y: np.ndarray | None, classes: Any = None) -> None:
        self.target_shape_ = None if y is None else y.shape[1:]

    def _encode_targets(self, y: np.ndarray) -> np.ndarray:
        if self.target_shape_ is not None and y.shape[1:] != self.target_shape_:
            if y[0].size != int(np.prod(self.target_shape_)):
                raise ValueError(f"y has shape {y.shape}, but fit saw targets of shape {('n', *self.target_shape_)}.")
            y = y.reshape(len(y), *self.target_shape_)  # (n, 1) and (n,) are the same targets
        return y.astype(np.float32)

    def _check_output(self, predictions: Tensor, y: Tensor) -> None:
        if self.target_shape_ is None:
            self.target_shape_ = tuple(predictions.shape[1:])
        if predictions[0].numel() != int(np.prod(self.target_shape_)):
            raise ValueError(
                f"The module returned {tuple(predictions.shape)}, but y holds targets of shape "
                f"(n, *{tuple(self.target_shape_)}). Make the module's output as wide as y."
            )

    def _n_outputs(self) -> int:
        return 0 if self.target_shape_ is None else int(np.prod(self.target_shape_))

    def _default_target(self) -> Loss:
        return Loss()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
