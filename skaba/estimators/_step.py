"""skorch's training step, on a batch that :mod:`skaba.training` augments."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Real
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from skorch.dataset import unpack_data
from skorch.utils import to_tensor
from torch import Tensor

from skaba.augmenters import as_augmenter
from skaba.estimators._explained_loss import explained_loss
from skaba.estimators._indexed import Indexed, IndexedBatch, IndexedCollate
from skaba.estimators._masks import Masks
from skaba.estimators._sample_weight import weights_of
from skaba.network import unwrapped
from skaba.training import TrainingStep, unobserved

if TYPE_CHECKING:
    # For the type checker only: skorch's net follows the mixins in the bases.
    from skorch import NeuralNet as _Net
else:
    _Net = object


class AugmentedStep(_Net):
    """Augments the batches that are trained on."""

    # The module's floating-point type, looked up once.
    precision_: torch.dtype | None = None
    # What an augmenter keeps from step to step; see Augmenter.new_memory.
    categories_: Any = None
    # Weights and masks of all samples that fit got, and of those that are trained on.
    sample_weight_: NDArray[Any] | None = None
    train_weight_: Tensor | None = None
    mask_: Masks | None = None
    train_mask_: Masks | None = None
    # The Dataset of all samples that fit got, before train_split.
    whole_: Any = None
    # Weights of the batch that is trained on, and how it is augmented.
    batch_weight_: Tensor | None = None
    step_: TrainingStep | None = None

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        """Augment a batch and train on it: once per optimiser step, however often the loss is evaluated.

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
        # skorch does so only inside the step. Here it frees the gradients' memory while maps are computed.
        self._zero_grad_optimizer()
        with self.augmented(batch, **fit_params) as augmented:
            return super().train_step(augmented, **fit_params)

    @contextmanager
    def augmented(self, batch: Any, **fit_params: Any) -> Iterator[Any]:
        """Augment a batch for the time of the block; wrap a custom ``train_step`` in it.

        Parameters
        ----------
        batch : tuple
            As the iterator yields it.
        **fit_params
            Further arguments of the module's ``forward``.

        Yields
        ------
        batch
            With augmented inputs. With ``layer=`` the batch is unchanged, and the layer's output is changed in each
            forward pass inside the block.
        """
        batch, index = batch if isinstance(batch, IndexedBatch) else (batch, None)
        with self._weighing(index):
            if not (self._augments() or self.train_mask_ is not None):
                yield batch
                return
            inputs, y = self._on_device(batch)
            with self._changed(inputs, y, index, fit_params) as augmented:
                yield augmented

    @contextmanager
    def _changed(self, inputs: Any, y: Any, index: Tensor | None, fit_params: dict[str, Any]) -> Iterator[Any]:
        step = self._training_step()
        mask = None if self.train_mask_ is None or index is None else self.train_mask_.rows(index)
        arguments = accepted(unwrapped(self.module_).forward, fit_params)
        with explained_loss(self, y) as criterion:
            batch = step.batch(inputs, y, criterion=criterion, mask=mask, index=index, arguments=arguments)
            plan = step.plan(batch)
        self.step_ = step
        try:
            with step.carried_out(plan, batch, inputs) as changed:
                yield changed
        finally:
            self.step_ = None

    def _training_step(self, generator: torch.Generator | None = None) -> TrainingStep:
        """Return how batches are augmented; for samples that are only looked at, a generator is given."""
        return TrainingStep(
            self.module_,
            None if self.augmenter_ is None else as_augmenter(self.augmenter_),
            self.strength_ if generator is None else unobserved(self.strength_),
            self.layer,
            self.penalty_,
            self.generator_ if generator is None else generator,
            self.categories_ if generator is None else None,
            self._n_classes(),
            "let get_loss call super().get_loss, or set penalty=None",
        )

    def _n_classes(self) -> int | None:
        """Return the number of classes if they exclude each other; None if they do not, or are not known."""
        return None

    @contextmanager
    def _weighing(self, index: Tensor | None) -> Iterator[None]:
        """Have ``get_loss`` weigh the samples of a batch, if they have weights."""
        if not self._weighs():
            yield
            return
        # Each loss is normalised by the batch's size, not by its weights: the weights have mean 1 over all samples.
        self.batch_weight_ = None if self.train_weight_ is None or index is None else self.train_weight_[index]
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
        """Return the weights of a batch's samples in the loss of training; None if all weights are equal."""
        return self.batch_weight_

    def _loss_targets(self, y_true: Tensor) -> Tensor:
        """Return the targets of a batch as the weighted loss takes them."""
        return y_true

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return the iterator over a data set; its batches hold the samples' numbers if training needs them.

        Parameters
        ----------
        dataset : Dataset
        training : bool, default=False

        Returns
        -------
        iterator
        """
        if not training or not (self._needs_index() or self.sample_weight_ is not None or self.mask_ is not None):
            return super().get_iterator(dataset, training=training)
        indexed = Indexed(dataset)
        if self.sample_weight_ is not None:
            self.train_weight_ = weights_of(dataset, self.whole_, self.sample_weight_)
        if self.mask_ is not None:
            self.train_mask_ = self.mask_.of(dataset, self.whole_)
        if self._needs_index():
            # Categories belong to one data set and one layer. Those of an earlier fit stay if both are the same.
            fresh = self.augmenter_.new_memory(f"{indexed.name()} {self.layer}", len(indexed))
            fresh.announce = print if self.verbose else None
            if self.categories_ is None or self.categories_.data != fresh.data:
                self.categories_ = fresh
        iterator = super().get_iterator(indexed, training=True)
        if self._needs_index():
            indexed.require_one_shape(iterator.collate_fn)
        # Wrapped here, since the user may have chosen both the iterator and its collate_fn.
        iterator.collate_fn = IndexedCollate(iterator.collate_fn)
        return iterator

    def _needs_index(self) -> bool:
        return self._augments() and getattr(self.augmenter_, "needs_index", False)

    def _augments(self) -> bool:
        return self.augmenter is not None and not (isinstance(self.strength, Real) and self.strength == 0)

    def _on_device(self, batch: Any) -> tuple[Any, Any]:
        inputs, y = unpack_data(batch)
        return self._as_input(inputs), to_tensor(y, device=self.device)

    def _as_input(self, inputs: Any) -> Any:
        """Return the inputs on the device, floats in the module's precision."""
        inputs = to_tensor(inputs, device=self.device)
        if isinstance(inputs, Mapping):
            return {name: _in_precision(value, self.precision_) for name, value in inputs.items()}
        if isinstance(inputs, (list, tuple)):
            return [_in_precision(value, self.precision_) for value in inputs]
        return _in_precision(inputs, self.precision_)

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Run the module on a batch, with those of the further arguments that its ``forward`` takes.

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
