"""The augmented training step for custom loops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from numbers import Real
from typing import Any

import torch
from sklearn.base import clone
from torch import Tensor, nn

from skaba._random_state import RandomState, resolve_seed
from skaba._validation import validate_parameters
from skaba.augmenters import as_augmenter, preset, require_augmenter
from skaba.losses import Penalty
from skaba.network import count, described, find_layer, unwrapped
from skaba.training._masks import checked_mask
from skaba.training._rules import check_rule, rule_of
from skaba.training._step import Strength, TrainingStep


class Augmentation:
    """Augments the batches of any training loop, once per optimiser step.

    Inside ``with augmentation(x, y) as (x, y)`` the model sees the augmented batch, however often it runs: optimisers
    that evaluate the loss several times per step (LBFGS, SAM) work, and so do gradient accumulation and mixed
    precision. If parts of the model are checkpointed, put the backward pass into the block too, because they run again
    in it. Computing maps does not change the parameters' gradients.

    Parameters
    ----------
    model : nn.Module
        Returns logits of shape (n, n_outputs). It may be compiled or wrapped for data parallelism.
    augmenter : str, callable or None, default="mend_aba"
        A preset's name, an :class:`skaba.augmenters.Augmenter`, any callable with its arguments, or None.
    strength : float, "auto" or callable, default=None
        How strongly to augment, in the augmenter's unit. None takes the augmenter's ``default_strength``; 0 switches
        augmentation off. ``"auto"`` is the rule :class:`FlipRate`. Any callable is a rule: it takes the
        :class:`skaba.augmenters.Batch` and returns the strength of each step.
    layer : str, default=None
        Augment the output of this submodule (``"embedding"``, ``"features.3"``) instead of the input.
    criterion : callable, default=None
        The loss, ``criterion(logits, y)``, for augmenters that explain it, such as ``fgsm``.
    penalty : Penalty, default=None
        A loss on attributions, such as :class:`skaba.losses.RRR`. Add ``augmentation.penalty(output)`` to the loss,
        and pass a mask with each batch.
    random_state : int, RandomState or None, default=None
        The seed of all random numbers. None takes the seed from torch's global random state, without changing it.

    Attributes
    ----------
    strength_ : float or callable
        The strength in force.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not allowed, or the model has no such layer.

    Examples
    --------
    >>> import torch
    >>> from skaba.training import Augmentation
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> criterion, optimizer = torch.nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters())
    >>> loader = [(torch.randn(8, 4), torch.arange(8) % 3)]
    >>> augmentation = Augmentation(model, "mend_aba", strength=0.1, criterion=criterion, random_state=0)
    >>> for x, y in loader:
    ...     with augmentation(x, y) as (x, y):
    ...         loss = criterion(model(x), y)
    ...         optimizer.zero_grad()
    ...         loss.backward()
    ...     optimizer.step()

    With ``free_aba``, which caches categories per sample, the loader also yields the samples' numbers:

    >>> augmentation = Augmentation(model, "free_aba", criterion=criterion, random_state=0)
    >>> for epoch in range(2):
    ...     for x, y, index in [(*loader[0], torch.arange(8))]:
    ...         with augmentation(x, y, index=index) as (x, y):
    ...             loss = criterion(model(x), y)
    ...             optimizer.zero_grad()
    ...             loss.backward()
    ...         optimizer.step()
    """

    def __init__(
        self,
        model: nn.Module,
        augmenter: Any = "mend_aba",
        strength: Strength | None = None,
        *,
        layer: str | None = None,
        criterion: Any = None,
        penalty: Penalty | None = None,
        random_state: RandomState = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be an nn.Module, got a {type(model).__name__}.")
        if penalty is not None and (isinstance(penalty, type) or not callable(penalty)):
            raise TypeError(f"penalty={penalty!r} must be a penalty, such as skaba.losses.RRR().")
        if layer is not None:
            _check_layer(model, layer)
        self.criterion = criterion
        self._open = False
        made = _made(augmenter)
        validate_parameters(penalty)
        if strength is None:
            strength = 0.0 if made is None else made.default_strength
        rule = rule_of(strength)
        if rule is None and not (isinstance(strength, Real) and float(strength) >= 0):
            raise ValueError(f'strength={strength!r} must be a number of at least 0, "auto", a rule, or None.')
        validate_parameters(rule)
        check_rule(rule, made)
        # The number of samples is not known here, so the memory grows with the largest number that comes.
        memory = made.new_memory("", 0) if made is not None else None
        generator = torch.Generator().manual_seed(resolve_seed(random_state))
        in_force = strength if rule is None else rule
        penalty_hint = "inside the block, add augmentation.penalty(output) to it"
        self._step = TrainingStep(model, made, in_force, layer, penalty, generator, memory, penalty_hint=penalty_hint)

    @property
    def strength_(self) -> Strength:
        """The strength in force: a number or a rule."""
        return self._step.strength

    @contextmanager
    def __call__(
        self, x: Any, y: Any = None, *, mask: Any = None, index: Any = None, **arguments: Any
    ) -> Iterator[tuple[Any, Any]]:
        """Augment a batch for the time of the block.

        Parameters
        ----------
        x : Tensor, or a mapping or sequence of Tensors
            The model's input, on the model's device.
        y : Tensor, default=None
            The targets, if the augmenter needs them.
        mask : bool array-like, default=None
            True where a feature may matter, False where it is known to be irrelevant. It has the features' shape, with
            or without the axis of channels.
        index : int array-like of shape (n,), default=None
            The samples' numbers in the training set; ``free_aba`` needs them.
        **arguments
            Further keyword arguments that the model is called with.

        Yields
        ------
        x, y
            The batch to train on. With ``layer=`` x is unchanged, and the layer's output is changed inside the block.

        Raises
        ------
        ValueError
            If the batch does not suit the augmenter or the penalty; or inside another block, at a layer or with a
            penalty.
        """
        step = self._step
        if not step.augments and step.penalty is None:
            yield x, y
            return
        if self._open and (step.layer is not None or step.penalty is not None):
            raise ValueError(
                "This Augmentation is in a block already: with layer= or a penalty it holds one batch at a time. Leave "
                "the block first, or put both batches into one."
            )
        if step.penalty is not None and mask is None:
            raise ValueError(f"penalty={step.penalty!r} needs a mask with each batch: augmentation(x, y, mask=mask).")
        if step.augments and step.augmenter is not None and step.augmenter.needs_index and index is None:
            raise ValueError(
                f"{step.augmenter!r} caches categories per sample: pass index=, the numbers of the batch's samples "
                "in the training set."
            )
        n_samples = count(x)
        batch = step.batch(
            x,
            y,
            criterion=self.criterion,
            mask=None if mask is None else checked_mask(mask, n_samples),
            index=None if index is None else _checked_index(index, n_samples),
            arguments=arguments,
        )
        outer, self._open = self._open, True
        try:
            with step.carried_out(step.plan(batch), batch, x) as changed:
                yield changed
        finally:
            self._open = outer

    def penalty(self, output: Any) -> Tensor | float:
        """Return the penalty of the last forward pass in the block; call it there.

        Parameters
        ----------
        output : Tensor
            The model's output in that pass.

        Returns
        -------
        Tensor or float
            A scalar to be added to the loss; 0.0 if there is no penalty, or no feature is known to be irrelevant.
        """
        penalty = self._step.penalty_of(output)
        return 0.0 if penalty is None else penalty

    def require_part_of(self, model: nn.Module) -> None:
        """Check that the model of this object is a trained model, or a part of it.

        Parameters
        ----------
        model : nn.Module
            The model that is trained.

        Raises
        ------
        ValueError
            If it is another one, such as a copy.
        """
        augmented = unwrapped(self._step.model)
        if all(module is not augmented for module in model.modules()):
            raise ValueError(
                f"The Augmentation was made for another {type(augmented).__name__} than the one that is trained: make "
                "it with the same object that the trainer gets, or with a part of it."
            )

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to continue later: the random state, the state of a rule, ``free_aba``'s categories.

        Returns
        -------
        dict
            Tensors, numbers and strings.
        """
        memory = {} if self._step.memory is None else self._step.memory.state_dict()
        rule = self.strength_.state_dict() if hasattr(self.strength_, "state_dict") else {}
        return {"generator": self._step.generator.get_state(), "memory": memory, "rule": rule}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state that ``state_dict`` returned.

        Parameters
        ----------
        state : dict
        """
        self._step.generator.set_state(state["generator"])
        if hasattr(self.strength_, "load_state_dict"):
            self.strength_.load_state_dict(state["rule"])
        if self._step.memory is not None:
            # A copy, because training writes into the memory, and the state may belong to another Augmentation.
            self._step.memory.load_state_dict(deepcopy(state["memory"]))


def _check_layer(model: nn.Module, name: str) -> None:
    """Raise a ValueError if there is no such layer, or if it is inside a compiled part of the model."""
    layer = find_layer(unwrapped(model), name)
    for module in model.modules():
        # Hooks that are registered later are ignored:
        # https://docs.pytorch.org/docs/stable/torch.compiler_nn_module.html
        in_place = getattr(module, "_compiled_call_impl", None) is not None  # module.compile(), which wraps nothing
        compiled = module if in_place else module._modules.get("_orig_mod")
        if compiled is not None and any(inner is layer for inner in compiled.modules()):
            raise ValueError(
                f"layer={name!r} is inside a compiled module, which ignores hooks: train the model without "
                "torch.compile, or augment the input."
            )


def _checked_index(index: Any, n_samples: int) -> Tensor:
    """Return the numbers of a batch's samples, int64 of shape (n,)."""
    try:
        numbers = torch.as_tensor(index, dtype=None if n_samples else torch.int64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"index must hold the samples' numbers in the training set, got {index!r}: {error}") from error
    whole = not (numbers.is_floating_point() or numbers.is_complex() or numbers.dtype == torch.bool)
    if numbers.shape != (n_samples,) or not whole or (n_samples and int(numbers.min()) < 0):
        raise ValueError(
            f"index must hold the number of each of the {n_samples} samples in the training set, whole numbers from 0; "
            f"got {described(numbers)} with {numbers.dtype} values."
        )
    return numbers.long()


def _made(augmenter: Any) -> Any:
    """Return a copy of an augmenter, or make one if a name is given; return None for None."""
    if augmenter is None:
        return None
    if isinstance(augmenter, str):
        augmenter = preset(augmenter)
    require_augmenter("augmenter", augmenter)
    made = as_augmenter(clone(augmenter) if hasattr(augmenter, "get_params") else augmenter)
    validate_parameters(made)
    return made
