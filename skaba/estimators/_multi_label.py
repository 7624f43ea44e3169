"""Multi-label classification: any number of labels a sample."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.metrics import roc_auc_score
from sklearn.utils._param_validation import Interval
from skorch import NeuralNet
from skorch.callbacks import EpochScoring
from torch import Tensor, nn

from skaba._samples import check_length
from skaba.attribution import Loss
from skaba.estimators._net import AugmentedNet


class ABAMultiLabelClassifier(AugmentedNet, ClassifierMixin, NeuralNet):
    """A PyTorch network as a multi-label classifier that augments where the network looks.

    As :class:`ABAClassifier`, for targets in which every sample has any number of labels.
    Presets given by name explain the loss, since no single class stands for a sample.

    Parameters
    ----------
    module : nn.Module class or instance
        Returns logits of shape (n, n_labels).
    augmenter, strength, layer, random_state, optimizer, lr, max_epochs, batch_size, iterator_train, train_split
        As in :class:`ABAClassifier`.
    threshold : float, default=0.5
        ``predict`` gives a label whose probability exceeds it.
    criterion : nn.Module class, default=nn.BCEWithLogitsLoss
        A loss that takes logits.
    **parameters
        All of skorch's.

    Attributes
    ----------
    classes_ : int64 ndarray of shape (n_labels, 2)
        A row ``[0, 1]`` per label: it is absent or present.
    n_labels_ : int
    module_, augmenter_, history
        As in :class:`ABAClassifier`.

    References
    ----------
    Kinkel (2023), sections 4.1.1 and 4.1.3, PTB-XL.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba import ABAMultiLabelClassifier
    >>> from skaba.datasets import make_ecg
    >>> from skaba.modules import FCN
    >>> X, y = make_ecg(60, n_times=100, random_state=0)
    >>> Y = np.column_stack([y > 0, y == 2])
    >>> clf = ABAMultiLabelClassifier(FCN, module__n_classes=2, max_epochs=1, random_state=0, verbose=0)
    >>> clf.fit(X, Y).predict(X[:3]).shape
    (3, 2)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **AugmentedNet._parameter_constraints,
        "threshold": [Interval(Real, 0, 1, closed="both")],
    }
    _learned: ClassVar[tuple[str, ...]] = (*AugmentedNet._learned, "n_labels_")
    n_labels_: Any = None
    _preset_parameters: ClassVar[dict[str, Any]] = {"target": Loss()}

    def __init__(
        self,
        module: type[nn.Module] | nn.Module,
        *,
        threshold: float = 0.5,
        criterion: Any = nn.BCEWithLogitsLoss,
        predict_nonlinearity: Any = torch.sigmoid,
        **parameters: Any,
    ) -> None:
        super().__init__(
            module,
            criterion=criterion,
            predict_nonlinearity=predict_nonlinearity,
            **parameters,
        )
        self.threshold = threshold

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        callbacks = list(super()._default_callbacks)
        auc = EpochScoring(_validation_auc, name="valid_auc", lower_is_better=False)
        return [*callbacks[:-1], ("valid_auc", auc), callbacks[-1]]

    @property
    def classes_(self) -> np.ndarray:
        """Absent and present, for every label."""
        # By its two axes scikit-learn's scorers know a task of several labels; of the numbers of two labels they would
        # make the classes of a binary task.
        return np.tile(np.array([0, 1]), (self.n_labels_ or 0, 1))

    def predict(self, X: Any) -> np.ndarray:
        """Return the labels whose probability exceeds the threshold.

        Parameters
        ----------
        X : array-like, Tensor or Dataset of n samples

        Returns
        -------
        int64 ndarray of shape (n, n_labels)
        """
        return (self.predict_proba(X) > self.threshold).astype(np.int64)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the macro area under the ROC curve.

        Parameters
        ----------
        X : array-like or Tensor of n samples
        y : array-like of shape (n, n_labels)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
            The mean over the labels that occur in y and are also absent somewhere; for the
            others the curve is not defined. NaN if there is no such label.

        Raises
        ------
        ValueError
            If y does not hold zeros and ones, or not one row per sample.
        """
        X, y = self._check_known(X), self._encode_targets(self._read_targets(y))
        check_length(X, y)
        return macro_auc(y, self.predict_proba(X), sample_weight)

    def _read_targets(self, y: Any) -> np.ndarray:
        y = super()._read_targets(y)
        if y.ndim != 2:
            raise ValueError(
                f"Unknown label type: y has shape {y.shape}; {type(self).__name__} needs (n, n_labels) zeros and "
                "ones. For one label per sample use ABAClassifier."
            )
        if y.dtype.kind not in "biuf":
            raise ValueError(
                f"Unknown label type: y must hold zeros and ones, one column per label; got {y.dtype} values such as "
                f"{y[0, 0]}. Of lists of names scikit-learn's MultiLabelBinarizer makes such columns."
            )
        others = y[(y != 0) & (y != 1)]
        if len(others):
            raise ValueError(
                f"Unknown label type: y must hold zeros and ones, one column per label; got {others[0]:g}. Turn shares "
                "into labels with a threshold, (y > 0.5)."
            )
        return y

    def _learn_targets(self, y: np.ndarray | None, classes: Any = None) -> None:
        self.n_labels_ = None if y is None else y.shape[1]

    def _encode_targets(self, y: np.ndarray) -> np.ndarray:
        if self.n_labels_ is not None and y.shape[1] != self.n_labels_:
            raise ValueError(f"y has {y.shape[1]} labels, but fit saw {self.n_labels_}.")
        return y.astype(np.float32)

    def _check_output(self, logits: Tensor, y: Tensor) -> None:
        if self.n_labels_ is None and logits.dim() == 2:
            self.n_labels_ = logits.shape[1]
        if logits.dim() != 2 or logits.shape[1] != self.n_labels_:
            raise ValueError(
                f"The module returned {tuple(logits.shape)}; with {self.n_labels_} labels it must return logits of "
                f"shape (n, {self.n_labels_})."
            )

    def _default_target(self) -> Loss:
        return Loss()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.classifier_tags.multi_class = False
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        return tags


def macro_auc(y: np.ndarray, probabilities: np.ndarray, sample_weight: Any = None) -> float:
    """Average the area under the ROC curve over the labels for which it is defined.

    Parameters
    ----------
    y : ndarray of shape (n, n_labels)
        Zeros and ones.
    probabilities : ndarray of shape (n, n_labels)
    sample_weight : array-like of shape (n,), default=None

    Returns
    -------
    float
        NaN if no label both occurs and is absent.
    """
    defined = (y.min(axis=0) < 0.5) & (y.max(axis=0) > 0.5)
    if not defined.any():
        return float("nan")
    areas = roc_auc_score(y[:, defined] > 0.5, probabilities[:, defined], sample_weight=sample_weight)
    return float(areas)


def _validation_auc(net: ABAMultiLabelClassifier, X: Any, y: Any) -> float:
    return macro_auc(np.asarray(y), net.predict_proba(X))
