"""What training does to samples."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length
from torch import nn

from skaba.attribution import find_layer, unwrapped
from skaba.plotting._draws import draw
from skaba.plotting._images import Images
from skaba.plotting._panels import Array, Panels
from skaba.plotting._series import Series
from skaba.plotting._words import Words, spelled
from skaba.preprocessing import WordSequences


class AugmentationDisplay:
    """Samples before and after augmentation, with the maps that decided the change.

    One row a sample. An augmenter that asks for no map has no panels for the map and the categories.
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

    Attributes
    ----------
    samples, augmented, attributions, categories, n_categories, labels, words, channel_names
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
    ) -> None:
        self.samples = samples
        self.augmented = augmented
        self.attributions = attributions
        self.categories = categories
        self.n_categories = n_categories
        self.labels = labels
        self.words = words
        self.channel_names = channel_names
        self._panels()

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        n_samples: int = 5,
        random_state: int = 0,
        words: WordSequences | Sequence[str] | None = None,
        channel_names: Sequence[str] | None = None,
        figure: Any = None,
    ) -> AugmentationDisplay:
        """Augment samples as training does, and plot what happened.

        Every sample is augmented on its own by ``estimator.augment``. The map shown is the very
        one that moved it; a sample that the draw leaves alone was never asked about, so its map is
        what ``estimator.attribute`` gives for the augmenter's target.

        Parameters
        ----------
        estimator : ABAClassifier, ABARegressor or ABAMultiLabelClassifier
            Fitted, and augmenting its input (``layer=None``) or, of texts, the output of an
            ``nn.Embedding`` (``layer="embedding"``). It is left unchanged.
        X : array-like of shape (n, c, h, w), (n, channels, length) or (n, length)
            Images of 1 or 3 channels, series, or the word ids of texts.
        y : array-like of shape (n, ...)
            Their targets.
        n_samples : int, default=5
            At most so many of the first samples are shown.
        random_state : int, default=0
            Sample i is drawn for with ``random_state + i``.
        words : WordSequences or sequence of str, default=None
            The words of the ids, needed for texts and for them alone: what made the ids, or entry i
            for id i. An empty entry, and the embedding's ``padding_idx``, are padding.
        channel_names : sequence of str, default=None
            Names for the channels of series; by default their numbers.
        figure : matplotlib Figure or SubFigure, default=None
            Where to plot; by default a new figure.

        Returns
        -------
        AugmentationDisplay

        Raises
        ------
        ValueError
            If X holds no such samples, or the estimator augments a layer that is no embedding.
        TypeError
            If the estimator does not augment.
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
        _check_augments(estimator)
        inputs, targets = _first(X, y, n_samples)
        embedding = _embedding(estimator)
        spelling: Array | None = None
        if embedding is not None:
            spelling = spelled(_required(words), _checked_ids(inputs), embedding.padding_idx)
        elif words is not None:
            raise ValueError("words= is for texts, augmented at their embedding; this estimator has layer=None.")
        else:
            _kind(inputs)
        draws = draw(estimator, inputs, targets, random_state, channels=1 if embedding is None else -1)
        display = cls(
            samples=inputs if embedding is None else _features(estimator, inputs, targets),
            augmented=draws.augmented,
            attributions=draws.attributions,
            categories=draws.categories,
            n_categories=draws.n_categories,
            labels=targets if targets.ndim == 1 else None,
            words=spelling,
            channel_names=channel_names,
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
        check_consistent_length(self.samples, self.labels)
        _check_shapes(
            self.samples, augmented=self.augmented, attributions=self.attributions, categories=self.categories
        )
        given = self.samples, self.augmented, self.attributions, self.categories, self.n_categories, self.labels
        kind = Words if self.words is not None else _kind(self.samples)
        if self.channel_names is not None and kind is not Series:
            raise ValueError("channel_names= is for series, of shape (n, channels, length), alone.")
        if kind is Words:
            return Words(*given, words=np.asarray(self.words))
        return Series(*given, channel_names=self.channel_names) if kind is Series else Images(*given)


def _kind(samples: Array) -> type[Panels]:
    """Return what draws samples of a shape."""
    if len(samples) > 0 and samples.ndim == 3:
        return Series
    if len(samples) > 0 and samples.ndim == 4 and samples.shape[1] in (1, 3):
        return Images
    raise ValueError(
        f"The samples have shape {samples.shape}; AugmentationDisplay shows images, (n, 1, h, w) or (n, 3, h, w), "
        "series, (n, channels, length), and with layer= word ids, (n, length); at least one."
    )


def _check_shapes(samples: Array, **others: Array | None) -> None:
    for name, values in others.items():
        if values is not None and values.shape != samples.shape:
            raise ValueError(f"{name} has shape {values.shape}, but samples {samples.shape}; they must be alike.")


def _check_augments(estimator: Any) -> None:
    if not hasattr(estimator, "augment"):
        raise TypeError(
            f"A {type(estimator).__name__} does not augment; give a fitted ABAClassifier, ABARegressor or "
            "ABAMultiLabelClassifier. Of a pipeline give the last step, and X as the steps before it make it."
        )
    estimator.check_is_fitted()


def _first(X: ArrayLike, y: ArrayLike, n_samples: int) -> tuple[Array, Array]:
    if n_samples < 1:
        raise ValueError(f"n_samples={n_samples} shows nothing; it must be at least 1.")
    inputs, targets = np.asarray(X), np.asarray(y)
    check_consistent_length(inputs, targets)
    return inputs[:n_samples], targets[:n_samples]


def _embedding(estimator: Any) -> nn.Embedding | None:
    """Return the embedding whose output is augmented, or None where the input is."""
    if estimator.layer is None:
        return None
    layer = find_layer(unwrapped(estimator.module_), estimator.layer)
    if isinstance(layer, nn.Embedding):
        return layer
    raise ValueError(
        f"The estimator augments the output of layer={estimator.layer!r}, a {type(layer).__name__}, of which there is "
        "no picture; AugmentationDisplay shows augmented inputs, layer=None, and texts at their nn.Embedding."
    )


def _required(words: WordSequences | Sequence[str] | None) -> WordSequences | Sequence[str]:
    if words is None:
        raise ValueError("Texts need words=: the WordSequences that made the ids, or a sequence with entry i for id i.")
    return words


def _checked_ids(X: Array) -> Array:
    if X.ndim == 2 and X.size > 0 and np.issubdtype(X.dtype, np.integer):
        return X
    raise ValueError(
        f"X has shape {X.shape} and holds {X.dtype}; at an embedding AugmentationDisplay shows word ids, integers of "
        "shape (n, length), at least one."
    )


def _features(estimator: Any, X: Array, y: Array) -> Array:
    """Return the layer's output before augmentation."""
    estimator = copy.copy(estimator)
    estimator.strength = 0
    features: Array = estimator.augment(X, y)
    return features
