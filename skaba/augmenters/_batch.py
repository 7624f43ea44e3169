"""The batch that augmenters work on: at the input, or at a layer whose output is not computed yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from skaba.attribution import Criterion, Gradient, Target, attributed
from skaba.network import FromLayer, answer, asking, channel_axis_of, rows_of, scaled, stretched


@dataclass(frozen=True)
class Batch:
    """The samples to augment, and what augmenters may need.

    Parameters
    ----------
    model : nn.Module, callable or None
        Returns logits of shape (n, n_outputs). At a layer, a view of the network from there (``FromLayer``).
    x : floating-point Tensor of shape (n, ...), or None
        The features: the input, or a layer's output. None if the training step computes the layer's output later;
        ``features()`` then computes it in an additional pass.
    y : Tensor or None
        The targets.
    mask : bool Tensor that broadcasts to x, or None
        True where a feature may matter, False where it is known to be irrelevant.
    index : int64 Tensor of shape (n,), or None
        The samples' numbers in the training set.
    criterion : callable or None
        The loss.
    generator : torch.Generator on the CPU
        The source of all random numbers.
    memory : object or None
        What the augmenter keeps between steps; see :meth:`Augmenter.new_memory`.
    n_classes : int or None
        The number of classes, if it is known.
    is_preview : bool
        Whether x is a layer's output that was computed ahead. The forward pass computes it again and augments that.
    """

    model: Any
    x: Tensor | None
    y: Tensor | None
    criterion: Criterion | None
    generator: torch.Generator
    mask: Tensor | None = None
    index: Tensor | None = None
    memory: Any = None
    n_classes: int | None = None
    is_preview: bool = False

    @property
    def n_samples(self) -> int:
        """How many samples there are."""
        return self.model.n_samples if self.x is None else len(self.x)

    @property
    def device(self) -> torch.device:
        """Where the samples are."""
        return self.model.device if self.x is None else self.x.device

    @property
    def padding(self) -> Tensor | None:
        """True where a text has no word, with the features' shape without the last axis; None if there is no padding.

        At a layer it is available only after the layer has run, for example after ``features()`` or ``attribute()``.
        """
        return self.model.padding if isinstance(self.model, FromLayer) else None

    @property
    def channel_axis(self) -> int:
        """The axis of the features that holds channels, 1 or -1."""
        return channel_axis_of(self.model)

    def features(self, mode: str = "eval") -> Tensor:
        """Return the features, detached.

        Parameters
        ----------
        mode : {"eval", "train"}, default="eval"
            The mode in which the layers before the features run.

        Returns
        -------
        Tensor of shape (n, ...)

        Raises
        ------
        ValueError
            If the first axis of the layer's output does not count the samples.
        """
        if self.x is not None:
            return self.x
        return require_samples(self.model.features(mode, self.generator), self.n_samples, self.model.layer)

    def with_features(self) -> Batch:
        """Return the batch with its features computed."""
        return self if self.x is not None else replace(self, x=self.features(), is_preview=True)

    def rows(self, index: Tensor) -> Batch:
        """Return some of the samples.

        Parameters
        ----------
        index : int64 Tensor of shape (m,)

        Returns
        -------
        Batch of m samples
        """
        picked = {name: _picked(getattr(self, name), index) for name in ("x", "y", "mask", "index")}
        return replace(self, model=rows_of(self.model, index), **picked)

    def attribute(self, method: Any, target: Target, resolution: float = 1.0) -> Tensor:
        """Return the samples' attribution map.

        Parameters
        ----------
        method : callable
        target : callable
            The output or value that is explained.
        resolution : float, default=1.0
            Below 1, the map is computed on features averaged to this share of each spatial axis, and stretched.

        Returns
        -------
        Tensor of the features' shape
            Detached.

        Raises
        ------
        ValueError
            If the target does not fit the model, or the map does not fit the batch.
        """
        arguments: dict[str, Any] = {"target": target, "criterion": self.criterion, "generator": self.generator}
        if self.x is None and type(method) is Gradient and resolution == 1:
            # One pass computes the layer's output and its gradient; other methods and resolutions need the output
            # first.
            map_ = method.at_layer(self.model, self.y, **arguments)
            return require_samples(map_, self.n_samples, self.model.layer)
        x = self.features(getattr(method, "mode", "eval"))
        if resolution == 1:
            return attributed(method, self.model, x, self.y, **arguments)
        small = scaled(x, resolution, self.channel_axis)
        return stretched(attributed(method, self.model, small, self.y, **arguments), x, self.channel_axis)

    @cached_property
    def n_outputs(self) -> int:
        """The number of logits per sample; if it is not known, one sample is passed through the model."""
        if self.n_classes is not None:
            return self.n_classes
        one = self.rows(torch.zeros(1, dtype=torch.int64, device=self.device)).with_features()
        with asking(one.model), torch.no_grad():
            return answer(one.model, one.features()).shape[1]


def require_samples(output: Tensor, n_samples: int, layer: str) -> Tensor:
    """Return a layer's output, or raise a ValueError if its first axis does not count the samples."""
    if output.dim() >= 2 and len(output) == n_samples:
        return output
    raise ValueError(
        f"layer={layer!r} returns a tensor of shape {tuple(output.shape)} for {n_samples} samples; its first axis "
        "must be the samples, and features must follow. Choose another layer, or set batch_first=True."
    )


def _picked(values: Any, index: Tensor) -> Any:
    return None if values is None else values.index_select(0, index.to(values.device))
