"""Methods that ask the model about changed inputs, computed by captum."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor

from skaba.attribution._captum import Scored, ThroughCaptum, captum, seeded, spread
from skaba.attribution._method import About
from skaba.attribution._paths import background_of
from skaba.network import channel_axis_of, positions, require_generator, to_channels

_WINDOW = 3  # of Occlusion, in positions


class GradientShap(ThroughCaptum):
    """Gradients at random points between samples of a background and the (noisy) input.

    ``samples`` forward and backward passes a sample, all at once, and one more forward pass that
    fixes the target. :class:`ExpectedGradients` is the same without noise, with a bound on memory.

    Parameters
    ----------
    background : Tensor or ndarray of shape (m, ...), default=None
        Samples of the input's shape, from which the baselines are drawn. None is the batch itself.
    samples : int, default=5
        Draws of a baseline and of a point on the path from there.
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

    about: ClassVar[About] = About(
        "samples + 1",
        "samples",
        signed=True,
        complete="target - mean target of the background, in expectation",
        baseline=True,
        needs="a gradient",
    )

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "background": [None, Tensor, np.ndarray],
        "samples": [Interval(Integral, 1, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, background: Tensor | np.ndarray | None = None, samples: int = 5, noise: float = 0.0) -> None:
        self.background = background
        self.samples = samples
        self.noise = noise

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        background = background_of(self, x.detach())
        with seeded(require_generator(generator, self)):
            map_: Tensor = (
                captum()
                .GradientShap(scored)
                .attribute(
                    x,
                    baselines=background,
                    n_samples=self.samples,
                    stdevs=float(self.noise),
                    additional_forward_args=(scored.index,),
                )
            )
        return map_


class _Segmented(ThroughCaptum):
    """Features, or segments of them, are replaced by a baseline."""

    segments: int | None

    def _mask(self, x: Tensor, scored: Scored) -> Tensor | None:
        """Return the number of each feature's segment, or None if every feature is its own."""
        if self.segments is None:
            return None
        if x.dim() == 2:
            raise ValueError(
                f"segments={self.segments} cuts images, signals or texts into patches, but x is a table of shape "
                f"{tuple(x.shape)}. Set segments=None: every feature is one of its own."
            )
        channel_axis = channel_axis_of(scored.model)
        number = torch.zeros((), dtype=torch.long, device=x.device)
        for size in positions(x, channel_axis):
            count = min(self.segments, size)
            number = number.unsqueeze(-1) * count + torch.arange(size, device=x.device) * count // size
        return to_channels(number[None], x, channel_axis).expand(1, *x.shape[1:])


class _Surrogate(_Segmented):
    """A linear model is fitted, sample by sample, to the target under random replacements."""

    samples: int
    baseline: float | Tensor
    perturbations_at_once: int

    def _fit(self, method: Any, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        mask = self._mask(x, scored)
        features = x[0].numel() if mask is None else int(mask.max()) + 1
        if features < 2:
            raise ValueError(f"{type(self).__name__} needs at least 2 features or segments to compare, got {features}.")
        with seeded(require_generator(generator, self)):
            map_: Tensor = method.attribute(
                x.detach(),
                baselines=spread(self.baseline, x),
                feature_mask=mask,
                n_samples=self.samples,
                perturbations_per_eval=min(self.perturbations_at_once, self.samples),
                additional_forward_args=(scored.index,),
            )
        return map_


class KernelShap(_Surrogate):
    """Shapley values by a weighted linear regression on random coalitions of features.

    ``samples`` forward passes a sample, and one or two more that fix the target; each sample has a
    regression of its own, so it is slow. With fewer samples than features the regression is not
    determined, and has the least norm: give images and texts ``segments``. Computed in single precision.

    Parameters
    ----------
    samples : int, default=50
        Coalitions a sample, of which the first two are all features and none.
    segments : int, default=None
        Segments along each spatial axis (words of a text) that are replaced as one, with all their
        channels; at most one a position. None: every feature by itself.
    baseline : float, Tensor or ndarray, default=0.0
        What a missing feature is replaced by: a number, or a tensor that broadcasts against a batch.
    perturbations_at_once : int, default=10
        How many coalitions of a sample share a pass. The result does not change.

    References
    ----------
    Lundberg and Lee (2017), "A Unified Approach to Interpreting Model Predictions", section 4.1.

    Examples
    --------
    A linear model has the Shapley values weight times input.

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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "samples": [Interval(Integral, 3, None, closed="left")],
        "segments": [None, Interval(Integral, 1, None, closed="left")],
        "baseline": [Real, Tensor, np.ndarray],
        "perturbations_at_once": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        samples: int = 50,
        segments: int | None = None,
        baseline: float | Tensor = 0.0,
        perturbations_at_once: int = 10,
    ) -> None:
        self.samples = samples
        self.segments = segments
        self.baseline = baseline
        self.perturbations_at_once = perturbations_at_once

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        return self._fit(captum().KernelShap(scored), scored, x, generator)


class Lime(_Surrogate):
    """Coefficients of a sparse linear model, fitted to the target around the input.

    ``samples`` forward passes a sample, and one or two more that fix the target; each sample has a
    regression of its own, so it is slow. Perturbed inputs count by their cosine distance from the
    input. Give images and texts ``segments``. Computed in single precision.

    Parameters
    ----------
    samples : int, default=50
        Random replacements a sample; each feature is replaced in half of them.
    segments : int, default=None
        Segments along each spatial axis (words of a text) that are replaced as one, with all their
        channels; at most one a position. None: every feature by itself.
    baseline : float, Tensor or ndarray, default=0.0
        What a missing feature is replaced by: a number, or a tensor that broadcasts against a batch.
    alpha : float, default=0.01
        Weight of the Lasso's penalty, in units of the target: the larger, the more features are 0.
    perturbations_at_once : int, default=10
        How many replacements of a sample share a pass. The result does not change.

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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "samples": [Interval(Integral, 2, None, closed="left")],
        "segments": [None, Interval(Integral, 1, None, closed="left")],
        "baseline": [Real, Tensor, np.ndarray],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "perturbations_at_once": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        samples: int = 50,
        segments: int | None = None,
        baseline: float | Tensor = 0.0,
        alpha: float = 0.01,
        perturbations_at_once: int = 10,
    ) -> None:
        self.samples = samples
        self.segments = segments
        self.baseline = baseline
        self.alpha = alpha
        self.perturbations_at_once = perturbations_at_once

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        lasso = captum("_utils.models.linear_model").SkLearnLasso(alpha=self.alpha)
        return self._fit(captum().Lime(scored, lasso), scored, x, generator)


class FeatureAblation(_Segmented):
    """How much the target falls when a feature is replaced by a baseline.

    As many forward passes a sample as there are features or segments, and two more.

    Parameters
    ----------
    segments : int, default=None
        Segments along each spatial axis (words of a text) that are replaced as one, with all their
        channels; at most one a position. None: every feature by itself.
    baseline : float, Tensor or ndarray, default=0.0
        What a feature is replaced by: a number, or a tensor that broadcasts against a batch.
    perturbations_at_once : int, default=10
        How many replacements share a pass. Memory grows with it, the result does not change.

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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "segments": [None, Interval(Integral, 1, None, closed="left")],
        "baseline": [Real, Tensor, np.ndarray],
        "perturbations_at_once": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self, segments: int | None = None, baseline: float | Tensor = 0.0, perturbations_at_once: int = 10
    ) -> None:
        self.segments = segments
        self.baseline = baseline
        self.perturbations_at_once = perturbations_at_once

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        map_: Tensor = (
            captum()
            .FeatureAblation(scored)
            .attribute(
                x.detach(),
                baselines=spread(self.baseline, x),
                feature_mask=self._mask(x, scored),
                perturbations_per_eval=self.perturbations_at_once,
                additional_forward_args=(scored.index,),
            )
        )
        return map_


class Occlusion(ThroughCaptum):
    """How much the target falls when a window that slides over the input is replaced by a baseline.

    A feature's value is the mean over the windows that cover it. One forward pass per sample for each
    place of the window, about (size / stride) along each spatial axis, and two more. Computed in
    single precision.

    Parameters
    ----------
    window : int, default=None
        Side of the window, in positions (words of a text), with all their channels; no larger than the
        input along any spatial axis. By default 3, or less along an axis that is shorter. In a table,
        whose columns have no neighbours, it is one feature, and only 1 or None are allowed.
    stride : int, default=1
        Step of the window; no larger than the window, so that every feature is covered.
    baseline : float, Tensor or ndarray, default=0.0
        What the window shows: a number, or a tensor that broadcasts against a batch.
    perturbations_at_once : int, default=10
        How many windows share a pass. Memory grows with it, the result does not change.

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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "window": [Interval(Integral, 1, None, closed="left"), None],
        "stride": [Interval(Integral, 1, None, closed="left")],
        "baseline": [Real, Tensor, np.ndarray],
        "perturbations_at_once": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        window: int | None = None,
        stride: int = 1,
        baseline: float | Tensor = 0.0,
        perturbations_at_once: int = 10,
    ) -> None:
        self.window = window
        self.stride = stride
        self.baseline = baseline
        self.perturbations_at_once = perturbations_at_once

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        window, stride = self._window(x, channel_axis_of(scored.model)), [self.stride] * (x.dim() - 1)
        if x.dim() > 2:
            axis = channel_axis_of(scored.model) % x.dim() - 1
            window.insert(axis, x.shape[axis + 1])
            stride[axis] = 1
        map_: Tensor = (
            captum()
            .Occlusion(scored)
            .attribute(
                x.detach(),
                sliding_window_shapes=tuple(window),
                strides=tuple(stride),
                baselines=spread(self.baseline, x),
                perturbations_per_eval=self.perturbations_at_once,
                additional_forward_args=(scored.index,),
            )
        )
        return map_

    def _window(self, x: Tensor, channel_axis: int) -> list[int]:
        """Return the window's side along each spatial axis, or raise a ValueError if it does not fit x."""
        places = positions(x, channel_axis)
        largest = 1 if x.dim() == 2 else min(places)
        if self.window is not None and self.window > largest:
            reason = "a table's columns have no neighbours" if x.dim() == 2 else "it does not fit into the input"
            raise ValueError(
                f"Occlusion(window={self.window}) of samples of shape {tuple(x.shape[1:])}: {reason}. Set window to at "
                f"most {largest}, or None."
            )
        if self.window is not None:
            window = [self.window] * len(places)
        else:
            window = [1 if x.dim() == 2 else min(_WINDOW, size) for size in places]
        if self.stride > min(window):
            raise ValueError(
                f"Occlusion(window={min(window)}, stride={self.stride}) would leave features between the windows "
                "without a value. Set stride to at most window."
            )
        return window
