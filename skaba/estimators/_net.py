"""The one place that knows skorch: a net that augments its batches in the training step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import Interval
from skorch import NeuralNet
from skorch.dataset import ValidSplit, unpack_data
from skorch.utils import data_from_dataset, is_dataset, to_numpy, to_tensor
from torch import Tensor, nn

from skaba._validation import validate_parameters
from skaba.attribution import FromLayer, Gradient, PredictedClass, WithArguments
from skaba.attribution._asking import first_output
from skaba.augmenters import preset
from skaba.estimators._data import check_length, check_samples, check_targets
from skaba.estimators._random import RandomState, RandomStream, resolve_seed


class AugmentedNet:
    """What the three estimators share. Stands left of skorch's net in the bases.

    A subclass says what its targets are: ``_learn_targets``, ``_encode_targets``,
    ``_check_output``, ``_default_target`` and ``_preset_parameters``.
    """

    prefixes_: ClassVar[list[str]] = [*NeuralNet.prefixes_, "augmenter"]
    random_stream_: RandomStream | None = None
    fitting_: bool = False

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "augmenter": [str, callable, None],
        "strength": [Interval(Real, 0, None, closed="left")],
        "layer": [str, None],
        "random_state": [Interval(Integral, 0, 2**63 - 1, closed="left"), np.random.RandomState, None],
    }
    # What a preset is made with if it is given by name; a task without classes explains the loss.
    _preset_parameters: ClassVar[dict[str, Any]] = {}

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

    # ------------------------------------------------------------------ fitting

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
            If a parameter, X or y is not allowed; before any work. Whatever fails, the net is
            afterwards what it was before: a net that was fitted is still the fitted one.
        """
        before = self.__dict__.copy()
        try:
            X, y = self._check_fit(X, y, fit_params, relearn=not (self.warm_start and self.initialized_))
            if not (self.warm_start and self.initialized_):
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
        X, y = self._check_fit(X, y, fit_params, relearn=not self.initialized_, classes=classes)
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
            if not is_dataset(X) and hasattr(X, "shape"):
                check_length(X, y)
        if relearn:
            self._learn_shape(X)
            self._learn_targets(_targets_inside(X) if y is None else y, classes)
        return X, None if y is None else self._encode_targets(y)

    def _read_targets(self, y: Any) -> np.ndarray:
        return check_targets(y)

    def _check_parameters(self) -> None:
        validate_parameters(self, self._parameter_constraints)
        if isinstance(self.strength, Real) and not np.isfinite(self.strength):
            raise ValueError(f"strength={self.strength} must be a finite number, 0 or more; 0 switches off.")
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
        known = {*_accepted(self._forward(), fit_params), *_accepted(self.train_split, fit_params)}
        unknown = sorted(set(fit_params) - known)
        if unknown:
            raise TypeError(
                f"fit got {', '.join(unknown)}, which neither the module's forward nor train_split takes; "
                "it would change nothing. Drop it, or let forward take it."
            )

    def _learn_shape(self, X: Any) -> None:
        if hasattr(X, "shape"):
            self.sample_shape_ = tuple(X.shape[1:])
            self.n_features_in_ = X.shape[1]

    def _train(self, X: Any, y: Any, **fit_params: Any) -> Any:
        self.output_checked_ = False
        self.fitting_ = True
        try:
            return super().partial_fit(X, y, **fit_params)  # type: ignore[misc]
        finally:
            self.fitting_ = False

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
            return super().fit_loop(X, y, epochs=epochs, **fit_params)  # type: ignore[misc]

    # ------------------------------------------------- initialisation and parameters

    def _initialize_virtual_params(self) -> Any:
        # Not initialize(): accelerate's mixin overrides that one without calling super.
        super()._initialize_virtual_params()  # type: ignore[misc]
        self._register_virtual_param(["augmenter", "augmenter__*"], _set_augmenter)
        seed = resolve_seed(self.random_state)
        self.random_stream_ = None if self.random_state is None else RandomStream(seed, self.device)
        self.generator_ = torch.Generator().manual_seed(seed)
        self.augmenter_ = self._make_augmenter(self.augmenter, self.get_params_for("augmenter"))
        return self

    def _initialize_module(self, reason: str | None = None) -> Any:
        with self._own_random_state():
            return super()._initialize_module(reason)  # type: ignore[misc]

    def _initialize_criterion(self, reason: str | None = None) -> Any:
        with self._own_random_state():
            return super()._initialize_criterion(reason)  # type: ignore[misc]

    def _own_random_state(self) -> AbstractContextManager[None]:
        return nullcontext() if self.random_stream_ is None else self.random_stream_()

    def set_params(self, **parameters: Any) -> Any:
        """Set parameters; nested ones are written ``augmenter__target__k``.

        A new ``augmenter`` drops nested parameters that were set for the old one.

        Parameters
        ----------
        **parameters

        Returns
        -------
        self
        """
        if "augmenter" in parameters:
            for name in [name for name in vars(self) if name.startswith("augmenter__")]:
                delattr(self, name)
                self._params_to_validate.discard(name)
        return super().set_params(**parameters)  # type: ignore[misc]

    def _make_augmenter(
        self, augmenter: str | Callable[..., Tensor] | None, nested: dict[str, Any]
    ) -> Callable[..., Tensor] | None:
        """Return the augmenter that training uses: never the parameter itself, which is the user's."""
        if isinstance(augmenter, str):
            augmenter = preset(augmenter, **self._preset_parameters)
        elif isinstance(augmenter, BaseEstimator):
            augmenter = clone(augmenter)
        if not nested:
            return augmenter
        if not isinstance(augmenter, BaseEstimator):
            names = ", ".join(f"augmenter__{name}" for name in nested)
            raise ValueError(f"{names} cannot be set: augmenter={augmenter!r} has no parameters.")
        return augmenter.set_params(**nested)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "fitting_": False}  # type: ignore[misc]

    # ------------------------------------------------------------ the training step

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        """Augment a batch and train on it: once an optimiser step, however often it evaluates.

        Parameters
        ----------
        batch : tuple
            As the iterator yields it.
        **fit_params

        Returns
        -------
        dict
            ``loss`` and ``y_pred``, of the augmented batch.
        """
        with self.augmented(batch, **fit_params) as augmented:
            return super().train_step(augmented, **fit_params)  # type: ignore[misc]

    @contextmanager
    def augmented(self, batch: Any, **fit_params: Any) -> Iterator[Any]:
        """Hold the net so that it sees a batch augmented: what an own ``train_step`` wraps itself in.

        Parameters
        ----------
        batch : tuple
            As the iterator yields it.
        **fit_params
            Further arguments of the module's ``forward``.

        Yields
        ------
        batch
            With augmented inputs; with ``layer=`` the batch as it came, while that layer's
            output is shifted in every forward pass inside the block.
        """
        if not self._augments():
            yield batch
            return
        inputs, y = self._on_device(batch)
        model, x, x_augmented = self._augment(inputs, y, self.generator_, fit_params)
        if not isinstance(model, FromLayer):
            yield x_augmented, y
            return
        change = x_augmented - x
        if model.padding is not None:
            change[model.padding] = 0
        with model.shifted(change):
            yield inputs, y

    def _augments(self) -> bool:
        return self.augmenter is not None and self.strength > 0

    def _on_device(self, batch: Any) -> tuple[Any, Any]:
        inputs, y = unpack_data(batch)
        return self._as_input(inputs), to_tensor(y, device=self.device)

    def _as_input(self, inputs: Any) -> Any:
        """Return the inputs on the device, floats in the module's own precision."""
        inputs = to_tensor(inputs, device=self.device)
        if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
            return inputs
        dtype = next((p.dtype for p in self.module_.parameters() if p.is_floating_point()), inputs.dtype)
        return inputs.to(dtype)

    def _asked(self, inputs: Any, fit_params: dict[str, Any]) -> tuple[nn.Module, Tensor]:
        """Return the network as attribution asks it, and the features that it is asked about."""
        # A compiled module ignores hooks that come after its first call; its original shares the weights.
        module = getattr(self.module_, "_orig_mod", self.module_)
        arguments = _accepted(module.forward, fit_params)
        if self.layer is not None:
            rest = FromLayer(module, self.layer, inputs, arguments)
            return rest, rest.features()
        if not isinstance(inputs, Tensor):
            raise ValueError("X has several inputs: name the layer whose output is to be augmented, layer='...'.")
        return (WithArguments(module, arguments) if arguments else module), inputs

    def _augment(
        self, inputs: Any, y: Any, generator: torch.Generator, fit_params: dict[str, Any]
    ) -> tuple[nn.Module, Tensor, Tensor]:
        model, x = self._asked(inputs, fit_params)
        criterion = getattr(self.criterion_, "_orig_mod", self.criterion_)
        x_augmented = self.augmenter_(
            model, x, y, strength=self.strength, criterion=criterion, generator=generator
        )
        if getattr(x_augmented, "shape", None) != x.shape:
            got = getattr(x_augmented, "shape", type(x_augmented).__name__)
            raise ValueError(f"The augmenter returned {got} for a batch of shape {tuple(x.shape)}.")
        return model, x, x_augmented

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Run the module on a batch, with those further arguments that its ``forward`` takes.

        Parameters
        ----------
        x : Tensor, mapping or sequence
        **fit_params

        Returns
        -------
        The module's output.
        """
        return super().infer(self._as_input(x), **_accepted(self._forward(), fit_params))  # type: ignore[misc]

    def _forward(self) -> Callable[..., Any]:
        module = getattr(self, "module_", self.module)
        return getattr(module, "_orig_mod", module).forward

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
        return super().get_split_datasets(X, y, **_accepted(self.train_split, fit_params))  # type: ignore[misc]

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
        return super().get_loss(y_pred, y_true, X=X, training=training)  # type: ignore[misc]

    # --------------------------------------------------------- prediction and inspection

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
        return super().predict_proba(self._check_known(X))  # type: ignore[misc]

    def augment(self, X: Any, y: Any = None) -> np.ndarray:
        """Return X as training would see it.

        Every call starts from ``random_state`` anew and leaves training's own draws alone.

        Parameters
        ----------
        X : array-like, Tensor or Dataset of n samples
        y : array-like of shape (n, ...)
            The targets; a Dataset may hold them itself.

        Returns
        -------
        ndarray of X's shape, or of the layer's output
            Float, in the module's precision. With ``layer=`` all of it is held in memory at once,
            so pass a few samples.

        Raises
        ------
        ValueError
            If X or y is not allowed, or a label was not seen in ``fit``.
        """
        generator = torch.Generator().manual_seed(resolve_seed(self.random_state))

        def change(inputs: Any, y: Any) -> Tensor:
            if not self._augments():
                return self._asked(inputs, {})[1]
            model, x, x_augmented = self._augment(inputs, y, generator, {})
            if isinstance(model, FromLayer) and model.padding is not None:
                x_augmented = torch.where(model.padding.unsqueeze(-1), x, x_augmented)
            return x_augmented

        return self._over_batches(X, y, change)

    def attribute(
        self, X: Any, y: Any = None, *, attribution: Callable[..., Tensor] | None = None, target: Any = None
    ) -> np.ndarray:
        """Return the signed attribution maps of X.

        Parameters
        ----------
        X : array-like, Tensor or Dataset of n samples
        y : array-like of shape (n, ...), default=None
            The targets.
        attribution : callable, default=None
            The method; by default the augmenter's own, or ``Gradient()``.
        target : callable, default=None
            What is explained. By default, with y the true class (multi-label and
            regression: the loss), without y the predicted class.

        Returns
        -------
        ndarray of X's shape, or of the layer's output

        Raises
        ------
        ValueError
            If X or y is not allowed, or a label was not seen in ``fit``.
        """
        generator = torch.Generator().manual_seed(resolve_seed(self.random_state))
        method = attribution or getattr(self.augmenter_, "attribution", Gradient())
        if target is None:
            target = PredictedClass() if y is None else self._default_target()
        criterion = getattr(self.criterion_, "_orig_mod", self.criterion_)

        def explain(inputs: Any, labels: Any) -> Tensor:
            model, x = self._asked(inputs, {})
            labels = None if y is None else labels
            return method(model, x, labels, target=target, criterion=criterion, generator=generator)

        return self._over_batches(X, y, explain)

    def _over_batches(self, X: Any, y: Any, function: Callable[[Any, Any], Tensor]) -> np.ndarray:
        """Apply a function to the batches of X in order, and leave the global random state alone."""
        self.check_is_fitted()
        self._check_parameters()
        X = self._check_known(X)
        if y is not None:
            y = self._read_targets(y)
            check_length(X, y)
            y = self._encode_targets(y)
        devices = [torch.device(self.device)] if str(self.device).startswith("cuda") else []
        with torch.random.fork_rng(devices):
            batches = self.get_iterator(self.get_dataset(X, y), training=False)
            results = [to_numpy(function(*self._on_device(batch))) for batch in batches]
        return np.concatenate(results)

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
        tabular = len(shape) == 2 and self.layer is None
        if tabular and shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                "features as input."
            )
        return X

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        tags.non_deterministic = self.random_state is None
        return tags


def _set_augmenter(net: Any, name: str, value: Any) -> None:
    """Set ``augmenter`` or one of its parameters on an initialised net: all of it, or nothing."""
    nested = net.get_params_for("augmenter")
    if name == "augmenter":
        made = net._make_augmenter(value, {})
    else:
        nested[name.removeprefix("augmenter__")] = value
        made = net._make_augmenter(net.augmenter, nested)
    setattr(net, name, value)
    net.augmenter_ = made


def _accepted(function: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return those of the arguments that a function takes by name."""
    if not arguments or not callable(function):
        return {}
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return arguments
    return {name: value for name, value in arguments.items() if name in parameters}


def _targets_inside(dataset: Any) -> Any:
    """Return the targets of a skorch or torch Dataset that shows them, else None."""
    try:
        return to_numpy(data_from_dataset(dataset)[1])
    except (AttributeError, TypeError):
        return None
