"""Fitting: everything is checked before any work, and a fit that fails leaves the net as it was."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, Options, RealNotInt, StrOptions
from skorch.dataset import ValidSplit
from skorch.helper import SliceDataset
from skorch.utils import is_dataset, to_tensor
from torch import Tensor, nn

from skaba._random_state import RandomState
from skaba._samples import check_length, check_samples
from skaba._targets import check_targets
from skaba._validation import validate_parameters
from skaba.augmenters import as_augmenter
from skaba.estimators._batches import shuffled_batches, validation_split
from skaba.estimators._checks import cannot_split, check_rows
from skaba.estimators._data import check_inside, encoded, has_no_targets, root_of, targets_inside
from skaba.estimators._indexed import IndexedBatch
from skaba.estimators._looking import LookingNet
from skaba.estimators._masks import Masks, checked_masks
from skaba.estimators._parameters import COMPONENTS, AugmenterParameters
from skaba.estimators._predicting import PredictingNet
from skaba.estimators._sample_weight import checked_weights, weighted_loss
from skaba.estimators._saving import SavedNet
from skaba.estimators._scoring import scored_by_label
from skaba.estimators._settings import (
    check_components,
    check_criterion,
    check_device,
    check_monitors,
    check_trainable,
    unknown_parameters,
)
from skaba.estimators._step import AugmentedStep, accepted
from skaba.network import first_output
from skaba.training import check_rule

NO_USE_FOR_MASKS = (
    "nothing uses it. Set penalty=, for example skaba.losses.RRR(weight=10.0), or an augmenter that uses masks."
)


class AugmentedNet(AugmenterParameters, SavedNet, PredictingNet, LookingNet, AugmentedStep):
    """Base of the three estimators. It comes before skorch's net in the bases of a class.

    A subclass describes its targets in ``_learn_targets``, ``_encode_targets``,
    ``_check_output``, ``_default_target`` and ``_named_outputs``.
    """

    # Losses that would run without an error but do not fit the task, and what to do instead.
    _refused_losses: ClassVar[dict[tuple[type[nn.Module], ...], str]] = {}
    # skorch moves these attributes to the CPU if a net that was fitted on a GPU is unpickled without one.
    cuda_dependent_attributes_: ClassVar[list[str]] = ["categories_"]

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "augmenter": [str, callable, None],
        "strength": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"}), callable, None],
        "penalty": [callable, None],
        "layer": [str, None],
        "random_state": [Interval(Integral, 0, 2**63 - 1, closed="left"), np.random.RandomState, None],
        # torch's optimisers also take a tensor, for capturable and compiled steps.
        "lr": [Interval(Real, 0, None, closed="left"), Tensor],
        "max_epochs": [Interval(Integral, 0, None, closed="left")],
        # skorch takes all samples as one batch for -1.
        "batch_size": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1})],
        "callbacks": [list, None, StrOptions({"disable"})],
        "train_split": [
            Interval(RealNotInt, 0, 1, closed="neither"),
            Interval(Integral, 2, None, closed="left"),
            callable,
            None,
        ],
    }

    def __init__(
        self,
        module: type[nn.Module] | nn.Module,
        *,
        augmenter: str | Callable[..., Tensor] | None = "mend_aba",
        strength: Any = None,
        penalty: Any = None,
        layer: str | None = None,
        random_state: RandomState = None,
        optimizer: Any = torch.optim.Adam,
        lr: float = 1e-3,
        max_epochs: int = 100,
        batch_size: int = 32,
        iterator_train: Any = shuffled_batches,
        train_split: Any = None,
        **parameters: Any,
    ) -> None:
        super().__init__(
            module,
            optimizer=optimizer,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            iterator_train=iterator_train,
            train_split=train_split,
            **parameters,
        )
        self.augmenter = augmenter
        self.strength = strength
        self.penalty = penalty
        self.layer = layer
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, mask: Any = None, **fit_params: Any) -> Any:
        """Train the network on augmented batches.

        Parameters
        ----------
        X : array-like or Tensor of shape (n, ...), Dataset, or mapping of arrays
            The samples; floats unless ``layer`` names an embedding.
        y : array-like, default=None
            The targets. They may be left out only if X is a Dataset that yields them.
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights of the samples in the loss of training, scaled to a mean of 1; validation is not
            weighed. The criterion must return each sample's loss with ``reduction="none"``, as torch's do.
        mask : bool array-like of shape (n, ...), or list of n bool arrays or None, default=None
            Feedback: True where a feature may matter, False where it is known to be irrelevant, in X's shape or
            without the axis of channels: images (n, height, width), series (n, time), texts (n, length). None for a
            sample without feedback.
        **fit_params
            Passed to the module's ``forward`` if it takes them, and to the validation split
            if that does.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter, X or y is not allowed; raised before any work. If training fails, a net that was fitted
            before is left as it was, except after a warm start, which trains in place.
        """
        # initialize() replaces the fitted module before training can fail.
        before = self.__dict__.copy()
        try:
            goes_on = self.warm_start and self.initialized_
            X, y = self._check_fit(X, y, fit_params, relearn=not (goes_on and self.learned_))
            known = checked_weights(sample_weight, X), self._checked_masks(mask, X)
            if not goes_on:
                self.history_ = None  # a new history: the old one is cleared in place otherwise
                self.initialize()
            # skorch's partial_fit expects the name of the method that was called, for scikit-learn's metadata routing.
            return self._train(X, y, *known, _routing_method="fit", **fit_params)
        except Exception:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def partial_fit(
        self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None, mask: Any = None, **fit_params: Any
    ) -> Any:
        """Continue training, or start if the net is new.

        Parameters
        ----------
        X, y, sample_weight, mask, **fit_params
            As for ``fit``.
        classes : array-like, default=None
            All labels that later calls may contain, for the first call of a classifier.

        Returns
        -------
        self
        """
        X, y = self._check_fit(X, y, fit_params, relearn=not (self.initialized_ and self.learned_), classes=classes)
        return self._train(X, y, checked_weights(sample_weight, X), self._checked_masks(mask, X), **fit_params)

    def correct(self, X: Any, y: Any, mask: Any, **fit_params: Any) -> Any:
        """Continue training a fitted net with feedback on which features may matter; never start anew.

        Parameters
        ----------
        X : array-like or Tensor of shape (n, ...), Dataset, or mapping of arrays
        y : array-like
            The targets.
        mask : bool array-like of shape (n, ...), or list of n bool arrays or None
            As for ``fit``.
        **fit_params
            As for ``fit``.

        Returns
        -------
        self

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the net is not fitted.
        ValueError
            If there is no mask, or nothing that uses it.
        """
        self.check_is_fitted()
        if mask is None:
            raise ValueError("correct needs a mask: True where a feature may matter, False where it is irrelevant.")
        if not self._uses_masks():
            raise ValueError(f"correct would change nothing by the mask: {NO_USE_FOR_MASKS}")
        return self.partial_fit(X, y, mask=mask, **fit_params)

    def _checked_masks(self, mask: Any, X: Any) -> Masks | None:
        masks = checked_masks(mask, X, layer=self.layer, names=getattr(self, "feature_names_in_", None))
        if masks is None and self.penalty is not None:
            raise ValueError(
                f"penalty={self.penalty!r} needs feedback on which features may matter: fit(X, y, mask=mask)."
            )
        if masks is not None and not self._uses_masks():
            # Not an error, because a search may compare a penalty with None.
            warnings.warn(f"mask is ignored: {NO_USE_FOR_MASKS}", stacklevel=3)
            return None
        return masks

    def _uses_masks(self) -> bool:
        made = self._made("augmenter", self.augmenter, self.get_params_for("augmenter"))
        return self.penalty is not None or getattr(made, "uses_mask", False)

    def _check_fit(
        self, X: Any, y: Any, fit_params: dict[str, Any], *, relearn: bool, classes: Any = None
    ) -> tuple[Any, Any]:
        """Check everything that can be checked without the module; return X and encoded y."""
        self._check_parameters()
        self._check_fit_params(fit_params)
        floats = self._augments() and self.layer is None
        if relearn:
            given, X = X, check_samples(X, floats=floats)
            self._check_names(given, learn=True)
        else:
            X = self._check_known(X, floats=floats)
        if is_dataset(X):
            X = self._check_dataset(X, y)
        if y is None:
            self._check_no_targets(X)
        else:
            y = self._read_targets(y)
            check_length(X, y)
        if relearn:
            self._learn_shape(X)
            known = targets_inside(X) if y is None else y
            known = None if known is None else self._read_targets(known)
            self._learn_targets(known, classes)
            self._learn_weights(known)
            self.learned_ = True
        return X, None if y is None else self._encode_targets(y)

    def _learn_weights(self, targets: np.ndarray | None) -> None:
        """Learn the weights of the classes, if the task has classes and they are weighed."""

    def _check_dataset(self, dataset: Any, y: Any) -> Any:
        """Check a Dataset as far as its attributes allow; return only its samples if y is given for its targets."""
        check_inside(dataset)
        if not has_no_targets(dataset):
            return dataset
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None and the Dataset holds none: "
                "skorch's Dataset(X) yields zeros in its place. Pass y, or Dataset(X, y)."
            )
        return SliceDataset(dataset, 0)

    def _read_targets(self, y: Any) -> np.ndarray:
        return check_targets(y)

    def _check_parameters(self) -> None:
        check_components(self)
        check_criterion(self.criterion, self._refused_losses)
        made = {name: self._made(name, getattr(self, name), self.get_params_for(name)) for name in COMPONENTS}
        validate_parameters(self, self._parameter_constraints)
        check_device(self.device)
        if self.layer is not None and self.compile:
            raise ValueError(
                "layer= and compile=True cannot be combined: a compiled module ignores hooks. Drop one of them."
            )
        for component in made.values():
            validate_parameters(component)
        check_rule(made["strength"], None if made["augmenter"] is None else as_augmenter(made["augmenter"]))

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

    def initialize_callbacks(self) -> Any:
        """Initialise the callbacks, and check that there is what they wait for.

        Returns
        -------
        self
        """
        super().initialize_callbacks()
        check_monitors(self.callbacks_, self.train_split)
        return self

    def _validate_params(self) -> None:
        # skorch calls this once the net is initialised: a subclass may then have added modules with parameters.
        unknown = unknown_parameters(self._params_to_validate, self.prefixes_, self.get_params(deep=False))
        if unknown is not None:
            raise ValueError(unknown)
        super()._validate_params()

    def __repr__(self) -> str:
        state, *module = super().__repr__().partition("[")[2].split("\n")
        added = [f"  {name}={getattr(self, name)!r}," for name in ("augmenter", "strength", "layer")]
        return "\n".join([f"{type(self).__name__}[{state}", *added, *module])

    def _train(self, X: Any, y: Any, sample_weight: Any, mask: Masks | None, **fit_params: Any) -> Any:
        if not self.initialized_:
            self.initialize()
        check_trainable(self.get_all_learnable_params())
        self.output_checked_ = False
        self.sample_weight_, self.mask_ = sample_weight, mask
        try:
            return super().partial_fit(X, y, **fit_params)
        finally:  # they belong to the samples of this call, and would be pickled with the net
            self.sample_weight_ = self.train_weight_ = self.mask_ = self.train_mask_ = None

    def notify(self, method_name: str, **arguments: Any) -> None:
        """Notify the net and its callbacks of an event.

        Parameters
        ----------
        method_name : str
            Such as ``"on_epoch_end"``.
        **arguments
        """
        # Callbacks get the batch that they would get from skorch, without the samples' numbers.
        if isinstance(arguments.get("batch"), IndexedBatch):
            arguments["batch"] = arguments["batch"].batch
        getattr(self, method_name)(self, **arguments)
        for _, callback in self.callbacks_:
            with scored_by_label(callback, self._decode_targets):
                getattr(callback, method_name)(self, **arguments)

    def _decode_targets(self, y: Any) -> Any:
        """Turn targets as training uses them into targets as the user gave them."""
        return y

    def on_epoch_end(self, net: Any, **arguments: Any) -> None:
        """Record what a rule for the strength did, and warn if training has diverged: skorch goes on with NaN.

        Parameters
        ----------
        net : AugmentedNet
            This net.
        **arguments
            As in skorch.
        """
        super().on_epoch_end(net, **arguments)
        for name, value in self.rule_.figures().items() if hasattr(self.rule_, "figures") else ():
            self.history.record(name, value)
        losses = [batch["train_loss"] for batch in self.history[-1]["batches"] if "train_loss" in batch]
        if not np.isfinite(losses).all():
            warnings.warn(
                "Training diverged: the loss is no longer finite. Lower lr, scale X (and y, for a regression), or "
                "lower the strength.",
                ConvergenceWarning,
                stacklevel=2,
            )

    def on_train_end(self, net: Any, **arguments: Any) -> None:
        """Warn if a rule for the strength missed its target.

        Parameters
        ----------
        net : AugmentedNet
            This net.
        **arguments
            As in skorch.
        """
        super().on_train_end(net, **arguments)
        if hasattr(self.rule_, "remark") and self._augments() and (remark := self.rule_.remark()):
            warnings.warn(remark, ConvergenceWarning, stacklevel=2)

    def check_data(self, X: Any, y: Any) -> None:
        """Do nothing: ``fit`` has checked X and y before the net was initialised."""

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> Any:
        """Run the epochs; with ``random_state`` they draw from a random stream of the net.

        Parameters
        ----------
        X, y, epochs, **fit_params
            As in skorch.

        Returns
        -------
        self
        """
        with self._own_random_state():
            try:
                return super().fit_loop(X, y, epochs=epochs, **fit_params)
            finally:
                self.whole_ = None

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
        split = validation_split(self.train_split, stratified=self._has_classes and y is not None, seed=self.seed_)
        train, valid = self.get_dataset(X, y), None
        self.whole_ = train
        if split is not None:
            targets = {} if y is None else {"y": y}
            try:
                train, valid = split(train, **targets, **accepted(split, fit_params))
            except ValueError as error:
                raise ValueError(cannot_split(self.train_split, X, error)) from error
        if not is_dataset(X):  # y was encoded by fit; only another Dataset, as of predefined_split, was not
            ours = root_of(train)
            return train, valid if valid is None or root_of(valid) is ours else self._encoded(valid)
        return self._encoded(train), None if valid is None else self._encoded(valid)

    def _encoded(self, dataset: Any) -> Any:
        """Return a Dataset of the user's with its targets encoded for training."""
        return encoded(dataset, self._encode)

    def _encode(self, y: np.ndarray) -> np.ndarray:
        """Check and encode the targets that a Dataset yields."""
        return self._encode_targets(self._read_targets(y))

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        """Return the loss of a batch; the module's output is checked in the first call of a fit.

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

        Notes
        -----
        A subclass may override it. Maps of the loss then explain the subclass's loss: it is called for one
        sample at a time, with all outputs of the module and with ``training=False``.
        """
        if not self.output_checked_:
            output = first_output(y_pred)
            check_rows(output, len(y_true))
            self._check_output(output, y_true)
            self.output_checked_ = True
        weights = self._loss_weights(y_true) if training else None
        if weights is None:
            loss = super().get_loss(y_pred, y_true, X=X, training=training)
        else:
            self.weighed_ = True
            # As skorch's get_loss, which cannot take weights.
            targets = self._loss_targets(to_tensor(y_true, self.device))
            loss = weighted_loss(self.criterion_, y_pred, targets, weights)
        penalty = self.step_.penalty_of(y_pred) if training and self.step_ is not None else None
        return loss if penalty is None else loss + penalty

    # If a subclass overrides get_loss, maps explain that loss; otherwise the criterion, which is faster.
    _loss_of_criterion = get_loss

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        tags.non_deterministic = self.random_state is None
        return tags
