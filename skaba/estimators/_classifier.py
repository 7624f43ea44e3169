"""Single-label classification."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import column_or_1d
from skorch import NeuralNetClassifier
from skorch.utils import to_tensor
from torch import Tensor, nn

from skaba.attribution import TrueClass
from skaba.estimators._class_weight import class_weights, required_targets
from skaba.estimators._net import AugmentedNet


def softmax(logits: Tensor) -> Tensor:
    """Turn logits into probabilities of classes that exclude each other."""
    return torch.softmax(logits, dim=-1)


class ABAClassifier(AugmentedNet, NeuralNetClassifier):
    """A PyTorch network as a scikit-learn classifier, trained with attribution-based augmentation.

    At each training step an attribution map is computed, which shows how much each input feature matters to the
    network. The augmenter moves features up or down by this map, and the ordinary step follows. Nothing is augmented at
    prediction time.

    Parameters
    ----------
    module : nn.Module class or instance, or function that returns one
        Returns logits of shape (n, n_classes). Arguments of a class or function are given as
        ``module__name=value``. Of an instance, a copy is trained.
    augmenter : str, callable or None, default="mend_aba"
        A preset's name (``"challenger"``, ``"mend_aba"``, ``"fast_aba"``, ``"fgsm"``), an
        augmenter such as ``ABA(...)`` or ``mend_aba(k=6)``, any callable with the same
        arguments, or None for plain training. Its parameters are set and searched as
        ``augmenter__target__k``.
    strength : float, "auto" or callable, default=None
        How strongly to augment, in the augmenter's unit; the one parameter that always has to be tuned. For
        attribution-based augmentation it is the s of the papers, in the units of the (scaled) input. None takes the
        augmenter's ``default_strength``: 0.1 for attribution-based augmentation. 0 switches augmentation off.
        ``"auto"`` is the rule :class:`skaba.training.FlipRate`, which finds the strength during training; rules are
        experimental. Any callable is a rule: it takes the :class:`skaba.augmenters.Batch` and returns the strength of
        each step. Parameters of a rule are set and searched as ``strength__target``.
    penalty : Penalty, default=None
        A loss on attributions that is added to the training loss, such as ``RRR(weight=10.0)`` of
        :mod:`skaba.losses`. ``fit`` then needs ``mask=``, which marks the features that may matter. It is computed on
        the batch that is trained on, at the input or at ``layer``. Its parameters are set and searched as
        ``penalty__weight``.
    layer : str, default=None
        Augment the output of this submodule (``"embedding"``, ``"features.3"``) instead of the input. Padding at an
        embedding never changes; whether it counts where percentiles are computed is the parameter ``padding`` of
        :class:`skaba.augmenters.Percentiles`.
    random_state : int, RandomState or None, default=None
        Seeds the module's initialisation, the order of the samples, dropout and the augmenter, without changing the
        global random state. With None the global state decides, as in skorch. If the module is an instance, every
        ``fit`` starts from a copy of it, with its weights.
    criterion : nn.Module class, default=nn.CrossEntropyLoss
        A loss that takes logits.
    optimizer : torch.optim class, default=torch.optim.Adam
    lr : float, default=1e-3
        The learning rate. The default suits Adam; other optimizers need other values.
    max_epochs : int, default=100
    batch_size : int, default=32
    iterator_train : callable, default=a DataLoader that shuffles
        ``iterator_train__shuffle=False`` keeps the order of the samples.
    train_split : float, int, callable or None, default=None
        Which samples are held out to validate after every epoch: a share (0.2), one of k folds (5), both drawn at
        random and stratified by class, or a function such as skorch's ``predefined_split(dataset)``.
        None trains on all samples.
    class_weight : {"balanced"}, dict or None, default=None
        Weights of the classes in the loss of training, by label. ``"balanced"`` weighs a class by n / (n_classes * its
        number of samples), as scikit-learn does. Unlike ``criterion__weight``, which is normalised within each batch,
        these weights refer to the whole training set.
    **parameters
        Other parameters of skorch: ``device``, ``callbacks``, ``iterator_train__*``, ``warm_start``, ...

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; strings too. Logit i belongs to ``classes_[i]``.
    module_ : nn.Module
        The trained network.
    augmenter_ : callable or None
        The augmenter in use, a copy.
    strength_ : float or callable
        The strength in force, or the rule.
    history : skorch.History
        One row per epoch.

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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **AugmentedNet._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }
    _refused_losses: ClassVar[dict[tuple[type[nn.Module], ...], str]] = {
        (nn.NLLLoss,): "it takes probabilities, but the module must return logits. Use torch.nn.CrossEntropyLoss and "
        "take the softmax out of the module.",
        (nn.BCELoss, nn.BCEWithLogitsLoss): "it takes one target per logit, and a sample has one label. Use "
        "torch.nn.CrossEntropyLoss, or ABAMultiLabelClassifier for several labels per sample.",
        (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss): "labels are not quantities. Use "
        "torch.nn.CrossEntropyLoss, or ABARegressor for real targets.",
    }
    _has_classes: ClassVar[bool] = True
    class_weights_: Tensor | None = None
    _task: ClassVar[str] = "classifier"
    _learned: ClassVar[tuple[str, ...]] = (*AugmentedNet._learned, "classes_inferred_")
    classes_inferred_: Any = None

    def __init__(
        self,
        module: type[nn.Module] | nn.Module,
        *,
        criterion: Any = nn.CrossEntropyLoss,
        predict_nonlinearity: Any = softmax,
        class_weight: str | dict[Any, float] | None = None,
        **parameters: Any,
    ) -> None:
        super().__init__(module, criterion=criterion, predict_nonlinearity=predict_nonlinearity, **parameters)
        self.class_weight = class_weight

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
        if self._labels() is None:  # weights that were loaded from a file without labels
            self.classes_inferred_ = np.arange(probabilities.shape[1])
        if probabilities.shape[1] != len(self.classes_):
            raise ValueError(
                f"The module returns {probabilities.shape[1]} logits per sample, but the net was fitted on "
                f"{len(self.classes_)} classes: fit it again after a change of module."
            )
        return self.classes_[probabilities.argmax(axis=1)]

    @property
    def classes_(self) -> np.ndarray:
        """The labels, in the order of the logits."""
        labels = self._labels()
        if labels is None:  # an AttributeError, so that hasattr and scikit-learn find no fitted attribute
            raise AttributeError(
                "The labels are not known: the net was not fitted, nor loaded from a file that holds them. Pass "
                "classes=[...] with all labels, in the order of the logits, to the estimator."
            )
        return labels

    def _labels(self) -> np.ndarray | None:
        """Return the labels, or None as long as they are not known."""
        return self.classes_inferred_ if self.classes is None else np.asarray(self.classes)

    def save_params(self, f_params: Any = None, *, use_safetensors: bool = False, **files: Any) -> None:
        """Save the weights, the labels and everything else that was learned from the data.

        Parameters
        ----------
        f_params : path or file, default=None
            A file that ``torch.load`` reads with ``weights_only=True``: the module's ``state_dict``, with the labels in
            its metadata.
        use_safetensors : bool, default=False
            That format holds only tensors; pass the labels to the net that loads it, ``classes=[...]``.
        **files
            As in skorch: ``f_optimizer``, ``f_criterion``, ``f_history``, ``f_categories``.
        """
        labels = self._labels()
        if use_safetensors and self.classes is None and labels is not None and not _are_indices(labels):
            warnings.warn(
                f"safetensors hold no labels: pass classes={labels.tolist()} to the estimator that loads this file, or "
                "its predict returns class indices.",
                stacklevel=2,
            )
        super().save_params(f_params=f_params, use_safetensors=use_safetensors, **files)

    def learned_state(self) -> dict[str, Any]:
        """Return what was learned from the data besides the weights, including the labels.

        Returns
        -------
        dict
        """
        labels = self._labels()
        return {**super().learned_state(), **({} if labels is None else {"classes_inferred_": labels})}

    def load_learned_state(self, state: dict[str, Any]) -> None:
        """Take over what ``learned_state`` returned.

        Parameters
        ----------
        state : dict

        Raises
        ------
        ValueError
            If ``classes`` holds other labels, or another order.
        """
        labels = state.get("classes_inferred_")
        if self.classes is not None and labels is not None and not np.array_equal(labels, self.classes):
            raise ValueError(
                f"The weights were trained with the labels {labels.tolist()}, but classes={list(self.classes)}. Pass "
                "the same in the same order, or classes=None."
            )
        super().load_learned_state(state)

    def _read_targets(self, y: Any) -> np.ndarray:
        y = super()._read_targets(y)
        if y.ndim > 1 and y.size != len(y):
            one_hot = y.ndim == 2 and y.dtype.kind in "biuf" and np.all((y == 0) | (y == 1)) and np.all(y.sum(1) == 1)
            advice = "These are one-hot rows: pass y.argmax(1)" if one_hot else "For several labels"
            raise ValueError(
                f"y has shape {y.shape}; {type(self).__name__} takes one label per sample, shape (n,). {advice}"
                f"{'; if they are several labels per sample,' if one_hot else ''} use ABAMultiLabelClassifier."
            )
        return column_or_1d(y, warn=True)

    def _learn_targets(self, y: np.ndarray | None, classes: Any = None) -> None:
        labels = y if classes is None else np.asarray(classes)
        if labels is None:
            self.classes_inferred_ = None  # _check_output counts the logits
            return
        # scikit-learn's checks require "Unknown label type" for targets of a regression.
        if np.issubdtype(labels.dtype, np.floating) and np.any(labels != np.floor(labels)):
            raise ValueError("Unknown label type: continuous. y holds fractions; for them use ABARegressor.")
        try:
            found = np.unique(labels)
        except TypeError as error:
            raise ValueError(f"y holds labels of several types, which cannot be sorted: {error}.") from error
        if len(found) < 2 and self.classes is None:
            raise ValueError(
                f"y holds one class, {found.tolist()}; a classifier needs at least 2. If the others come later, "
                "pass classes=[...] with all labels to the estimator or to partial_fit."
            )
        self.classes_inferred_ = found

    def _learn_weights(self, targets: np.ndarray | None) -> None:
        self.class_weights_ = None
        if self.class_weight is None:
            return
        y = required_targets(self.class_weight, targets)

        def balanced() -> np.ndarray:
            # compute_class_weight refuses classes that are not in y; those of classes=[...] may come later.
            present = np.unique(y)
            weights = compute_class_weight("balanced", classes=present, y=y)
            return np.array([weights[present == label][0] if label in present else 1.0 for label in self.classes_])

        self.class_weights_ = torch.as_tensor(class_weights(self.class_weight, self.classes_, balanced)).float()

    def _weighs(self) -> bool:
        return super()._weighs() or self.class_weights_ is not None

    def _loss_weights(self, y_true: Any) -> Tensor | None:
        weights = super()._loss_weights(y_true)
        if self.class_weights_ is None:
            return weights
        y = to_tensor(y_true, "cpu")  # where the weights of the classes are; weighted_loss moves the result
        # Where samples are mixed, their targets are shares of the classes.
        of_classes = y @ self.class_weights_.to(y) if y.is_floating_point() else self.class_weights_[y]
        return of_classes if weights is None else weights * of_classes

    def _loss_targets(self, y_true: Tensor) -> Tensor:
        if self.class_weights_ is None or not y_true.is_floating_point():
            return y_true
        # The loss of a mixed target is the mean of its classes' losses by their shares. Each class's loss has the
        # weight of that class, so the shares are weighed too; _loss_weights has their sum.
        weighed = y_true * self.class_weights_.to(y_true)
        return weighed / weighed.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(weighed.dtype).tiny)

    def _encode_targets(self, y: np.ndarray) -> np.ndarray:
        if self._labels() is None:
            return _indices(y)
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

    def _decode_targets(self, y: Any) -> Any:
        return self.classes_[y] if isinstance(y, np.ndarray) and y.dtype.kind in "iu" else y

    def _check_output(self, logits: Tensor, y: Tensor) -> None:
        if logits.dim() != 2:
            raise ValueError(
                f"The module returned {tuple(logits.shape)}; a classifier needs logits of shape "
                "(n, n_classes), one logit per class."
            )
        if self._labels() is None:
            if y.max() >= logits.shape[1]:
                raise ValueError(
                    f"The Dataset yields label {int(y.max())}, but the module returns {logits.shape[1]} logits per "
                    f"sample. {_HIDDEN}"
                )
            self.classes_inferred_ = np.arange(logits.shape[1])
        if logits.shape[1] != len(self.classes_):
            raise ValueError(
                f"The module returns {logits.shape[1]} logits per sample, but y has {len(self.classes_)} classes. "
                f"Make the module's output {len(self.classes_)} wide, or pass classes=[...] with all labels."
            )
        rows = logits.detach().float()
        if logits.shape[1] > 1 and rows.min() >= 0 and (rows.sum(dim=1) - 1).abs().max() < 1e-4:
            raise ValueError(
                "The module returns probabilities (non-negative rows that sum to 1), but logits are needed: "
                "take the softmax out of it. predict_proba applies it."
            )

    def _named_outputs(self) -> dict[Any, int]:
        labels = self._labels()
        return {} if labels is None else {label: index for index, label in enumerate(labels.tolist())}

    def _n_classes(self) -> int | None:
        labels = self._labels()
        return None if labels is None else len(labels)

    def _default_target(self) -> TrueClass:
        return TrueClass()


_HIDDEN = (
    "Where a Dataset does not show its targets in .y they have to be class indices 0, 1, 2, ...; otherwise pass "
    "classes=[...] with all labels to the estimator, or y beside the Dataset."
)


def _are_indices(labels: np.ndarray) -> bool:
    return np.array_equal(labels, np.arange(len(labels)))


def _indices(y: np.ndarray) -> np.ndarray:
    """Return targets that have to be class indices, as no labels are known."""
    if y.dtype.kind not in "biuf" or np.any(y < 0) or np.any(y != np.floor(y)):
        raise ValueError(f"The labels are not known, and y holds {y.dtype} targets such as {y[0].item()!r}. {_HIDDEN}")
    return y.astype(np.int64)
