"""One training step: the batch is augmented once, and the penalty uses the forward pass that is trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from skaba.augmenters import Augmenter, Batch, Plan
from skaba.losses import ForwardPass, Penalty
from skaba.network import FromLayer, WithArguments, described, logits_of, rooted, unwrapped, without_shortcuts
from skaba.training._masks import on_features
from skaba.training._rules import Rule

Strength = float | Rule
"""A number, or a rule."""


@dataclass
class TrainingStep:
    """How batches are augmented in training, and how their penalty is computed.

    Parameters
    ----------
    model : nn.Module
        Returns logits.
    augmenter : Augmenter or None
    strength : float or callable
        A callable takes the :class:`skaba.augmenters.Batch` and returns a number.
    layer : str or None
        The submodule whose output is augmented; None: the input.
    penalty : Penalty or None
    generator : torch.Generator on the CPU
    memory : object, default=None
        The state that the augmenter keeps from step to step; see :meth:`skaba.augmenters.Augmenter.new_memory`.
    n_classes : int or None, default=None
        The number of classes, if it is known.
    penalty_hint : str
        How to add the penalty to the loss, for the error that is raised if it was not added.
    """

    model: nn.Module
    augmenter: Augmenter | None
    strength: Strength
    layer: str | None
    penalty: Penalty | None
    generator: torch.Generator
    memory: Any = None
    n_classes: int | None = None
    penalty_hint: str = "add the penalty to the loss"
    _last: _Pass | None = None
    _penalty_added: bool = True

    @property
    def augments(self) -> bool:
        """Whether batches may be augmented."""
        return self.augmenter is not None and (callable(self.strength) or self.strength > 0)

    def batch(
        self,
        inputs: Any,
        y: Any,
        *,
        criterion: Any,
        mask: Tensor | None = None,
        index: Tensor | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> Batch:
        """Return a batch as augmenters see it.

        Parameters
        ----------
        inputs : Tensor, or a mapping or sequence of Tensors
            The model's input.
        y : Tensor
        criterion : callable or None
            The loss that maps explain.
        mask : bool Tensor, default=None
        index : int64 Tensor of shape (n,), default=None
        arguments : mapping, default=None
            Further keyword arguments of the model's forward pass.

        Returns
        -------
        Batch
        """
        view = network_view(self.model, self.layer, inputs, arguments)
        x = None if isinstance(view, FromLayer) else inputs
        return Batch(view, x, y, criterion, self.generator, mask, index, self.memory, self.n_classes)

    def plan(self, batch: Batch) -> Plan:
        """Decide how a batch is augmented."""
        if self.augmenter is None or not self.augments:
            return Plan(None, batch.y)
        if not callable(self.strength):
            return self.augmenter.plan(batch, self.strength)
        plan = self.augmenter.plan(batch, self.strength(batch))
        if (observe := getattr(self.strength, "observe", None)) is not None:
            observe(batch, plan)
        return plan

    @contextmanager
    def carried_out(self, plan: Plan, batch: Batch, inputs: Any) -> Iterator[tuple[Any, Any]]:
        """Change the model for the time of the block, so that each forward pass sees the batch as planned.

        Parameters
        ----------
        plan : Plan
        batch : Batch
        inputs : Tensor, or a mapping or sequence of Tensors

        Yields
        ------
        inputs, y
            The batch to train on. With a layer the inputs are unchanged.

        Raises
        ------
        ValueError
            After the block, if the layer did not run in it, or the penalty was not added to the loss.
        """
        penalised = self._needs_penalty(batch)
        if plan.move is None and not penalised:
            yield inputs, plan.y
            return

        reached = False

        def change(x: Tensor) -> Tensor:
            nonlocal reached
            reached = True
            moved = x if plan.move is None else plan.move(x)
            # A pass without a graph, such as one that evaluates, has no penalty.
            return self._record(batch, moved, plan.y) if penalised and torch.is_grad_enabled() else moved

        self._penalty_added = not penalised
        try:
            with without_shortcuts(self.model.modules(), fused_attention=False) if penalised else nullcontext():
                if isinstance(view := batch.model, FromLayer):
                    with view.changed(lambda output: change(view.writable(output))):
                        yield inputs, plan.y
                else:  # on a copy: augmenters write in place, and the caller's batch must not change
                    yield change(inputs.clone()), plan.y
        finally:
            self._last = None  # it refers to the graph, which would stay in memory
        # Not in the finally clause: an error inside the block must not be replaced by these.
        if not reached:
            raise ValueError(
                f"layer={self.layer!r} did not run inside the block, so nothing was augmented: call the model there, "
                "neither a copy of it nor a compiled one."
            )
        if not self._penalty_added:
            raise ValueError(f"The loss was computed without penalty={self.penalty!r}: {self.penalty_hint}.")

    def penalty_of(self, output: Any) -> Tensor | None:
        """Return the penalty of the last forward pass inside ``carried_out``, given what the model returned.

        Parameters
        ----------
        output : Tensor, a tuple or list that starts with one, or an object with ``logits``

        Returns
        -------
        Tensor or None
            A scalar to add to the loss; None if there is no penalty, or all features of the batch may matter.
        """
        last = self._last
        if self.penalty is None or last is None:
            return None
        self._penalty_added = True
        mask = on_features(last.batch.mask, last.features, last.batch.channel_axis)  # type: ignore[arg-type]
        forward_pass = ForwardPass(
            last.batch.model,
            last.features,
            last.source,
            logits_of(output),
            last.y,
            mask,
            last.batch.criterion,
            self.generator,
        )
        penalty = self.penalty(forward_pass)
        if not isinstance(penalty, Tensor) or penalty.dim():
            raise ValueError(f"{self.penalty!r} returned {described(penalty)}; it must return a scalar for the batch.")
        return penalty

    def _needs_penalty(self, batch: Batch) -> bool:
        """Return whether there is a penalty, and the mask marks features of the batch as irrelevant."""
        return self.penalty is not None and batch.mask is not None and not bool(batch.mask.all())

    def _record(self, batch: Batch, x: Tensor, y: Any) -> Tensor:
        """Return features that the penalty can differentiate with respect to, and keep them for it."""
        x = x if x.requires_grad else rooted(x)
        # The penalty differentiates with respect to the edge and not to x, since the next layer may write into x.
        self._last = _Pass(batch, x, get_gradient_edge(x), y)
        return x


@dataclass(frozen=True)
class _Pass:
    """The features of a forward pass, and where they are in its graph."""

    batch: Batch
    features: Tensor
    source: Any
    y: Any


def network_view(
    model: nn.Module, layer: str | None, inputs: Any, arguments: Mapping[str, Any] | None = None
) -> nn.Module:
    """Return a network as attribution methods and augmenters see it.

    Parameters
    ----------
    model : nn.Module
    layer : str or None
        The submodule whose output is explained or augmented; None: the input.
    inputs : Tensor, or a mapping or sequence of Tensors
        The model's input.
    arguments : mapping, default=None
        Further keyword arguments of the forward pass.

    Returns
    -------
    nn.Module
        With ``layer`` a :class:`skaba.network.FromLayer`.

    Raises
    ------
    TypeError, ValueError
        If there are several inputs, or no tensor, and no layer is named.
    """
    module: nn.Module = unwrapped(model)
    if layer is not None:
        return FromLayer(module, layer, inputs, arguments)
    if isinstance(inputs, (Mapping, list, tuple)):
        raise ValueError("X has several inputs: name the layer whose output is to be augmented, layer='...'.")
    if not isinstance(inputs, Tensor):
        raise TypeError(f"A batch must be a torch.Tensor, got {described(inputs)}: pass torch.as_tensor(x).")
    return WithArguments(module, arguments) if arguments else module
