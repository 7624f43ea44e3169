"""What training does to samples."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Array = NDArray[Any]

CATEGORY_NAMES = {1: ["all"], 2: ["low", "high"], 3: ["low", "middle", "high"]}


class AugmentationDisplay:
    """Images before and after augmentation, with the maps that decided the change.

    One row a sample: the sample, its signed attribution map, the categories that the map was cut
    into, the augmented sample, and the difference. An augmenter that asks for no map has no columns
    for the map and the categories. Make it with :meth:`from_estimator`.

    Parameters
    ----------
    samples, augmented : ndarray of shape (n, c, h, w)
        Images of c = 1 or 3 channels.
    attributions : ndarray of shape (n, c, h, w), default=None
        Signed maps.
    categories : ndarray of int of shape (n, c, h, w), default=None
        0 is the lowest.
    n_categories : int, default=1
        How many there are, also of those that no feature is in.
    labels : array-like of shape (n,), default=None
        Written beside the rows.

    Attributes
    ----------
    samples, augmented, attributions, categories, n_categories, labels
        As given.
    figure_ : matplotlib Figure or SubFigure
    axes_ : ndarray of Axes of shape (n, n_columns)

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.plotting import AugmentationDisplay
    >>> samples = np.zeros((2, 1, 8, 8))
    >>> display = AugmentationDisplay(samples=samples, augmented=samples + 0.1).plot()
    >>> [axes.get_title() for axes in display.axes_[0]]
    ['sample', 'augmented', 'difference']
    """

    def __init__(
        self,
        *,
        samples: Array,
        augmented: Array,
        attributions: Array | None = None,
        categories: Array | None = None,
        n_categories: int = 1,
        labels: ArrayLike | None = None,
    ) -> None:
        self.samples = samples
        self.augmented = augmented
        self.attributions = attributions
        self.categories = categories
        self.n_categories = n_categories
        self.labels = labels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        n_samples: int = 5,
        random_state: int = 0,
        figure: Any = None,
    ) -> AugmentationDisplay:
        """Augment samples as training does, and plot what happened.

        Every sample is augmented on its own by ``estimator.augment``. The map shown is the very
        one that moved it; a sample that the draw leaves alone was never asked about, so its map is
        what ``estimator.attribute`` gives for the augmenter's target.

        Parameters
        ----------
        estimator : ABAClassifier, ABARegressor or ABAMultiLabelClassifier
            Fitted, and augmenting its input (``layer=None``). It is left unchanged.
        X : array-like of shape (n, c, h, w)
            Images of 1 or 3 channels.
        y : array-like of shape (n, ...)
            Their targets.
        n_samples : int, default=5
            At most so many of the first samples are shown.
        random_state : int, default=0
            Sample i is drawn for with ``random_state + i``.
        figure : matplotlib Figure or SubFigure, default=None
            Where to plot; by default a new figure.

        Returns
        -------
        AugmentationDisplay

        Raises
        ------
        ValueError
            If X holds no such images, or the estimator augments a hidden layer.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from skaba import ABAClassifier
        >>> from skaba.datasets import load_digits
        >>> from skaba.modules import ConvNet
        >>> from skaba.plotting import AugmentationDisplay
        >>> digits = load_digits("tiny")
        >>> clf = ABAClassifier(ConvNet, max_epochs=1, verbose=0).fit(digits.X_train, digits.y_train)
        >>> display = AugmentationDisplay.from_estimator(clf, digits.X_train, digits.y_train)
        >>> display.axes_.shape
        (5, 5)
        """
        images = _check_images(X)[:n_samples]
        targets = np.asarray(y)[:n_samples]
        if getattr(estimator, "layer", None) is not None:
            raise ValueError(
                f"The estimator augments the output of layer={estimator.layer!r}, which is no image; "
                "AugmentationDisplay shows augmented inputs, layer=None."
            )
        draws = [_draw(estimator, images[[i]], targets[[i]], random_state + i) for i in range(len(images))]
        maps = [draw.attribution for draw in draws if draw.attribution is not None]
        attributions = np.concatenate(maps) if maps else None
        selection: Any = getattr(estimator.augmenter_, "selection", None)
        known = attributions is not None and selection is not None
        display = cls(
            samples=images,
            augmented=np.concatenate([draw.augmented for draw in draws]),
            attributions=attributions,
            categories=selection.categories(torch.from_numpy(attributions)).numpy() if known else None,
            n_categories=selection.n_categories if known else 1,
            labels=targets if targets.ndim == 1 else None,
        )
        return display.plot(figure=figure)

    def plot(self, *, figure: Any = None) -> AugmentationDisplay:
        """Plot the panels.

        Samples and augmented samples share their colour limits over all rows; maps and differences
        have limits of their own, symmetric about 0. Of 3 channels the maps are summed and
        the differences averaged, and categories are mixed as colours.

        Parameters
        ----------
        figure : matplotlib Figure or SubFigure, default=None
            By default a new figure of fitting size.

        Returns
        -------
        AugmentationDisplay
            Itself, with ``figure_`` and ``axes_``.
        """
        import matplotlib.pyplot as plt  # noqa: PLC0415 (heavy; only who plots should pay for it)

        columns = self._columns()
        shape = len(self.samples), len(columns)
        if figure is None:
            figure = plt.figure(figsize=(1.7 * shape[1] + 0.4, 1.6 * shape[0] + 0.9), layout="constrained")
        self.figure_ = figure
        self.axes_ = figure.subplots(*shape, squeeze=False)
        for axes, column in zip(self.axes_.T, columns, strict=True):
            _draw_column(figure, axes, column)
        if self.labels is not None:
            for axis, label in zip(self.axes_[:, 0], np.asarray(self.labels), strict=True):
                axis.set_ylabel(f"label {label}")
        return self

    def _columns(self) -> list[_Column]:
        lowest = float(min(self.samples.min(), self.augmented.min()))
        highest = float(max(self.samples.max(), self.augmented.max()))
        columns = [_picture_column("sample", self.samples, lowest, highest)]
        if self.attributions is not None:
            columns.append(_signed_column("attribution", self.attributions.sum(axis=1), "RdBu_r", "score / value"))
        if self.categories is not None:
            columns.append(_category_column(self.categories, self.n_categories))
        columns.append(_picture_column("augmented", self.augmented, lowest, highest))
        difference = (self.augmented - self.samples).mean(axis=1)
        return [*columns, _signed_column("difference", difference, "PuOr_r", "value", empty="unchanged")]


@dataclass
class _Column:
    """Pictures of shape (n, h, w) or (n, h, w, 3), and how to colour them."""

    title: str
    pictures: Array
    cmap: Any
    limits: tuple[float, float]
    bar: str
    ticks: list[str] | None = None
    empty: str | None = None


@dataclass
class _Draw:
    """One sample's augmentation."""

    augmented: Array
    attribution: Array | None


class _Watched:
    """An attribution method that keeps the last map that it gave."""

    def __init__(self, method: Callable[..., Tensor]) -> None:
        self.method = method
        self.last: Array | None = None

    def __call__(self, model: Any, x: Tensor, y: Tensor | None = None, **arguments: Any) -> Tensor:
        attribution = self.method(model, x, y, **arguments)
        self.last = attribution.cpu().numpy()
        return attribution


def _draw(estimator: Any, x: Array, y: Array, seed: int) -> _Draw:
    """Augment one sample, and keep the map that training would have asked for.

    One at a time: ``attribute`` could not repeat the augmenter's own draw of a target class.
    """
    estimator = copy.copy(estimator)
    estimator.random_state = seed
    augmenter: Any = getattr(estimator, "augmenter_", None)
    if not hasattr(augmenter, "attribution"):
        return _Draw(estimator.augment(x, y), None)
    watched = _Watched(augmenter.attribution)
    estimator.augmenter_ = copy.copy(augmenter)
    estimator.augmenter_.attribution = watched
    augmented = estimator.augment(x, y)
    if watched.last is not None:
        return _Draw(augmented, watched.last)
    target = getattr(augmenter, "target", None)
    return _Draw(augmented, estimator.attribute(x, y, attribution=augmenter.attribution, target=target))


def _check_images(X: ArrayLike) -> Array:
    images = np.asarray(X)
    if images.ndim == 4 and images.shape[1] in (1, 3) and len(images) > 0:
        return images
    raise ValueError(
        f"X has shape {images.shape}; AugmentationDisplay shows images, (n, 1, h, w) or (n, 3, h, w), at least one."
    )


def _as_pictures(images: Array, lowest: float, highest: float) -> Array:
    """Drop the channel of grey images; put colours last and onto [0, 1]."""
    if images.shape[1] == 1:
        return images[:, 0]
    pictures: Array = np.moveaxis(images, 1, -1)
    return (pictures - lowest) / ((highest - lowest) or 1)


def _picture_column(title: str, images: Array, lowest: float, highest: float) -> _Column:
    return _Column(title, _as_pictures(images, lowest, highest), "gray", (lowest, highest), "value")


def _signed_column(title: str, pictures: Array, cmap: str, bar: str, empty: str | None = None) -> _Column:
    limit = float(np.abs(pictures).max()) or 1.0
    return _Column(title, pictures, cmap, (-limit, limit), bar, empty=empty)


def _category_column(categories: Array, n_categories: int) -> _Column:
    import matplotlib  # noqa: PLC0415

    pictures = _as_pictures(categories, 0, n_categories - 1)
    names = CATEGORY_NAMES.get(n_categories, [str(index) for index in range(n_categories)])
    cmap = matplotlib.colormaps["viridis"].resampled(n_categories)
    return _Column("categories", pictures, cmap, (-0.5, n_categories - 0.5), "", names)


def _draw_column(figure: Any, axes: Array, column: _Column) -> None:
    axes[0].set_title(column.title, fontsize="medium")
    for axis, picture in zip(axes, column.pictures, strict=True):
        image = axis.imshow(picture, cmap=column.cmap, vmin=column.limits[0], vmax=column.limits[1])
        axis.set(xticks=[], yticks=[])
        if column.empty and not picture.any():
            axis.text(0.5, 0.5, column.empty, transform=axis.transAxes, ha="center", va="center", size="small")
    if column.pictures.ndim == 4:
        return
    bar = figure.colorbar(image, ax=list(axes), location="bottom", fraction=0.06, pad=0.03, aspect=14)
    bar.set_label(column.bar, fontsize="small")
    bar.ax.tick_params(labelsize="x-small")
    if column.ticks is None:
        bar.ax.locator_params(nbins=3)
    else:
        bar.set_ticks(list(range(len(column.ticks))), labels=column.ticks)
