"""Multi-label classification: any number of labels per sample."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.metrics import roc_auc_score
from sklearn.utils._param_validation import Interval, StrOptions
from skorch import NeuralNet
from skorch.callbacks import EpochScoring
from torch import Tensor, nn

from skaba._samples import check_length
from skaba.attribution import Loss
from skaba.estimators._class_weight import check_takes_pos_weight, class_weights, required_targets
from skaba.estimators._net import AugmentedNet
from skaba.estimators._targets import NamedTargets
from skaba.network import unwrapped


class ABAMultiLabelClassifier(NamedTargets, AugmentedNet, ClassifierMixin, NeuralNet):
    """A PyTorch network as a multi-label classifier, trained with attribution-based augmentation.

    Like :class:`ABAClassifier`, for samples with any number of labels. Presets given by name explain the loss, because
    a sample has no single true class.

    Parameters
    ----------
    module : nn.Module class or instance
        Returns logits of shape (n, n_labels).
    augmenter, strength, penalty, layer, random_state, optimizer, lr, max_epochs, batch_size, iterator_train
        As in :class:`ABAClassifier`.
    train_split
        As in :class:`ABAClassifier`.
    threshold : float or array-like of shape (n_labels,), default=0.5
        ``predict`` returns the labels whose probability exceeds it; one number for all labels, or one per label.
    criterion : nn.Module class, default=nn.BCEWithLogitsLoss
        A loss that takes logits.
    class_weight : {"balanced"}, dict or None, default=None
        Weights of present labels in the loss, by name, or by column number if y has no names. ``"balanced"`` is the
        number of samples without the label divided by the number with it. The criterion must take ``pos_weight=``.
    **parameters
        Other parameters of skorch.

    Attributes
    ----------
    classes_ : int64 ndarray of shape (n_labels, 2)
        A row ``[0, 1]`` per label, for absent and present.
    n_labels_ : int
    module_, augmenter_, history
        As in :class:`ABAClassifier`.
    target_names_ : ndarray of str of shape (n_labels,) or None
        The names of y's columns if ``fit`` saw a data frame whose columns are named by strings. Later
        frames must have the same columns in the same order.

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

    Labels keep the names that a data frame gives them:

    >>> import pandas as pd
    >>> clf = clf.fit(X, pd.DataFrame(Y, columns=["ill", "irregular"]))
    >>> clf.target_names_.tolist(), list(clf.score_per_label(X, Y))
    (['ill', 'irregular'], ['ill', 'irregular'])
    >>> clf.attribute(X[:3], target="irregular").shape
    (3, 12, 100)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **AugmentedNet._parameter_constraints,
        "threshold": [Interval(Real, 0, 1, closed="both"), "array-like"],
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }
    _refused_losses: ClassVar[dict[tuple[type[nn.Module], ...], str]] = {
        (nn.CrossEntropyLoss, nn.NLLLoss): "it takes classes that exclude each other. Use torch.nn.BCEWithLogitsLoss, "
        "or ABAClassifier for one label per sample.",
        (nn.BCELoss,): "it takes probabilities, but the module must return logits. Use torch.nn.BCEWithLogitsLoss and "
        "take the sigmoid out of the module.",
    }
    class_weights_: Tensor | None = None
    _task: ClassVar[str] = "multi-label classifier"
    _learned: ClassVar[tuple[str, ...]] = (*AugmentedNet._learned, "n_labels_", "target_names_")
    n_labels_: Any = None

    def __init__(
        self,
        module: type[nn.Module] | nn.Module,
        *,
        threshold: float | ArrayLike = 0.5,
        criterion: Any = nn.BCEWithLogitsLoss,
        predict_nonlinearity: Any = torch.sigmoid,
        class_weight: str | dict[Any, float] | None = None,
        **parameters: Any,
    ) -> None:
        super().__init__(
            module,
            criterion=criterion,
            predict_nonlinearity=predict_nonlinearity,
            **parameters,
        )
        self.threshold = threshold
        self.class_weight = class_weight

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        # The last one, PrintLog, prints the scores of the callbacks before it.
        callbacks = list(super()._default_callbacks)
        auc = EpochScoring(_validation_auc, name="valid_auc", lower_is_better=False)
        return [*callbacks[:-1], ("valid_auc", auc), callbacks[-1]]

    @property
    def classes_(self) -> np.ndarray:
        """Absent and present, per label."""
        # scikit-learn's scorers recognise several labels by the two axes. They would read a flat array of two label
        # numbers as the classes of a binary task.
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
        probabilities = self.predict_proba(X)
        return (probabilities > self._thresholds(probabilities.shape[1])).astype(np.int64)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the macro area under the ROC curve.

        Parameters
        ----------
        X : array-like or Tensor of n samples
        y : array-like of shape (n, n_labels)
            A data frame must have the columns that ``fit`` saw.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
            The mean over the labels that some samples of y have and others do not; otherwise the curve of a label is
            not defined. NaN if there is no such label.

        Raises
        ------
        ValueError
            If y does not hold zeros and ones, or does not have one row per sample.
        """
        return macro_auc(*self._targets_and_probabilities(X, y), sample_weight)

    def score_per_label(self, X: Any, y: Any, sample_weight: Any = None) -> dict[Any, float]:
        """Return the area under the ROC curve, per label.

        Parameters
        ----------
        X, y, sample_weight
            As for ``score``.

        Returns
        -------
        dict of str or int to float
            By the label's name in ``target_names_``, else by its column number, in the order of the
            columns. NaN for a label that all samples of y have, or none, since its curve is not
            defined; ``score`` is the mean of the others.
        """
        areas = aucs(*self._targets_and_probabilities(X, y), sample_weight)
        names = range(len(areas)) if self.target_names_ is None else self.target_names_.tolist()
        return dict(zip(names, areas.tolist(), strict=True))

    def _targets_and_probabilities(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        X, y = self._check_known(X), self._encode_targets(self._read_targets(y))
        check_length(X, y)
        return y, self.predict_proba(X)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._thresholds(None)

    def _thresholds(self, n_labels: int | None) -> np.ndarray:
        """Return one threshold per label, or one for all; their number is not checked if ``n_labels`` is None."""
        try:
            thresholds = np.asarray(self.threshold, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"threshold must hold numbers, got {self.threshold!r}.") from error
        if thresholds.ndim > 1 or not np.all((thresholds >= 0) & (thresholds <= 1)):
            raise ValueError(f"threshold must be a number from 0 to 1, or one per label; got {self.threshold!r}.")
        if thresholds.ndim == 1 and n_labels is not None and len(thresholds) != n_labels:
            raise ValueError(f"threshold holds {len(thresholds)} numbers, but there are {n_labels} labels.")
        return thresholds

    def _n_outputs(self) -> int:
        return self.n_labels_ or 0

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
                f"{y[0, 0]}. scikit-learn's MultiLabelBinarizer turns lists of names into such columns."
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
        self._thresholds(self.n_labels_)

    def _learn_weights(self, targets: np.ndarray | None) -> None:
        self.class_weights_ = None
        if self.class_weight is None:
            return
        y = required_targets(self.class_weight, targets)

        def balanced() -> np.ndarray:
            present = y.sum(axis=0)
            # The weight of a label that no sample has would be infinite.
            return np.where(present > 0, (len(y) - present) / np.maximum(present, 1), 1)

        labels = np.arange(y.shape[1]) if self.target_names_ is None else self.target_names_
        self.class_weights_ = torch.as_tensor(class_weights(self.class_weight, labels, balanced)).float()
        # pos_weight is an argument of the criterion, which was made with the weights of an earlier fit.
        if self.initialized_:
            self._initialize_criterion()

    def get_params_for(self, prefix: str) -> dict[str, Any]:
        """Return the arguments of a component; those of the criterion with the weights of the labels.

        Parameters
        ----------
        prefix : str
            Such as ``"criterion"``.

        Returns
        -------
        dict
        """
        parameters: dict[str, Any] = super().get_params_for(prefix)
        if prefix == "criterion" and self.class_weights_ is not None:
            check_takes_pos_weight(self.criterion, parameters)
            parameters["pos_weight"] = self.class_weights_
        return parameters

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
        # Values in [0, 1] alone do not show probabilities, since those of several labels need not sum to 1.
        last = list(unwrapped(self.module_).modules())[-1]
        if isinstance(last, (nn.Sigmoid, nn.Softmax)) and logits.min() >= 0 and logits.max() <= 1:
            raise ValueError(
                f"The module returns probabilities, as it ends in {last}, but logits are needed: take that layer "
                "out of it. predict_proba applies the sigmoid."
            )

    def _default_target(self) -> Loss:
        return Loss()

    def __sklearn_tags__(self) -> Any:
        # ClassifierMixin describes a task with one class per sample.
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
        NaN if all samples have the same labels.
    """
    areas = aucs(y, probabilities, sample_weight)
    defined = ~np.isnan(areas)
    return float(areas[defined].mean()) if defined.any() else float("nan")


def aucs(y: np.ndarray, probabilities: np.ndarray, sample_weight: Any = None) -> np.ndarray:
    """Return the area under the ROC curve, per label.

    Parameters
    ----------
    y, probabilities, sample_weight
        As for ``macro_auc``.

    Returns
    -------
    ndarray of shape (n_labels,)
        NaN for a label that all samples have, or none.
    """
    areas = np.full(y.shape[1], np.nan)
    defined = (y.min(axis=0) < 0.5) & (y.max(axis=0) > 0.5)
    if defined.any():
        areas[defined] = roc_auc_score(
            y[:, defined] > 0.5, probabilities[:, defined], average=None, sample_weight=sample_weight
        )
    return areas


def _validation_auc(net: ABAMultiLabelClassifier, X: Any, y: Any) -> float:
    return macro_auc(np.asarray(y), net.predict_proba(X))
