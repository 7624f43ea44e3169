"""What training does to samples."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length

from skaba.plotting._draws import draw
from skaba.plotting._images import Images
from skaba.plotting._panels import Array, Panels, as_array, as_numbers, check_count
from skaba.plotting._series import Series
from skaba.plotting._shown import shown
from skaba.plotting._words import Words
from skaba.preprocessing import WordSequences


class AugmentationDisplay:
    """Samples before and after augmentation, with the maps that decided the change.

    One row per sample. An augmenter that asks for no map has no panels for the map and the categories.
    Make it with :meth:`from_estimator`. What the panels show depends on the samples:

    * Images: the sample, its signed attribution map, the categories that the map was cut into, the
      augmented sample, and the difference.
    * Series, for example ECGs: the channels, one below the other, each on a strip of its map; on a
      strip of its categories; and the augmented series over the sample, on a strip of the difference.
    * Texts, augmented at their embedding: the words, coloured by the map's sum over the dimensions, and
      below by how far each moved. Padding is left out, and so is what exceeds a dozen lines.

    Parameters
    ----------
    samples, augmented : ndarray of shape (n, c, h, w), (n, channels, length) or (n, length, dimension)
        Images of c = 1 or 3 channels; series; or, with ``words``, embedded texts.
    attributions : ndarray of the samples' shape, default=None
        Signed maps.
    categories : ndarray of int of the samples' shape, default=None
        0 is the lowest. Not drawn for texts.
    n_categories : int, default=1
        How many there are, also of those that no feature is in.
    labels : array-like of shape (n,), default=None
        Written beside the rows.
    words : array-like of str of shape (n, length), default=None
        The words of texts, empty where there is padding.
    channel_names : sequence of str, default=None
        Names for the channels of series; by default their numbers.
    sampling_rate : float, default=None
        Steps per second of series, whose time axis is then in seconds; by default in steps.

    Attributes
    ----------
    samples, augmented, attributions, categories, n_categories, labels, words, channel_names, sampling_rate
        As given.
    figure_ : matplotlib Figure or SubFigure
    axes_ : ndarray of Axes of shape (n, n_panels)
        The panels of a text lie one below the other, those of all else side by side.

    Raises
    ------
    ValueError
        If the samples are of none of these kinds, or something given does not fit them.

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
        words: ArrayLike | None = None,
        channel_names: Sequence[str] | None = None,
        sampling_rate: float | None = None,
    ) -> None:
        self.samples = samples
        self.augmented = augmented
        self.attributions = attributions
        self.categories = categories
        self.n_categories = n_categories
        self.labels = labels
        self.words = words
        self.channel_names = channel_names
        self.sampling_rate = sampling_rate
        self._panels()

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        n_samples: int = 5,
        random_state: int = 0,
        words: WordSequences | Sequence[str] | None = None,
        channel_names: Sequence[str] | None = None,
        sampling_rate: float | None = None,
        figure: Any = None,
    ) -> AugmentationDisplay:
        """Augment samples as training does, and plot what happened.

        Every sample is augmented on its own by ``estimator.augment``. The map shown is the very
        one that moved it; a sample that the draw leaves alone was never asked about, so its map is
        what ``estimator.attribute`` gives for the augmenter's target.

        Parameters
        ----------
        estimator : ABAClassifier, ABARegressor or ABAMultiLabelClassifier, Pipeline or search
            Fitted, or a Pipeline or a search that ends in such a one. It augments its input (``layer=None``)
            or, of texts, the output of an ``nn.Embedding`` (``layer="embedding"``). It is left unchanged.
        X : array-like of shape (n, c, h, w), (n, channels, length) or (n, length), or sequence of str
            Images of 1 or 3 channels, series, or the word ids of texts; for a Pipeline whatever its steps
            make these of, such as the texts themselves.
        y : array-like of shape (n, ...), default=None
            Their targets. An augmenter that explains the true class or the loss needs them.
        n_samples : int, default=5
            At most so many of the first samples are shown, from 1 to 50.
        random_state : int, default=0
            Sample i is drawn for with ``random_state + i``.
        words : WordSequences or sequence of str, default=None
            The words of the ids, for texts alone: what made the ids, or entry i for id i. An empty entry,
            and the embedding's ``padding_idx``, are padding. A Pipeline with a ``WordSequences`` needs none,
            and shows the texts' own words.
        channel_names : sequence of str, default=None
            Names for the channels of series; by default their numbers.
        sampling_rate : float, default=None
            Steps per second of series, whose time axis is then in seconds; by default in steps.
        figure : matplotlib Figure or SubFigure, default=None
            Where to plot; by default a new figure.

        Returns
        -------
        AugmentationDisplay

        Raises
        ------
        ValueError
            If X holds no such samples, y is missing where it is needed or of another length, or the
            estimator augments a layer that is no embedding.
        TypeError
            If the estimator is not one of ours, or X is a Dataset or a mapping.
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

        Texts:

        >>> from skaba.datasets import make_messages
        >>> from skaba.modules import TextCNN
        >>> from skaba.preprocessing import WordSequences
        >>> texts, y, vectors = make_messages(30, random_state=0)
        >>> words = WordSequences(vectors, length=25)
        >>> X = words.fit_transform(texts)
        >>> clf = ABAClassifier(TextCNN, module__vectors=words.embedding_matrix(), module__n_classes=3,
        ...                     layer="embedding", max_epochs=1, verbose=0).fit(X, y)
        >>> AugmentationDisplay.from_estimator(clf, X, y, n_samples=3, words=words).axes_.shape
        (3, 2)
        """
        seen = shown(estimator, X, y, n_samples=n_samples, words=words)
        if seen.words is None:
            _kind(seen.X)
        draws = draw(seen.net, seen.X, seen.y, random_state, channels=1 if seen.words is None else -1)
        display = cls(
            samples=seen.X if seen.words is None else _features(seen.net, seen.X, seen.y),
            augmented=draws.augmented,
            attributions=draws.attributions,
            categories=draws.categories,
            n_categories=draws.n_categories,
            labels=seen.y if seen.y is not None and seen.y.ndim == 1 else None,
            words=seen.words,
            channel_names=channel_names,
            sampling_rate=sampling_rate,
        )
        return display.plot(figure=figure)

    def plot(self, *, figure: Any = None) -> AugmentationDisplay:
        """Plot the panels.

        Colours mean the same in all rows. Maps and differences have limits that are symmetric about 0; of
        series the highest hundredth of the map exceeds them. Images and augmented images share their limits;
        of 3 channels the maps are summed and the differences averaged, and categories are mixed as colours.
        Texts keep a font size, so a figure given for them must be high enough.

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

        panels = self._panels()
        self.figure_ = plt.figure(figsize=panels.size, layout="constrained") if figure is None else figure
        self.axes_ = panels.plot(self.figure_)
        return self

    def _panels(self) -> Panels:
        """Return what draws samples of this kind."""
        samples, augmented = as_numbers(self.samples, "samples"), as_numbers(self.augmented, "augmented")
        attributions = None if self.attributions is None else as_numbers(self.attributions, "attributions")
        categories = None if self.categories is None else as_numbers(self.categories, "categories")
        _check_shapes(samples, augmented=augmented, attributions=attributions, categories=categories)
        kind = Words if self.words is not None else _kind(samples)
        check_count(len(samples))
        if self.labels is not None:
            check_consistent_length(samples, self.labels)
        if kind is not Series and (self.channel_names is not None or self.sampling_rate is not None):
            raise ValueError("channel_names= and sampling_rate= are for series, of shape (n, channels, length), alone.")
        given = samples, augmented, attributions, categories, self.n_categories, self.labels
        if kind is Words:
            return Words(*given, words=as_array(self.words))
        return Series(*given, self.channel_names, self.sampling_rate) if kind is Series else Images(*given)


def _kind(samples: Array) -> type[Panels]:
    """Return what draws samples of a shape."""
    if len(samples) > 0 and samples.ndim == 3:
        return Series
    if len(samples) > 0 and samples.ndim == 4 and samples.shape[1] in (1, 3):
        return Images
    raise ValueError(
        f"The samples have shape {samples.shape}; AugmentationDisplay shows images, (n, 1, h, w) or (n, 3, h, w), "
        "series, (n, channels, length), and with layer= word ids, (n, length); at least one sample."
    )


def _check_shapes(samples: Array, **others: Array | None) -> None:
    for name, values in others.items():
        if values is not None and values.shape != samples.shape:
            raise ValueError(f"{name} has shape {values.shape}, but samples {samples.shape}; they must be alike.")


def _features(net: Any, X: Array, y: Any) -> Array:
    """Return the layer's output before augmentation."""
    net = copy.copy(net)
    net.strength = 0
    features: Array = net.augment(X, y)
    return features
