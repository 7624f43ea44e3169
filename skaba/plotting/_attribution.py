"""What a network looks at in samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text
from sklearn.utils import check_consistent_length

from skaba.plotting._captions import method_name, titles
from skaba.plotting._maps import ImageMaps, Maps, SeriesMaps, TableMaps, TextMaps
from skaba.plotting._panels import Array, add_bar, as_array, as_numbers, check_count
from skaba.plotting._shown import shown
from skaba.plotting._terminal import in_words
from skaba.preprocessing import WordSequences


class AttributionDisplay:
    """Samples with their signed attribution maps, one panel per sample.

    Red marks what speaks for the target, blue what speaks against it; colours mean the same in all
    panels. Make it with :meth:`from_estimator`. What a panel shows depends on the samples:

    * Images: the map over the image in light grey; colours fade where the map is near 0.
    * Series, for example ECGs: the channels, one below the other, each on a strip of its map.
    * Texts: the words, each on its colour.
    * Rows of a table: one bar per feature, the longest at the top, at most 20.

    Parameters
    ----------
    samples : array-like of shape (n, c, h, w), (n, channels, length), (n, length) or (n, features)
        Images of c = 1 or 3 channels; series; the words of texts, of dtype str, empty where there is
        padding; or rows of a table.
    attributions : array-like of the samples' shape; of texts also (n, length, dimension)
        Signed maps. Those of images are summed over the channels, those of texts over the dimensions.
    titles : sequence of str of length n, default=None
        Written above the panels.
    name : str, default="attribution"
        What the maps are, written at the colour bar.
    channel_names : sequence of str, default=None
        Names for the channels of series; by default their numbers.
    sampling_rate : float, default=None
        Steps per second of series, whose time axis is then in seconds; by default in steps.
    feature_names : sequence of str, default=None
        Names for the features of a table; by default their numbers.

    Attributes
    ----------
    samples, attributions, titles, name, channel_names, sampling_rate, feature_names
        As given.
    figure_ : matplotlib Figure or SubFigure
    axes_ : ndarray of Axes of shape (n,)

    Raises
    ------
    ValueError
        If the samples are of none of these kinds or more than 50, or something given does not fit them.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.plotting import AttributionDisplay
    >>> display = AttributionDisplay(
    ...     [["Puck", "in", "orbit", ""]], [[-0.2, 0.0, 0.9, 0.0]], titles=["class space"])
    >>> print(display.to_text())
    class space
    Puck in orbit
    strongest: orbit +0.9, Puck -0.2
    >>> display.plot().axes_.shape
    (1,)
    """

    def __init__(
        self,
        samples: Any,
        attributions: Any,
        *,
        titles: Sequence[str] | None = None,
        name: str = "attribution",
        channel_names: Sequence[str] | None = None,
        sampling_rate: float | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.samples = samples
        self.attributions = attributions
        self.titles = titles
        self.name = name
        self.channel_names = channel_names
        self.sampling_rate = sampling_rate
        self.feature_names = feature_names
        self._maps()

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        target: Any = None,
        attribution: Any = None,
        n_samples: int = 5,
        words: WordSequences | Sequence[str] | None = None,
        channel_names: Sequence[str] | None = None,
        sampling_rate: float | None = None,
        feature_names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> AttributionDisplay:
        """Ask a fitted estimator what it looks at, and plot it.

        Parameters
        ----------
        estimator : ABAClassifier, ABARegressor or ABAMultiLabelClassifier, Pipeline or search
            Fitted, or a fitted Pipeline or search that ends in one of these. For texts it explains the output of an
            ``nn.Embedding`` (``layer="embedding"``), for everything else its input (``layer=None``).
        X : array-like of n samples
            Images of 1 or 3 channels, series, word ids or rows of a table; for a Pipeline whatever its
            steps make these of, such as the texts themselves. What the net takes is shown.
        y : array-like of shape (n, ...), default=None
            The targets; without ``target`` the true class is explained, and where there is no one class
            the loss.
        target : callable, str or int, default=None
            What is explained, as in ``attribute``: a class of ``classes_``, the name or number of a column
            of y, ``FixedClass(2)``, ``"Loss"``, ... By default the predicted class.
        attribution : callable or str, default=None
            The method, or its name, such as ``"IntegratedGradients"``; by default the augmenter's own, or
            ``Gradient()``.
        n_samples : int, default=5
            Show at most the first ``n_samples`` samples; from 1 to 50.
        words : WordSequences or sequence of str, default=None
            The words of ids, for texts alone: what made the ids, or entry i for id i. A Pipeline with a
            ``WordSequences`` needs none, and shows the texts' own words.
        channel_names, sampling_rate
            As in the class.
        feature_names : sequence of str, default=None
            Names for the features of a table; by default those that a data frame or the Pipeline gives
            them, else their numbers.
        ax : matplotlib Axes or sequence of n of them, default=None
            Where to plot, one for each sample; by default a new figure.

        Returns
        -------
        AttributionDisplay

        Raises
        ------
        ValueError
            If X holds no such samples, there is no such method or target, y is of another length, or the
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
        >>> from skaba.plotting import AttributionDisplay
        >>> digits = load_digits("tiny")
        >>> clf = ABAClassifier(ConvNet, max_epochs=1, verbose=0).fit(digits.X_train, digits.y_train)
        >>> display = AttributionDisplay.from_estimator(clf, digits.X_test, target=3, n_samples=2)
        >>> [axis.get_title(loc="left") for axis in display.axes_]
        ['target 3', 'target 3']

        Texts, as a Pipeline takes them:

        >>> from sklearn.pipeline import make_pipeline
        >>> from skaba.datasets import make_messages
        >>> from skaba.modules import TextCNN
        >>> from skaba.preprocessing import WordSequences
        >>> texts, y, vectors = make_messages(30, random_state=0)
        >>> words = WordSequences(vectors, length=25)
        >>> clf = ABAClassifier(TextCNN, module__vectors=words.embedding_matrix(), module__n_classes=3,
        ...                     layer="embedding", max_epochs=1, verbose=0)
        >>> pipeline = make_pipeline(words, clf).fit(texts, y)
        >>> display = AttributionDisplay.from_estimator(pipeline, texts[:1])
        >>> display.print_text()                                                          # doctest: +SKIP
        """
        seen = shown(estimator, X, y, n_samples=n_samples, words=words)
        if seen.words is None:
            _kind(seen.X)
        is_table = seen.words is None and seen.X.ndim == 2
        display = cls(
            seen.X if seen.words is None else seen.words,
            seen.net.attribute(seen.X, seen.y, target=target, attribution=attribution),
            titles=titles(seen, target),
            name=f"attribution: {method_name(seen.net, attribution)}",
            channel_names=channel_names,
            sampling_rate=sampling_rate,
            feature_names=seen.names if feature_names is None and is_table else feature_names,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> AttributionDisplay:
        """Plot one panel per sample, and the colour bar.

        Colours are symmetric about 0, white at 0, and reach to the largest value of all samples; for series,
        the largest 1 % of values exceed them.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of n of them, default=None
            By default those of a new figure.

        Returns
        -------
        AttributionDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there is not one Axes per sample.
        """
        maps = self._maps()
        self.axes_ = _new_axes(maps) if ax is None else _given_axes(ax, len(maps.samples))
        self.figure_ = self.axes_[0].figure
        for index, axis in enumerate(self.axes_):
            maps.draw(axis, index)
            if self.titles is not None:
                axis.set_title(self.titles[index], fontsize="medium", loc="left")
        if isinstance(maps, TableMaps):
            self.axes_[-1].set_xlabel("\n".join(filter(None, [maps.rest(), self.name])), fontsize="small")
            return self
        place: dict[str, Any] = {
            "ax": list(self.axes_),
            "location": "bottom",
            "aspect": 40,
            "fraction": 0.05,
            "pad": 0.02,
        }
        add_bar(self.figure_, maps.colours, self.name, extend="both" if maps.clips else "neither", **place)
        return self

    def to_text(self) -> Text:
        """Return the maps as text for a terminal: words and cells on their colours, tables as bars.

        Signs and strongest words are written too, so that it can be read without colours.

        Returns
        -------
        rich.text.Text
            ``print`` shows it plain, ``rich.print`` with its colours.
        """
        maps = self._maps()
        text = Text()
        for index in range(len(maps.samples)):
            if self.titles is not None:
                text.append(f"{self.titles[index]}\n", style="bold")
            text.append_text(in_words(maps, index))
        text.rstrip()
        return text

    def print_text(self, console: Console | None = None) -> None:
        """Print the maps to a terminal, in colour where it has any.

        Parameters
        ----------
        console : rich.console.Console, default=None
            Where to print; by default the standard output.
        """
        (console or Console()).print(self.to_text())

    def _maps(self) -> Maps:
        """Check what was given, and return what draws samples of this kind."""
        samples, values = as_array(self.samples), as_numbers(self.attributions, "attributions")
        kind = _kind(samples)
        check_count(len(samples))
        if kind is not TextMaps:
            samples = as_numbers(samples, "samples")
        if self.titles is not None:
            check_consistent_length(samples, self.titles)
        own: dict[Any, dict[str, Any]] = {
            SeriesMaps: {"channel_names": self.channel_names, "sampling_rate": self.sampling_rate},
            TableMaps: {"feature_names": self.feature_names},
        }
        _check_options(kind, own)
        if kind is TextMaps and values.ndim == 3:
            values = values.sum(axis=-1)
        if values.shape != samples.shape:
            raise ValueError(f"attributions has shape {values.shape}, but samples {samples.shape}; they must be alike.")
        if kind is ImageMaps:
            values = values.sum(axis=1)
        return kind(samples, values, **own.get(kind, {}))


def _kind(samples: Array) -> type[Maps]:
    """Return what draws samples of a shape."""
    if samples.dtype.kind == "U" and samples.ndim == 2 and samples.size:
        return TextMaps
    kinds: dict[int, type[Maps]] = {2: TableMaps, 3: SeriesMaps, 4: ImageMaps}
    is_image = samples.ndim == 4 and samples.shape[1] in (1, 3)
    if samples.size and samples.dtype.kind != "U" and (samples.ndim in (2, 3) or is_image):
        return kinds[samples.ndim]
    raise ValueError(
        f"The samples have shape {samples.shape} and hold {samples.dtype}; AttributionDisplay shows images, "
        "(n, 1, h, w) or (n, 3, h, w), series, (n, channels, length), rows of a table, (n, features), and the words "
        "of texts, (n, length); at least one sample."
    )


def _check_options(kind: type[Maps], own: dict[Any, dict[str, Any]]) -> None:
    """Raise a ValueError for what was given and means nothing for samples of this kind."""
    for of, options in own.items():
        wrong = [name for name, value in options.items() if value is not None and of is not kind]
        if wrong:
            what = "series" if of is SeriesMaps else "rows of a table"
            raise ValueError(f"{wrong[0]}= is for {what} alone; drop it.")


def _new_axes(maps: Maps) -> Array:
    import matplotlib.pyplot as plt  # noqa: PLC0415 (heavy; only who plots should pay for it)

    layout = "compressed" if isinstance(maps, ImageMaps) else "constrained"  # the former leaves images no gaps
    figure = plt.figure(figsize=maps.size, layout=layout)
    grid = figure.add_gridspec(len(maps.heights), maps.n_columns, height_ratios=maps.heights)
    return np.array([figure.add_subplot(grid[divmod(i, maps.n_columns)]) for i in range(len(maps.samples))])


def _given_axes(ax: Any, n_samples: int) -> Array:
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(axes) != n_samples:
        raise ValueError(
            f"ax holds {len(axes)} Axes, but there are {n_samples} samples; give one Axes for each, or show fewer "
            f"samples with n_samples={len(axes)}."
        )
    return axes
