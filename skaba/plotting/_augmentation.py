"""What training does to samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length

from skaba.plotting._checks import Array, as_array, as_numbers, check_count
from skaba.plotting._draws import Draws, draw
from skaba.plotting._images import Images
from skaba.plotting._kinds import Augmentable
from skaba.plotting._layers import Layer
from skaba.plotting._matplotlib import matplotlib
from skaba.plotting._series import Series
from skaba.plotting._shown import shown
from skaba.plotting._texts import Texts
from skaba.preprocessing import WordSequences


@dataclass(eq=False, repr=False)
class AugmentationDisplay:
    """Samples before and after augmentation, with the maps that decided the change.

    One row per sample. Augmenters that use no attribution map have no panels for the map and the categories.
    Make it with :meth:`from_estimator`. What the panels show depends on the samples:

    * Images: the sample, its signed attribution map, the categories of the map, the augmented sample, and the
      difference.
    * Series, for example ECGs: the channels, one below the other, each on a strip of its map; the same on strips
      of the categories; and the augmented series over the sample, on strips of the difference.
    * Texts, augmented at their embedding: the words, coloured by the map's sum over the dimensions, and
      below them the same words, coloured by how far each word moved. Padding is left out; texts are cut after a
      dozen lines.

    Parameters
    ----------
    samples, augmented : array-like of shape (n, c, h, w), (n, channels, length) or (n, length, dimension)
        Images of c = 1 or 3 channels; series; or, with ``words``, embedded texts.
    attributions : array-like of the samples' shape, default=None
        Signed maps.
    categories : array-like of int of the samples' shape, default=None
        0 is the lowest. Not drawn for texts.
    n_categories : int, default=1
        The number of categories, including those without features.
    labels : array-like of shape (n,), default=None
        Written beside the rows.
    words : array-like of str of shape (n, length), default=None
        The words of texts, empty where there is padding.
    channel_names : sequence of str, default=None
        Names of the channels of series; by default their numbers.
    sampling_rate : float, default=None
        Time steps per second of series, whose time axis is then in seconds; by default in steps.

    Attributes
    ----------
    samples, augmented, attributions, categories, n_categories, labels, words, channel_names, sampling_rate
        As given.
    figure_ : matplotlib Figure or SubFigure
    axes_ : ndarray of Axes of shape (n, n_panels)
        The panels of a text are drawn one below the other, all others side by side.

    Raises
    ------
    ValueError
        If the samples are of none of these kinds, or an argument does not fit them.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.plotting import AugmentationDisplay
    >>> samples = np.zeros((2, 1, 8, 8))
    >>> display = AugmentationDisplay(samples=samples, augmented=samples + 0.1).plot()
    >>> [axes.get_title() for axes in display.axes_[0]]
    ['sample', 'augmented', 'difference']
    """

    _: KW_ONLY
    samples: Any
    augmented: Any
    attributions: Any = None
    categories: Any = None
    n_categories: int = 1
    labels: ArrayLike | None = None
    words: ArrayLike | None = None
    channel_names: Sequence[str] | None = None
    sampling_rate: float | None = None

    def __post_init__(self) -> None:
        self._checked()

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

        ``estimator.augment`` augments each sample by itself. The map shown is the one that decided the change. If
        the augmenter did not change the sample and therefore computed no map, the display shows the map that
        ``estimator.attribute`` returns for the augmenter's target.

        Parameters
        ----------
        estimator : ABAClassifier, ABARegressor or ABAMultiLabelClassifier, Pipeline or search
            Fitted; a Pipeline or search must end in one of these. For texts it must augment the output of an
            ``nn.Embedding`` (``layer="embedding"``), for all other samples its input (``layer=None``). It is not
            changed.
        X : array-like of shape (n, c, h, w), (n, channels, length) or (n, length), or sequence of str
            Images of 1 or 3 channels, series, or the word ids of texts. For a Pipeline, X is what its first step
            takes, such as the texts themselves.
        y : array-like of shape (n, ...), default=None
            The targets; needed by augmenters that explain the true class or the loss.
        n_samples : int, default=5
            Show at most the first ``n_samples`` samples; from 1 to 50.
        random_state : int, default=0
            Sample i is augmented with the seed ``random_state + i``.
        words : WordSequences or sequence of str, default=None
            The words of word ids: the ``WordSequences`` that made the ids, or a sequence whose entry i is the
            word of id i. Empty words and the embedding's ``padding_idx`` are padding. A Pipeline with a
            ``WordSequences`` does not need it, and shows the words as written.
        channel_names, sampling_rate
            As in the class.
        figure : matplotlib Figure or SubFigure, default=None
            Where to draw; by default a new figure.

        Returns
        -------
        AugmentationDisplay

        Raises
        ------
        ValueError
            If X does not hold such samples, y is missing where it is needed or has another length, or the
            estimator augments a layer that is not an embedding.
        TypeError
            If the estimator is not a skaba estimator, or X is a Dataset or a mapping.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ImportError
            If matplotlib is not installed.

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
        matplotlib()  # if it is missing, fail before the maps are computed
        seen = shown(estimator, X, y, n_samples=n_samples, words=words)
        if seen.words is None:
            _kind_of(seen.X)  # other samples are refused before the maps are computed
        draws = draw(seen.net, seen.X, seen.y, random_state, channel_axis=1 if seen.words is None else -1)
        display = cls(
            **vars(draws),  # dataclasses.asdict would copy the arrays
            # Several targets per sample have no short label.
            labels=seen.y if seen.y is not None and seen.y.ndim == 1 else None,
            words=seen.words,
            channel_names=channel_names,
            sampling_rate=sampling_rate,
        )
        return display.plot(figure=figure)

    def plot(self, *, figure: Any = None) -> AugmentationDisplay:
        """Draw the panels.

        A colour means the same in all rows. Maps and differences have limits that are symmetric about 0; for
        series, the map's limits reach to its quantile 0.99. Images and augmented images share their limits. For 3
        channels the maps are summed, the differences averaged, and the categories mixed as colours.
        Texts have a fixed font size, so a figure for them must be high enough.

        Parameters
        ----------
        figure : matplotlib Figure or SubFigure, default=None
            By default a new figure of fitting size.

        Returns
        -------
        AugmentationDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        kind, layers = self._checked()
        size = kind.size(len(layers))
        self.figure_ = matplotlib().figure(figsize=size, layout="constrained") if figure is None else figure
        n_samples = len(kind.samples)
        labels = [""] * n_samples if self.labels is None else [f"label {label}" for label in np.asarray(self.labels)]
        self.axes_ = kind.plot(self.figure_, layers, labels)
        return self

    def _checked(self) -> tuple[Augmentable, list[Layer]]:
        """Check the parameters, and return the samples and the layers that show them."""
        given = {name: getattr(self, name) for name in ("samples", "augmented", "attributions", "categories")}
        arrays: list[Any] = [None if values is None else as_numbers(values, name) for name, values in given.items()]
        samples, augmented, attributions, categories = arrays
        for name, values in zip(given, arrays, strict=True):
            if values is not None and values.shape != samples.shape:
                raise ValueError(
                    f"{name} has shape {values.shape}, but samples {samples.shape}; the shapes must be the same."
                )
        kind = self._kind(samples)
        check_count(len(samples))
        if self.labels is not None:
            check_consistent_length(samples, self.labels)
        return kind, kind.layers(Draws(samples, augmented, attributions, categories, self.n_categories))

    def _kind(self, samples: Array) -> Augmentable:
        """Check the parameters of one kind of samples, and return what draws them."""
        kind = Texts if self.words is not None else _kind_of(samples)
        if kind is Series:
            return Series(samples, self.channel_names, self.sampling_rate)
        if self.channel_names is not None or self.sampling_rate is not None:
            raise ValueError("channel_names= and sampling_rate= are for series, of shape (n, channels, length), alone.")
        if kind is Images:
            return Images(samples)
        words = as_array(self.words)
        if samples.ndim != 3 or words.shape != samples.shape[:2]:
            raise ValueError(
                f"words has shape {words.shape}, samples {samples.shape}; texts need words of shape (n, length), empty "
                "where there is padding, and samples of shape (n, length, dimension)."
            )
        return Texts(words)


def _kind_of(samples: Array) -> type[Augmentable]:
    """Return the kind of samples that are not texts."""
    if samples.size and samples.ndim == 3:
        return Series
    if samples.size and samples.ndim == 4 and samples.shape[1] in (1, 3):
        return Images
    raise ValueError(
        f"The samples have shape {samples.shape}; AugmentationDisplay shows images, (n, 1, h, w) or (n, 3, h, w), "
        "series, (n, channels, length), and with layer= word ids, (n, length); at least one sample."
    )
