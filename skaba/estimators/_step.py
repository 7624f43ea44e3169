"""The training step: a batch is augmented once, then skorch's own step runs on it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from skorch.dataset import unpack_data
from skorch.utils import to_tensor
from torch import Tensor, nn

from skaba.augmenters import ABA, CategoryMemory, augmented_by, require_samples
from skaba.estimators._explained_loss import explained_loss
from skaba.estimators._indexed import Indexed, IndexedBatch, IndexedCollate
from skaba.estimators._sample_weight import weights_of
from skaba.network import FromLayer, WithArguments, unreached, unwrapped, watched

if TYPE_CHECKING:
    # Each mixin stands left of skorch's net; only the type checker is told so.
    from skorch import NeuralNet as _Net
else:
    _Net = object


class AugmentedStep(_Net):
    """Augments the batches that are trained on."""

    # The module's floating-point type, looked up once.
    precision_: torch.dtype | None = None
    # What an augmenter with reuse keeps, and of how many samples.
    categories_: CategoryMemory
    n_indexed_: int = 0
    # Whether a step was to keep categories; if none has come, the gradient does not reach the features.
    awaits_gradient_: bool = False
    # Weights of all samples that fit got, of those that are trained on, and of the batch that is trained on.
    sample_weight_: NDArray[Any] | None = None
    train_weight_: Tensor | None = None
    batch_weight_: Tensor | None = None

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
        self._zero_grad_optimizer()  # as the step itself will: attribution need not hold the last step's gradients
        with self.augmented(batch, **fit_params) as augmented:
            return super().train_step(augmented, **fit_params)

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
        with self._weighing(batch):
            if isinstance(batch, IndexedBatch) and not self._reuses():
                batch = batch.batch
            with self._changed(batch, fit_params) as augmented:
                yield augmented

    @contextmanager
    def _weighing(self, batch: Any) -> Iterator[None]:
        """Have ``get_loss`` weigh the samples of a batch, if they have weights."""
        if not self._weighs():
            yield
            return
        self.batch_weight_ = None if self.train_weight_ is None else self.train_weight_[batch.numbers]
        self.weighed_ = False
        try:
            yield
        finally:
            self.batch_weight_ = None
        if not self.weighed_:
            raise ValueError(
                f"{type(self).__name__}.get_loss does not call super().get_loss, so it would ignore sample_weight and "
                "class_weight. Drop them, or let get_loss call super().get_loss."
            )

    def _weighs(self) -> bool:
        return self.train_weight_ is not None

    def _loss_weights(self, y_true: Any) -> Tensor | None:
        """Return the weights of a batch's samples in the loss of training, None where all weigh the same."""
        return self.batch_weight_

    @contextmanager
    def _changed(self, batch: Any, fit_params: dict[str, Any]) -> Iterator[Any]:
        if not self._augments():
            yield batch
            return
        if isinstance(batch, IndexedBatch):
            with self._reusing(*batch, fit_params) as augmented:
                yield augmented
            return
        inputs, y = self._on_device(batch)
        model = self._asked(inputs, fit_params)
        if not isinstance(model, FromLayer):
            yield self._augment(model, inputs, y, self.generator_), y
            return
        with model.changed(self._shift(model, y)):
            yield inputs, y

    @contextmanager
    def _reusing(self, batch: Any, index: Tensor, fit_params: dict[str, Any]) -> Iterator[Any]:
        """Augment by what is known of the samples, and learn from the step's own gradient."""
        if self.awaits_gradient_ and not self.categories_.knows_any():
            raise unreached()
        inputs, y = self._on_device(batch)
        model = self._asked(inputs, fit_params)
        movers: list[Callable[[Tensor], Tensor]] = []
        renews: list[bool] = []

        def moved(x: Tensor, padding: Tensor | None = None) -> Tensor:
            if not movers:  # once a step: an optimiser may run the network several times
                if self.layer is not None:
                    require_samples(x, len(index), self.layer)
                # Where something before the layer is trained, its gradient is computed anyway.
                dear = self.layer is not None and not x.requires_grad
                renews.append(self.augmenter_.renews(self.categories_, index, self.generator_, dear=dear))
                movers.append(self._recall(index, x, padding))
            keep = partial(self.augmenter_.keep, self.categories_, index, padding=padding)
            return watched(movers[0](x), keep) if renews[0] else movers[0](x)

        if isinstance(model, FromLayer):
            with model.changed(lambda output: moved(model.writable(output), model.padding)):
                yield inputs, y
        else:
            yield moved(inputs.clone()), y
        self.awaits_gradient_ = any(renews)

    def _recall(self, index: Tensor, x: Tensor, padding: Tensor | None) -> Callable[[Tensor], Tensor]:
        self._allocate(x)
        return self.augmenter_.recall(
            self.categories_, index, x, strength=self.strength_, generator=self.generator_, padding=padding
        )

    def _shift(self, rest: FromLayer, y: Any) -> Callable[[Tensor], Tensor]:
        """Return what augments the output of a layer; an augmenter other than ABA is asked as ever."""
        if isinstance(self.augmenter_, ABA) and type(self.augmenter_).__call__ is ABA.__call__:  # not a subclass's own
            with explained_loss(self, y) as criterion:
                move = self.augmenter_.shift(
                    rest, y, strength=self.strength_, criterion=criterion, generator=self.generator_
                )
            return lambda output: move(rest.writable(output))
        x = rest.features()
        change = rest.without_padding(self._augment(rest, x, y, self.generator_) - x)
        return lambda output: output + change

    def _allocate(self, x: Tensor) -> None:
        """Make room for all samples' categories at the first batch, and say how much.

        Raises
        ------
        ValueError
            If samples have another shape than those of an earlier batch: what was kept would not fit them.
        """
        shape, n_boundaries = tuple(x.shape[1:]), self.augmenter_.selection.n_categories - 1
        if self.categories_.bits is not None:
            if shape == self.categories_.shape:
                return
            raise ValueError(
                f'reuse="epoch" (free_aba) keeps a category for each feature, so all batches need samples of one '
                f"shape; one had {self.categories_.shape}, this has {shape}. Pad the samples to one length, or use an "
                "augmenter without reuse, such as fast_aba()."
            )
        n_features = math.prod(shape)
        n_bytes = self.categories_.bytes_for(self.n_indexed_, n_features, n_boundaries)
        if self.verbose:
            print(  # noqa: T201 - as skorch reports
                f"Categories of {self.n_indexed_:,} samples x {n_features:,} features, {n_boundaries} bit(s) each, "
                f"take {n_bytes / 1e6:,.2f} MB {'on disk' if self.augmenter_.store else 'of memory'}."
            )
        self.categories_.allocate(self.n_indexed_, shape, n_boundaries, x.device, self.augmenter_.store)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return the iterator over a data set; batches are numbered if gradients are reused or samples weighed.

        Parameters
        ----------
        dataset : Dataset
        training : bool, default=False

        Returns
        -------
        iterator
        """
        if not training or (self.sample_weight_ is None and not self._reuses()):
            return super().get_iterator(dataset, training=training)
        indexed = Indexed(dataset)
        if self.sample_weight_ is not None:
            self.train_weight_ = weights_of(dataset, self.sample_weight_)
        if self._reuses():
            # Categories are those of a data set, at a place in the network, by a rule.
            name, self.n_indexed_ = f"{indexed.name()} {self.layer} {self.augmenter_.selection!r}", len(indexed)
            if self.categories_.data != name:
                self.categories_, self.awaits_gradient_ = CategoryMemory(name), False
        iterator = super().get_iterator(indexed, training=True)
        if self._reuses():
            indexed.require_one_shape(iterator.collate_fn)
        iterator.collate_fn = IndexedCollate(iterator.collate_fn)
        return iterator

    def _reuses(self) -> bool:
        return self._augments() and getattr(self.augmenter_, "reuse", None) is not None

    def _augments(self) -> bool:
        return self.augmenter is not None and (self.strength is None or self.strength > 0)

    def _on_device(self, batch: Any) -> tuple[Any, Any]:
        inputs, y = unpack_data(batch)
        return self._as_input(inputs), to_tensor(y, device=self.device)

    def _as_input(self, inputs: Any) -> Any:
        """Return the inputs on the device, floats in the module's own precision."""
        inputs = to_tensor(inputs, device=self.device)
        if isinstance(inputs, Mapping):
            return {name: _in_precision(value, self.precision_) for name, value in inputs.items()}
        if isinstance(inputs, (list, tuple)):
            return [_in_precision(value, self.precision_) for value in inputs]
        return _in_precision(inputs, self.precision_)

    def _asked(self, inputs: Any, fit_params: dict[str, Any]) -> nn.Module:
        """Return the network as attribution asks it."""
        module = unwrapped(self.module_)
        arguments = accepted(module.forward, fit_params)
        if self.layer is not None:
            return FromLayer(module, self.layer, inputs, arguments)
        if not isinstance(inputs, Tensor):
            raise ValueError("X has several inputs: name the layer whose output is to be augmented, layer='...'.")
        return WithArguments(module, arguments) if arguments else module

    def _augment(self, model: nn.Module, x: Tensor, y: Any, generator: torch.Generator) -> Tensor:
        with explained_loss(self, y) as criterion:
            asked: dict[str, Any] = {"strength": self.strength_, "criterion": criterion, "generator": generator}
            return augmented_by(self.augmenter_, model, x, y, **asked)

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
        arguments = accepted(self._forward(), fit_params) if fit_params else {}
        return super().infer(self._as_input(x), **arguments)

    def _forward(self) -> Any:
        return getattr(unwrapped(getattr(self, "module_", self.module)), "forward", None)


def _in_precision(values: Any, dtype: torch.dtype | None) -> Any:
    """Return a tensor of floats in the precision in which the module computes."""
    if not isinstance(values, Tensor) or not values.is_floating_point() or values.dtype == dtype or dtype is None:
        return values
    if dtype == torch.float16 and values.abs().max() > torch.finfo(dtype).max:
        raise ValueError(
            f"X holds {values.abs().max():g}, which overflows to infinity in the module's float16. Scale X, or use "
            "module.bfloat16() or float32."
        )
    return values.to(dtype)


def accepted(function: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return those of the arguments that a function takes by name."""
    if not arguments or not callable(function):
        return {}
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return arguments
    return {name: value for name, value in arguments.items() if name in parameters}
