"""Single-label classification."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import column_or_1d
from skorch import NeuralNetClassifier
from torch import Tensor, nn

from skaba.attribution import TrueClass
from skaba.estimators._data import EncodedDataset
from skaba.estimators._net import AugmentedNet


def softmax(logits: Tensor) -> Tensor:
    """Turn logits into probabilities of classes that exclude each other."""
    return torch.softmax(logits, dim=-1)


class ABAClassifier(AugmentedNet, NeuralNetClassifier):
    """A PyTorch network as a scikit-learn classifier that augments where the network looks.

    At every training step the network is asked which input features matter, and the
    augmenter pushes them up or down before the ordinary step. At prediction time
    nothing is augmented.

    Parameters
    ----------
    module : nn.Module class or instance
        Returns logits of shape (n, n_classes). Arguments of a class are given as
        ``module__name=value``.
    augmenter : str, callable or None, default="mend_aba"
        A preset's name (``"challenger"``, ``"mend_aba"``, ``"fast_aba"``, ``"fgsm"``), an
        augmenter such as ``ABA(...)`` or ``mend_aba(k=6)``, any callable with the same
        arguments, or None for plain training. Its parameters are set and searched as
        ``augmenter__target__k``.
    strength : float, default=0.1
        The s of the papers, in the units of the (scaled) input; the one parameter that
        always has to be tuned. 0 switches augmentation off.
    layer : str, default=None
        Augment the output of this submodule (``"embedding"``, ``"features.3"``) instead of
        the input. Padding positions of an embedding stay untouched; they count among the
        features of a sample where percentiles are taken, as in the source.
    random_state : int, RandomState or None, default=None
        Seeds the module's initialisation, the batches, dropout and the augmenter, without
        touching the global random state. With None the global state decides, as in skorch. A
        module given as instance keeps the weights that it has.
    criterion : nn.Module class, default=nn.CrossEntropyLoss
        A loss that takes logits.
    optimizer : torch.optim class, default=torch.optim.Adam
    lr : float, default=1e-3
        The learning rate. The default suits Adam; other optimizers want another.
    max_epochs : int, default=100
    batch_size : int, default=32
    iterator_train : callable, default=a DataLoader that shuffles
        ``iterator_train__shuffle=False`` keeps the order of the samples.
    train_split : float, int, callable or None, default=None
        Which samples are held out to validate after every epoch: a share (0.2), one of k folds (5), both drawn at
        random with the classes in equal proportions, or a function such as skorch's ``predefined_split(dataset)``.
        None trains on all samples.
    **parameters
        All others of skorch's: ``device``, ``callbacks``, ``iterator_train__*``, ``warm_start``, ...

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; strings too. Logit i belongs to ``classes_[i]``.
    module_ : nn.Module
        The trained network.
    augmenter_ : callable or None
        The augmenter in use, a copy.
    history : skorch.History
        One row an epoch.

    References
    ----------
    Kinkel (2023), "Utilizing Attribution Maps for Regularization of Deep Neural Networks".

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skaba import ABAClassifier
    >>> from skaba.modules import ConvNet
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X.reshape(-1, 1, 8, 8) / 16
    >>> clf = ABAClassifier(ConvNet, augmenter="fast_aba", strength=0.1, random_state=0, verbose=0,
    ...                     max_epochs=2)
    >>> clf.fit(X[:300], y[:300]).predict_proba(X[300:302]).shape
    (2, 10)
    >>> clf.augment(X[:5], y[:5]).shape, clf.attribute(X[:5]).shape
    ((5, 1, 8, 8), (5, 1, 8, 8))
    """

    _stratifies: ClassVar[bool] = True
    classes_inferred_: Any = None

    def __init__(
        self,
        module: type[nn.Module] | nn.Module,
        *,
        criterion: Any = nn.CrossEntropyLoss,
        predict_nonlinearity: Any = softmax,
        **parameters: Any,
    ) -> None:
        super().__init__(module, criterion=criterion, predict_nonlinearity=predict_nonlinearity, **parameters)

    def predict(self, X: Any) -> np.ndarray:
        """Return the label of the highest logit.

        Parameters
        ----------
        X : array-like, Tensor or Dataset of n samples

        Returns
        -------
        ndarray of shape (n,)
            Labels as in ``classes_``.
        """
        probabilities = self.predict_proba(X)
        if self.classes is None and self.classes_inferred_ is None:  # loaded weights, never fitted
            self.classes_inferred_ = np.arange(probabilities.shape[1])
        index = probabilities.argmax(axis=1)
        return index if self.scoring_ else self.classes_[index]

    def _encoded(self, dataset: Any) -> Any:
        # A data set that hides its targets, and nobody said what they are: they have to be indices.
        if self.classes_ is None or np.array_equal(self.classes_, np.arange(len(self.classes_))):
            return dataset
        return EncodedDataset(dataset, self._encode_targets)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        criterion = self.criterion if isinstance(self.criterion, type) else type(self.criterion)
        if issubclass(criterion, nn.NLLLoss):
            raise ValueError(
                "criterion=NLLLoss wants probabilities, but the module must return logits: use "
                "torch.nn.CrossEntropyLoss and take the softmax out of the module."
            )

    def _read_targets(self, y: Any) -> np.ndarray:
        y = super()._read_targets(y)
        if y.ndim > 1 and y.size != len(y):
            raise ValueError(
                f"y has shape {y.shape}; {type(self).__name__} takes one label a sample. For several labels "
                "use ABAMultiLabelClassifier."
            )
        return column_or_1d(y, warn=True)

    def _learn_targets(self, y: np.ndarray | None, classes: Any = None) -> None:
        labels = y if classes is None else np.asarray(classes)
        if labels is None:
            self.classes_inferred_ = None  # learned from the width of the logits
            return
        if np.issubdtype(labels.dtype, np.floating) and np.any(labels != np.floor(labels)):
            raise ValueError("Unknown label type: continuous. y holds fractions; for them use ABARegressor.")
        self.classes_inferred_ = np.unique(labels)

    def _encode_targets(self, y: np.ndarray) -> np.ndarray:
        order = np.argsort(self.classes_)  # classes=[...] need not be sorted
        try:
            rank = np.searchsorted(self.classes_, y, sorter=order).clip(max=len(order) - 1)
        except TypeError as error:
            raise ValueError(f"y holds labels of another type than in fit. Known: {self.classes_.tolist()}.") from error
        index = order[rank]
        unseen = np.unique(y[self.classes_[index] != y])
        if len(unseen):
            raise ValueError(
                f"y holds labels that were not seen in fit: {unseen[:5].tolist()}. Known: {self.classes_.tolist()}. "
                "Pass classes=[...] with all labels to the estimator if fit cannot see them all."
            )
        return index.astype(np.int64)

    def _check_output(self, logits: Tensor) -> None:
        if logits.dim() != 2:
            raise ValueError(
                f"The module returned {tuple(logits.shape)}; a classifier needs logits of shape "
                "(n, n_classes), one score a class."
            )
        if self.classes_inferred_ is None and self.classes is None:
            self.classes_inferred_ = np.arange(logits.shape[1])
        if logits.shape[1] != len(self.classes_):
            raise ValueError(
                f"The module returns {logits.shape[1]} logits a sample, but y has {len(self.classes_)} classes. "
                f"Make the module's output {len(self.classes_)} wide, or pass classes=[...] with all labels."
            )
        rows = logits.detach().float()
        if logits.shape[1] > 1 and rows.min() >= 0 and (rows.sum(dim=1) - 1).abs().max() < 1e-4:
            raise ValueError(
                "The module returns probabilities (non-negative rows that sum to 1), but logits are needed: "
                "take the softmax out of it. predict_proba applies it."
            )

    def _default_target(self) -> TrueClass:
        return TrueClass()
