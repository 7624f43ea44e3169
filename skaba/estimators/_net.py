"""Fitting: everything is checked before any work, and nothing is lost if it fails."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval
from skorch.callbacks import BatchScoring, EpochScoring
from skorch.dataset import ValidSplit
from skorch.utils import data_from_dataset, is_dataset, to_numpy
from torch import Tensor, nn

from skaba._validation import validate_parameters
from skaba.attribution import first_output
from skaba.estimators._data import check_length, check_samples, check_targets, is_floating, root_of
from skaba.estimators._indexed import IndexedBatch
from skaba.estimators._looking import LookingNet
from skaba.estimators._parameters import AugmenterParameters
from skaba.estimators._random import RandomState
from skaba.estimators._step import AugmentedStep, accepted


class AugmentedNet(AugmenterParameters, LookingNet, AugmentedStep):
    """What the three estimators share. Stands left of skorch's net in the bases.

    A subclass says what its targets are: ``_learn_targets``, ``_encode_targets``,
    ``_check_output``, ``_default_target``, ``_outputs`` and ``_preset_parameters``.
    """

    learned_: bool = False
    scoring_: bool = False
    # A net that was fitted on a GPU is loaded where there is none.
    cuda_dependent_attributes_: ClassVar[list[str]] = ["categories_"]

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "augmenter": [str, callable, None],
        "strength": [Interval(Real, 0, None, closed="left")],
        "layer": [str, None],
        "random_state": [Interval(Integral, 0, 2**63 - 1, closed="left"), np.random.RandomState, None],
    }

    def __init__(
        self,
        module: type[nn.Module] | nn.Module,
        *,
        augmenter: str | Callable[..., Tensor] | None = "mend_aba",
        strength: float = 0.1,
        layer: str | None = None,
        random_state: RandomState = None,
        **parameters: Any,
    ) -> None:
        super().__init__(module, **parameters)
        self.augmenter = augmenter
        self.strength = strength
        self.layer = layer
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Train the network on augmented batches.

        Parameters
        ----------
        X : array-like or Tensor of shape (n, ...), Dataset, or mapping of arrays
            The samples; floats unless ``layer`` names an embedding.
        y : array-like, default=None
            The targets; only a Dataset may hold them itself.
        **fit_params
            Passed to the module's ``forward`` if it takes them, and to the validation split
            if that does.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter, X or y is not allowed; before any work. If training itself fails, a net
            that was fitted is still the fitted one, except that a module given as instance, and a
            warm start, are trained in place.
        """
        before = self.__dict__.copy()
        try:
            goes_on = self.warm_start and self.initialized_
            X, y = self._check_fit(X, y, fit_params, relearn=not (goes_on and self.learned_))
            if not goes_on:
                self.history_ = None  # a new history: the old one is cleared in place otherwise
                self.initialize()
            return self._train(X, y, _routing_method="fit", **fit_params)
        except Exception:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> Any:
        """Go on training, or start if the net is new.

        Parameters
        ----------
        X, y, **fit_params
            As for ``fit``.
        classes : array-like, default=None
            All labels that will ever come, for a classifier's first call.

        Returns
        -------
        self
        """
        X, y = self._check_fit(X, y, fit_params, relearn=not (self.initialized_ and self.learned_), classes=classes)
        return self._train(X, y, **fit_params)

    def _check_fit(
        self, X: Any, y: Any, fit_params: dict[str, Any], *, relearn: bool, classes: Any = None
    ) -> tuple[Any, Any]:
        """Check everything that can be checked without the module; return X and encoded y."""
        self._check_parameters()
        self._check_fit_params(fit_params)
        floats = self._augments() and self.layer is None
        X = check_samples(X, floats=floats) if relearn else self._check_known(X, floats=floats)
        if y is None:
            self._check_no_targets(X)
        else:
            y = self._read_targets(y)
            check_length(X, y)
        if relearn:
            self._learn_shape(X)
            self._learn_targets(_targets_inside(X) if y is None else y, classes)
            self.learned_ = True
        return X, None if y is None else self._encode_targets(y)

    def _read_targets(self, y: Any) -> np.ndarray:
        return check_targets(y)

    def _check_parameters(self) -> None:
        validate_parameters(self, self._parameter_constraints)
        if self.layer is not None and self.compile:
            raise ValueError(
                "layer= and compile=True cannot be combined: a compiled module ignores hooks. Drop one of them."
            )
        validate_parameters(self._make_augmenter(self.augmenter, self.get_params_for("augmenter")))

    def _check_no_targets(self, X: Any) -> None:
        if not is_dataset(X):
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None. Only a Dataset may "
                "hold the targets itself."
            )
        if isinstance(self.train_split, ValidSplit) and self.train_split.stratified:
            raise ValueError(
                "train_split is stratified and needs the labels, which a Dataset hides: pass y beside the "
                "Dataset, or set train_split=None or train_split=ValidSplit(5)."
            )

    def _check_fit_params(self, fit_params: dict[str, Any]) -> None:
        known = {*accepted(self._forward(), fit_params), *accepted(self.train_split, fit_params)}
        unknown = sorted(set(fit_params) - known)
        if unknown:
            raise TypeError(
                f"fit got {', '.join(unknown)}, which neither the module's forward nor train_split takes; "
                "it would change nothing. Drop it, or let forward take it."
            )

    def _learn_shape(self, X: Any) -> None:
        if hasattr(X, "shape"):
            self.sample_shape_ = tuple(X.shape[1:])
        if len(getattr(X, "shape", ())) > 1:
            self.n_features_in_ = X.shape[1]

    def _train(self, X: Any, y: Any, **fit_params: Any) -> Any:
        self.output_checked_ = False
        return super().partial_fit(X, y, **fit_params)

    def notify(self, method_name: str, **arguments: Any) -> None:
        """Tell the net and its callbacks of an event.

        skorch's scorers compare ``predict`` with the encoded targets of their data sets; while they
        run, and only then, ``predict`` speaks of classes by index.

        Parameters
        ----------
        method_name : str
            Such as ``"on_epoch_end"``.
        **arguments
        """
        if isinstance(arguments.get("batch"), IndexedBatch):
            arguments["batch"] = arguments["batch"].batch
        getattr(self, method_name)(self, **arguments)
        for _, callback in self.callbacks_:
            self.scoring_ = isinstance(callback, (EpochScoring, BatchScoring))
            try:
                getattr(callback, method_name)(self, **arguments)
            finally:
                self.scoring_ = False

    def on_epoch_end(self, net: Any, **arguments: Any) -> None:
        """Warn when training has diverged, which nothing else would say.

        Parameters
        ----------
        net : AugmentedNet
            This net.
        **arguments
            As in skorch.
        """
        super().on_epoch_end(net, **arguments)
        losses = [batch["train_loss"] for batch in self.history[-1]["batches"] if "train_loss" in batch]
        if not np.isfinite(losses).all():
            warnings.warn(
                "Training diverged: the loss is no longer finite. Lower lr, scale X (and y, for a regression), or "
                "lower the strength.",
                ConvergenceWarning,
                stacklevel=2,
            )

    def check_data(self, X: Any, y: Any) -> None:
        """Do nothing: ``fit`` has checked X and y before the net was initialised."""

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> Any:
        """Run the epochs, on the net's own random stream if ``random_state`` is set.

        Parameters
        ----------
        X, y, epochs, **fit_params
            As in skorch.

        Returns
        -------
        self
        """
        with self._own_random_state():
            return super().fit_loop(X, y, epochs=epochs, **fit_params)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "scoring_": False}

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Split off the validation data, with those arguments that the split takes.

        Parameters
        ----------
        X, y
        **fit_params

        Returns
        -------
        tuple of Datasets
            For training and for validation; the latter may be None.
        """
        train, valid = super().get_split_datasets(X, y, **accepted(self.train_split, fit_params))
        if not is_dataset(X):  # what the split made of our own data set is encoded already
            encoded = root_of(train)
            return train, valid if valid is None or root_of(valid) is encoded else self._encoded(valid)
        return self._encoded(train), None if valid is None else self._encoded(valid)

    def _encoded(self, dataset: Any) -> Any:
        """Return a data set of the user's with its targets as training wants them."""
        return dataset

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        """Return the loss of a batch, after a look at what the module returns.

        Parameters
        ----------
        y_pred : Tensor or tuple
        y_true : Tensor
        X, training
            As in skorch.

        Returns
        -------
        Tensor
            A scalar.
        """
        if not self.output_checked_:
            self._check_output(first_output(y_pred))
            self.output_checked_ = True
        return super().get_loss(y_pred, y_true, X=X, training=training)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the module's output for X, after the task's nonlinearity.

        Parameters
        ----------
        X : array-like, Tensor, Dataset or mapping
            As for ``fit``.

        Returns
        -------
        ndarray of shape (n, n_outputs)
        """
        self.check_is_fitted()
        return super().predict_proba(self._check_known(X))

    def _check_known(self, X: Any, *, floats: bool = False) -> Any:
        """Check X as ``fit`` does, and that its samples have as many axes as those of ``fit``."""
        X = check_samples(X, floats=floats)
        shape, known = getattr(X, "shape", None), getattr(self, "sample_shape_", None)
        if shape is None or known is None:
            return X
        if len(shape) != len(known) + 1:
            raise ValueError(
                f"X has shape {tuple(shape)}, but the net was fitted on samples of shape {known}. The first axis "
                "counts the samples; a single sample needs X[None]."
            )
        tabular = len(shape) == 2 and is_floating(X)
        if tabular and shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                "features as input."
            )
        return X

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        tags.non_deterministic = self.random_state is None
        return tags


def _targets_inside(dataset: Any) -> Any:
    """Return the targets of a skorch or torch Dataset that shows them, else None."""
    try:
        return to_numpy(data_from_dataset(dataset)[1])
    except (AttributeError, TypeError):
        return None
