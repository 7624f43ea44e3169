"""Methods that run the model on changed inputs, computed by captum."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from skaba.attribution._captum import Scored, ThroughCaptum, captum, seeded, spread
from skaba.attribution._constraints import (
    BACKGROUND,
    BASELINE,
    COUNT,
    COUNT_OR_NONE,
    NOT_NEGATIVE,
    POSITIVE,
    at_least,
)
from skaba.attribution._method import About
from skaba.attribution._paths import ExpectedGradients, background_of
from skaba.network import channel_axis_of, positions, require_generator, to_channels

_WINDOW = 3  # of Occlusion, in positions


class GradientShap(ThroughCaptum):
    """Gradients at random points between background and input.

    ``samples`` forward and backward passes per sample, all at once, and one more forward pass that
    chooses the target. The input may be noisy. :class:`ExpectedGradients` is the same without noise, but its memory
    is limited and its map can stay in the graph.

    Parameters
    ----------
    background : Tensor or ndarray of shape (m, ...), default=None
        Samples of the input's shape, from which the baselines are drawn. By default the batch itself.
    samples : int, default=5
        The number of draws. Each draw is a baseline and a point on the path from it to the input.
    noise : float, default=0.0
        Standard deviation of the normal noise on the input, in its units.

    References
    ----------
    Lundberg and Lee (2017), "A Unified Approach to Interpreting Model Predictions"; the approximation is that
    of the authors' package shap.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import GradientShap, TrueClass
    >>> model, x, y = torch.nn.Linear(3, 2), torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    >>> method = GradientShap(background=torch.ones(1, 3))
    >>> map_ = method(model, x, y, target=TrueClass(), generator=torch.Generator())
    >>> torch.allclose(map_, (x - 1) * model.weight[y], atol=1e-6)
    True
    """

    about: ClassVar[About] = ExpectedGradients.about
    _parameter_constraints: ClassVar = {"background": BACKGROUND, "samples": COUNT, "noise": NOT_NEGATIVE}

    def __init__(self, background: Tensor | np.ndarray | None = None, samples: int = 5, noise: float = 0.0) -> None:
        self.background = background
        self.samples = samples
        self.noise = noise

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        draws = {"n_samples": self.samples, "stdevs": float(self.noise)}
        background = background_of(self, x.detach())
        with seeded(require_generator(generator, self)):
            return self._run("GradientShap", scored, x, baselines=background, **draws)


class _Replacing(ThroughCaptum):
    """Runs the model on inputs in which a baseline replaces some of the features."""

    baseline: float | Tensor
    batch_size: int
    segments: int | None
    _parameter_constraints: ClassVar[dict[str, Any]] = {"baseline": BASELINE, "batch_size": COUNT}

    def _replace(self, name: str, scored: Scored, x: Tensor, *settings: Any, **arguments: Any) -> Tensor:
        arguments |= {"baselines": spread(self.baseline, x), "perturbations_per_eval": self.batch_size}
        return self._run(name, scored, x.detach(), *settings, **arguments)

    def _segmented(self, x: Tensor, scored: Scored) -> Tensor | None:
        """Return the number of each feature's segment, or None if every feature is a separate segment."""
        if self.segments is None:
            return None
        if x.dim() == 2:
            raise ValueError(
                f"segments={self.segments} cuts images, signals or texts into patches, but x is a table of shape "
                f"{tuple(x.shape)}. Set segments=None, so that features are replaced one by one."
            )
        channel_axis = channel_axis_of(scored.model)
        number = torch.zeros((), dtype=torch.long, device=x.device)
        for size in positions(x, channel_axis):
            count = min(self.segments, size)
            # Row-major numbers, without gaps; sizes of segments differ by at most one position.
            number = number.unsqueeze(-1) * count + torch.arange(size, device=x.device) * count // size
        return to_channels(number[None], x, channel_axis).expand(1, *x.shape[1:])


class FeatureAblation(_Replacing):
    """Fall of the target when one feature is replaced.

    As many forward passes per sample as there are features or segments, and two more.

    Parameters
    ----------
    segments : int, default=None
        Segments along each spatial axis (words of a text) that are replaced together, with all their
        channels; at most one per position. None: features are replaced one by one.
    baseline : float, Tensor or ndarray, default=0.0
        Value of a replaced feature: a number, or a tensor that broadcasts against a batch.
    batch_size : int, default=10
        Replacements of each sample per pass. Memory grows with it; the result does not change.

    References
    ----------
    Zeiler and Fergus (2014), "Visualizing and Understanding Convolutional Networks", section 4.2.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import FeatureAblation, PredictedClass
    >>> model = lambda x: torch.stack([x.prod(1), x.sum(1) - 9], dim=1)
    >>> FeatureAblation()(model, torch.tensor([[2.0, 3.0]]), target=PredictedClass())
    tensor([[6., 6.]])
    """

    about: ClassVar[About] = About("features + 2", "0", signed=True, baseline=True)
    _parameter_constraints: ClassVar = {**_Replacing._parameter_constraints, "segments": COUNT_OR_NONE}

    def __init__(self, segments: int | None = None, baseline: float | Tensor = 0.0, batch_size: int = 10) -> None:
        self.segments = segments
        self.baseline = baseline
        self.batch_size = batch_size

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        return self._replace("FeatureAblation", scored, x, feature_mask=self._segmented(x, scored))


class _Surrogate(_Replacing):
    """Fits a linear model, sample by sample, to the target under random replacements."""

    samples: int

    def _fit(self, name: str, scored: Scored, x: Tensor, generator: torch.Generator | None, *settings: Any) -> Tensor:
        segments = self._segmented(x, scored)
        features = x[0].numel() if segments is None else int(segments.max()) + 1
        # captum's kernel has the weight 0 / 0 for a single feature, which torch refuses without naming the cause.
        if features < 2:
            raise ValueError(f"{type(self).__name__} needs at least 2 features or segments to compare, got {features}.")
        with seeded(require_generator(generator, self)):
            return self._replace(name, scored, x, *settings, feature_mask=segments, n_samples=self.samples)


class KernelShap(_Surrogate):
    """Shapley values by regression on coalitions of features.

    ``samples`` forward passes per sample, and one or two more that choose the target. One weighted linear regression on
    random coalitions is fitted per sample, so the method is slow. With fewer samples than features the regression is
    underdetermined and its solution has the least norm: set ``segments`` for images and texts. Computed in single
    precision.

    Parameters
    ----------
    samples : int, default=50
        Coalitions per sample. The first holds all features, the second none.
    segments : int, default=None
        Segments along each spatial axis (words of a text) that are replaced together, with all their
        channels; at most one per position. None: features are replaced one by one.
    baseline : float, Tensor or ndarray, default=0.0
        Value of a missing feature: a number, or a tensor that broadcasts against a batch.
    batch_size : int, default=10
        Coalitions per pass; a pass holds coalitions of one sample. The result does not change.

    References
    ----------
    Lundberg and Lee (2017), "A Unified Approach to Interpreting Model Predictions", section 4.1.

    Examples
    --------
    The Shapley values of a linear model are weight times input.

    >>> import torch
    >>> from skaba.attribution import KernelShap, TrueClass
    >>> model, x, y = torch.nn.Linear(3, 2), torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    >>> map_ = KernelShap()(model, x, y, target=TrueClass(), generator=torch.Generator())
    >>> torch.allclose(map_, x * model.weight[y], atol=1e-4)
    True
    """

    about: ClassVar[About] = About(
        "samples + 2", "0", signed=True, complete="target - target of the baseline, over segments", baseline=True
    )
    _parameter_constraints: ClassVar = {**FeatureAblation._parameter_constraints, "samples": at_least(3)}

    def __init__(
        self, samples: int = 50, segments: int | None = None, baseline: float | Tensor = 0.0, batch_size: int = 10
    ) -> None:
        self.samples = samples
        self.segments = segments
        self.baseline = baseline
        self.batch_size = batch_size

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        return self._fit("KernelShap", scored, x, generator)


class Lime(_Surrogate):
    """Coefficients of a sparse linear model around the input.

    ``samples`` forward passes per sample, and one or two more that choose the target. One regression is fitted per
    sample, so the method is slow. Perturbed inputs are weighted by their cosine distance from the
    input. Set ``segments`` for images and texts. Computed in single precision.

    Parameters
    ----------
    samples : int, default=50
        Random replacements per sample; each feature is replaced in half of them.
    segments : int, default=None
        Segments along each spatial axis (words of a text) that are replaced together, with all their
        channels; at most one per position. None: features are replaced one by one.
    baseline : float, Tensor or ndarray, default=0.0
        Value of a missing feature: a number, or a tensor that broadcasts against a batch.
    alpha : float, default=0.01
        Weight of the Lasso's penalty, in units of the target: the larger it is, the more features are 0.
    batch_size : int, default=10
        Replacements per pass; a pass holds replacements of one sample. The result does not change.

    References
    ----------
    Ribeiro, Singh and Guestrin (2016), "'Why Should I Trust You?': Explaining the Predictions of Any
    Classifier", section 3.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import Lime, TrueClass
    >>> model, x, y = torch.nn.Linear(3, 2), torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    >>> map_ = Lime(alpha=1e-6)(model, x, y, target=TrueClass(), generator=torch.Generator())
    >>> torch.allclose(map_, x * model.weight[y], atol=1e-3)
    True
    """

    about: ClassVar[About] = About("samples + 2", "0", signed=True, baseline=True)
    _parameter_constraints: ClassVar = {**KernelShap._parameter_constraints, "samples": at_least(2), "alpha": POSITIVE}

    def __init__(
        self,
        samples: int = 50,
        segments: int | None = None,
        baseline: float | Tensor = 0.0,
        alpha: float = 0.01,
        batch_size: int = 10,
    ) -> None:
        self.samples = samples
        self.segments = segments
        self.baseline = baseline
        self.alpha = alpha
        self.batch_size = batch_size

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        lasso = captum("_utils.models.linear_model").SkLearnLasso(alpha=self.alpha)
        return self._fit("Lime", scored, x, generator, lasso)


class Occlusion(_Replacing):
    """Fall of the target when a sliding window is replaced.

    A feature's value is the mean over the windows that cover it. One forward pass per sample for each
    position of the window, about (size / stride) along each spatial axis, and two more. Computed in
    single precision.

    Parameters
    ----------
    window : int, default=None
        Side of the window, in positions (words of a text), with all their channels; no larger than the
        input along any spatial axis. By default 3, or less along an axis that is shorter. For a table,
        whose columns have no neighbours, the window is one feature, and only 1 or None is allowed.
    stride : int, default=1
        Step of the window; no larger than the window, so that every feature is covered.
    baseline : float, Tensor or ndarray, default=0.0
        Value of the features in the window: a number, or a tensor that broadcasts against a batch.
    batch_size : int, default=10
        Windows of each sample per pass. Memory grows with it; the result does not change.

    References
    ----------
    Zeiler and Fergus (2014), "Visualizing and Understanding Convolutional Networks", section 4.2.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import Occlusion, PredictedClass
    >>> model = lambda x: x.sum((1, 2))[:, None]
    >>> Occlusion(window=2, stride=2)(model, torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]), target=PredictedClass())
    tensor([[[3., 3., 7., 7.]]])
    """

    about: ClassVar[About] = About("windows + 2", "0", signed=True, baseline=True)
    _parameter_constraints: ClassVar = {**_Replacing._parameter_constraints, "window": COUNT_OR_NONE, "stride": COUNT}

    def __init__(
        self, window: int | None = None, stride: int = 1, baseline: float | Tensor = 0.0, batch_size: int = 10
    ) -> None:
        self.window = window
        self.stride = stride
        self.baseline = baseline
        self.batch_size = batch_size

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        window, stride = self._window(x, channel_axis_of(scored.model)), [self.stride] * (x.dim() - 1)
        # captum's windows have one side per axis of a sample, so the channel axis gets a window over all of it.
        if x.dim() > 2:
            axis = channel_axis_of(scored.model) % x.dim() - 1
            window.insert(axis, x.shape[axis + 1])
            stride[axis] = 1
        return self._replace("Occlusion", scored, x, sliding_window_shapes=tuple(window), strides=tuple(stride))

    def _window(self, x: Tensor, channel_axis: int) -> list[int]:
        """Return the window's side along each spatial axis, or raise a ValueError if it does not fit x."""
        sizes = positions(x, channel_axis)
        largest = 1 if x.dim() == 2 else min(sizes)
        if self.window is not None and self.window > largest:
            reason = "a table's columns have no neighbours" if x.dim() == 2 else "it does not fit into the input"
            raise ValueError(
                f"Occlusion(window={self.window}) of samples of shape {tuple(x.shape[1:])}: {reason}. Set window to at "
                f"most {largest}, or None."
            )
        if self.window is not None:
            window = [self.window] * len(sizes)
        else:
            window = [1 if x.dim() == 2 else min(_WINDOW, size) for size in sizes]
        if self.stride > min(window):
            raise ValueError(
                f"Occlusion(window={min(window)}, stride={self.stride}) would leave features between the windows "
                "without a value. Set stride to at most window."
            )
        return window
