"""The loss that maps explain: the criterion, or the ``get_loss`` of a subclass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from skaba.network import first_output, unwrapped


@contextmanager
def explained_loss(net: Any, y: Any) -> Iterator[Any]:
    """Provide the loss that the maps of a batch explain.

    Parameters
    ----------
    net : AugmentedNet
        Initialised.
    y : Tensor or None
        The batch's targets, as ``get_loss`` receives them in training.

    Yields
    ------
    callable
        The net's ``criterion_``; an :class:`OwnLoss` if a subclass, or the instance, overrides ``get_loss``.
    """
    # An attribute of the instance may be a plain function, without __func__. Without targets there is no loss to
    # explain.
    if getattr(net.get_loss, "__func__", None) is type(net)._loss_of_criterion or not isinstance(y, Tensor):
        yield unwrapped(net.criterion_)
        return
    loss = OwnLoss(net, tuple(y.shape[1:]))

    # Attribution hands only the first output to the criterion; get_loss also takes the others and the inputs.
    def note(module: nn.Module, args: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        loss.inputs, loss.output = args[0] if args else named, output

    handle = unwrapped(net.module_).register_forward_hook(note, with_kwargs=True)
    try:
        yield loss
    finally:
        handle.remove()


class OwnLoss:
    """The ``get_loss`` of a net as a criterion of logits and targets.

    ``get_loss`` is called with one sample at a time, which gives one loss per sample whatever its reduction. It gets
    all outputs of the module, the module's inputs as X, and ``training=False``, also if attribution runs the module in
    training mode.

    Parameters
    ----------
    net : AugmentedNet
    target_shape : tuple of int
        Shape of one sample's target in training.
    """

    # The target Loss sets "none" on a copy; other callers get the mean, as of torch's losses.
    reduction = "mean"

    inputs: Any = None
    output: Any = None

    def __init__(self, net: Any, target_shape: tuple[int, ...]) -> None:
        self.net = net
        self.target_shape = target_shape

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        inputs, output = self._pass_of(logits)
        y = y.reshape(len(y), *self.target_shape)
        n = len(logits)
        losses = [
            self.net.get_loss(_sample(output, i, n), y[i : i + 1], X=_sample(inputs, i, n), training=False).mean()
            for i in range(n)
        ]
        return torch.stack(losses) if self.reduction == "none" else torch.stack(losses).mean()

    def _pass_of(self, logits: Tensor) -> tuple[Any, Any]:
        """Return the module's inputs and outputs of the pass that the logits come from."""
        output = None if self.output is None else first_output(self.output)
        # Their memory is compared, because an output of shape (n,) is explained as a view of it, (n, 1). A leaf that
        # requires a gradient shares the memory too, but its graph does not reach the other outputs.
        same_memory = output is not None and (output.data_ptr(), output.numel()) == (logits.data_ptr(), logits.numel())
        if same_memory and not (logits.is_leaf and logits.requires_grad):
            return self.inputs, self.output
        if isinstance(self.output, Tensor):
            return (self.inputs if self.output.shape == logits.shape else None), logits
        raise ValueError(
            f"{type(self.net).__name__}.get_loss takes all outputs of the module, but this attribution method hands on "
            "the first alone. Explain something else than the loss, for example target=PredictedClass(), or use "
            "attribution=Gradient()."
        )


def _sample(value: Any, i: int, n: int) -> Any:
    """Return sample i of a module's inputs or outputs for n samples; a tensor without n rows is kept whole."""
    if isinstance(value, Tensor):
        return value[i : i + 1] if value.dim() > 0 and len(value) == n else value
    if isinstance(value, Mapping):
        return {name: _sample(part, i, n) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        parts = [_sample(part, i, n) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    return value
