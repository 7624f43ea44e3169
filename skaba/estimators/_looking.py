"""Augmented samples and attribution maps of a fitted net, as training computes them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from skorch.helper import SliceDataset
from skorch.utils import is_dataset, to_numpy
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from skaba._random_state import random_state_kept, resolve_seed
from skaba._samples import check_length
from skaba._validation import unknown_name, validate_parameters
from skaba.attribution import METHODS, TARGETS, FixedClass, Gradient, PredictedClass, attributed
from skaba.estimators._data import has_no_targets
from skaba.estimators._explained_loss import explained_loss
from skaba.estimators._random import cuda_devices
from skaba.network import FromLayer
from skaba.training import network_view

if TYPE_CHECKING:
    # For the type checker only: the step follows this mixin in the bases.
    from skaba.estimators._step import AugmentedStep as _Step
else:
    _Step = object


class LookingNet(_Step):
    """Augments samples with a fitted net and computes their maps, without changing the net."""

    def augment(self, X: Any, y: Any = None) -> np.ndarray:
        """Return X as training would see it.

        Each call draws from ``random_state`` anew, and does not change what training draws later.

        Parameters
        ----------
        X : array-like, Tensor or Dataset of n samples
        y : array-like of shape (n, ...)
            The targets. They may be left out if X is a Dataset that yields them.

        Returns
        -------
        ndarray of X's shape, or of the layer's output
            Float, in the module's precision. With ``layer=`` the outputs for all samples are held in memory at once, so
            pass a few samples.

        Raises
        ------
        ValueError
            If X or y is not allowed, or a label was not seen in ``fit``.
        """
        self.check_is_fitted()
        generator = self._fresh_generator()

        def change(inputs: Any, y: Any) -> Tensor:
            if not self._augments():
                return _features(self._view(inputs), inputs)
            return self._before_and_after(inputs, y, generator)[2]

        return self._over_batches(self._with_targets(X, y), y, change)

    def attribute(self, X: Any, y: Any = None, *, attribution: Any = None, target: Any = None) -> np.ndarray:
        """Return the signed attribution maps of X.

        Parameters
        ----------
        X : array-like, Tensor or Dataset of n samples
        y : array-like of shape (n, ...), default=None
            The targets. By default those that a Dataset yields, if ``target`` is given.
        attribution : callable or str, default=None
            The method, or the name of one of :data:`skaba.attribution.METHODS`, such as
            ``"IntegratedGradients"``, with its default parameters. By default the method of the augmenter, or
            ``Gradient()`` if it has none.
        target : callable, str or int, default=None
            The output or value that is explained, for each sample:

            * a class, as ``predict`` returns it: an element of ``classes_``. Integers are classes too, not
              positions, unless ``classes_`` is unknown because the weights were loaded;
            * for a multi-label classifier or a regressor, a column of y: its number, or its name if ``fit``
              saw a data frame;
            * a target such as ``PredictedClass()`` or ``FixedClass(2)``, or the name of one of
              :data:`skaba.attribution.TARGETS`, such as ``"Loss"``. A class of the same name has precedence.

            By default the true class if y is given (multi-label and regression: the loss), and the predicted class
            otherwise.

        Returns
        -------
        ndarray of X's shape, or of the layer's output

        Raises
        ------
        ValueError
            If X or y is not allowed, a label was not seen in ``fit``, or there is no such method, class,
            column or target; the message names the nearest one.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from torch import nn
        >>> from skaba import ABAClassifier
        >>> X, y = load_iris(return_X_y=True, as_frame=True)
        >>> species = y.map({0: "setosa", 1: "versicolor", 2: "virginica"})
        >>> clf = ABAClassifier(nn.Linear, module__in_features=4, module__out_features=3, augmenter="fgsm",
        ...                     max_epochs=2, verbose=0).fit(X, species)
        >>> clf.attribute(X[:5], target="virginica", attribution="InputXGradient").shape
        (5, 4)
        """
        self.check_is_fitted()
        generator = self._fresh_generator()
        method = self._method(attribution)
        target = self._target(target, y)
        if not isinstance(target, PredictedClass):
            X = self._with_targets(X, y)

        def explain(inputs: Any, labels: Any) -> Tensor:
            model = self._view(inputs)
            x = _features(model, inputs, getattr(method, "mode", "eval"), generator)
            with explained_loss(self, labels) as criterion:
                return attributed(method, model, x, labels, target=target, criterion=criterion, generator=generator)

        return self._over_batches(X, y, explain)

    def _method(self, attribution: Any) -> Any:
        """Return the attribution method for an instance, a name, or None."""
        if attribution is None:
            attribution = getattr(self.augmenter_, "attribution", Gradient())
        if isinstance(attribution, str):
            if attribution not in METHODS:
                raise ValueError(unknown_name("attribution method", attribution, METHODS))
            attribution = METHODS[attribution]()
        _check_callable("attribution", attribution)
        return attribution

    def _target(self, target: Any, y: Any) -> Any:
        """Return the target for an instance, a class, a column, a name, or None."""
        if target is None:
            target = PredictedClass() if y is None else self._default_target()
        if not callable(target):
            return self._named_target(target)
        _check_callable("target", target)
        return target

    def _named_target(self, name: Any) -> Any:
        outputs = self._named_outputs()
        if isinstance(name, Hashable):  # a list or an array, which is not, gets the error below
            if name in outputs:
                return FixedClass(outputs[name])
            if name in TARGETS:
                return TARGETS[name]()
        if not outputs and isinstance(name, Integral):
            return FixedClass(int(name))
        raise ValueError(
            unknown_name("class, output or target", name, [*outputs, *TARGETS])
            + " FixedClass(i) explains output i, whatever it is called."
        )

    def _with_targets(self, X: Any, y: Any) -> Any:
        """Return X; for a Dataset that yields targets, a Dataset that yields them encoded for training."""
        return self._encoded(X) if y is None and is_dataset(X) and not has_no_targets(X) else X

    def _over_batches(self, X: Any, y: Any, function: Callable[[Any, Any], Tensor]) -> np.ndarray:
        """Apply a function to the batches of X in order, and leave the global random state alone."""
        self._check_parameters()
        X = self._check_known(X)
        if y is not None:
            y = self._read_targets(y)
            check_length(X, y)
            y = self._encode_targets(y)
            X = _samples_of(X)
        has_targets = y is not None or (is_dataset(X) and not has_no_targets(X))
        results = []
        # A DataLoader draws a seed for its workers from the global random state, even if it does not shuffle.
        with random_state_kept(cuda_devices(self.device)):
            for batch in self.get_iterator(self.get_dataset(X, y), training=False):
                inputs, targets = self._on_device(batch)
                result = function(inputs, targets if has_targets else None)
                # NumPy has no bfloat16.
                results.append(to_numpy(result.float() if result.dtype == torch.bfloat16 else result))
        return np.concatenate(results)

    def _fresh_generator(self) -> torch.Generator:
        """Return a new generator seeded by ``random_state``; drawing from it changes nothing else."""
        # A copy, because drawing the seed would advance a RandomState.
        return torch.Generator().manual_seed(resolve_seed(copy.deepcopy(self.random_state)))

    def _before_and_after(self, inputs: Any, y: Any, generator: torch.Generator) -> tuple[nn.Module, Tensor, Tensor]:
        """Return the view of the network, the features that are augmented, and these features augmented."""
        step = self._training_step(generator)
        with explained_loss(self, y) as criterion:
            batch = step.batch(inputs, y, criterion=criterion).with_features()
            x = batch.features()
            plan = step.plan(batch)
            return batch.model, x, x if plan.move is None else plan.move(x.clone()).detach()

    def _view(self, inputs: Any) -> nn.Module:
        return network_view(self.module_, self.layer, inputs)


def _samples_of(X: Any) -> Any:
    """Return X; for a Dataset only its samples, since y is given."""
    if isinstance(X, IterableDataset):
        raise ValueError("y cannot be matched with the samples of an IterableDataset; let it yield the targets.")
    return SliceDataset(X, 0) if is_dataset(X) else X


def _features(model: nn.Module, inputs: Tensor, mode: str = "eval", generator: torch.Generator | None = None) -> Tensor:
    """Return the features that are explained: the batch, or the layer's output for it."""
    return model.features(mode, generator) if isinstance(model, FromLayer) else inputs


def _check_callable(name: str, component: Any) -> None:
    if isinstance(component, type) or not callable(component):
        raise ValueError(f"{name}={component!r} must be an instance or a function, for example Gradient() or Loss().")
    validate_parameters(component)


def over_batches(net: Any, X: Any, y: Any, function: Callable[[Any, Any], Tensor]) -> np.ndarray:
    """Apply a function to the batches of X, in order, and join what it returns.

    Parameters
    ----------
    net : AugmentedNet
        Fitted.
    X : array-like, Tensor or Dataset of n samples
    y : array-like of shape (n, ...) or None
    function : callable
        Takes a batch of inputs and its encoded targets, or None, on the net's device; returns a Tensor with one row
        per sample.

    Returns
    -------
    ndarray of shape (n, ...)
    """
    return net._over_batches(X, y, function)


def view_of(net: Any, inputs: Any) -> nn.Module:
    """Return the model that maps explain: a net's fitted module, or with ``layer=`` a ``FromLayer`` of the inputs."""
    return net._view(inputs)


def augmented_batch(net: Any, inputs: Any, y: Any, generator: torch.Generator) -> tuple[nn.Module, Tensor, Tensor]:
    """Return the view of a net, its features (the input, or a layer's output), and these augmented."""
    return net._before_and_after(inputs, y, generator)


def fresh_generator(net: Any) -> torch.Generator:
    """Return a new generator seeded by a net's ``random_state``; drawing from it changes nothing else."""
    return net._fresh_generator()


def nonlinearity_of(net: Any) -> Callable[[Tensor], Tensor]:
    """Return the function that ``predict_proba`` applies to the module's outputs."""
    return net._get_predict_nonlinearity()


def known_samples(net: Any, X: Any, *, floats: bool = False) -> Any:
    """Check X as ``fit`` does, and that its samples are like those of ``fit``."""
    return net._check_known(X, floats=floats)


def made_augmenter(net: Any, augmenter: Any) -> Any:
    """Return the augmenter that a net would train with: a copy, made by name if a name is given."""
    return net._made("augmenter", augmenter, {})


def uses_masks(net: Any) -> bool:
    """Return whether an estimator's ``fit`` uses masks: for a penalty, or for its augmenter."""
    return net._uses_masks()
