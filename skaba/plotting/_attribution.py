"""What a network looks at in samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, fields
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.utils import check_consistent_length

from skaba.estimators import ABAMultiLabelClassifier
from skaba.plotting._checks import Array, as_array, as_numbers, check_count
from skaba.plotting._images import Images
from skaba.plotting._kinds import Kind
from skaba.plotting._layers import Layer
from skaba.plotting._matplotlib import matplotlib
from skaba.plotting._series import Series
from skaba.plotting._shown import Shown, shown
from skaba.plotting._table import Table
from skaba.plotting._texts import Texts
from skaba.preprocessing import WordSequences

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


@dataclass(eq=False, repr=False)
class AttributionDisplay:
    """Samples with their signed attribution maps, one panel per sample.

    Red marks what speaks for the target, blue what speaks against it; a colour means the same in all
    panels. Make it with :meth:`from_estimator`. What a panel shows depends on the samples:

    * Images: the map over the image in light grey; colours fade where the map is near 0.
    * Series, for example ECGs: the channels, one below the other, each on a strip of its map.
    * Texts: the words, each on its colour.
    * Rows of a table: one bar per feature, the longest at the top, at most 20.

    Parameters
    ----------
    samples : array-like of shape (n, c, h, w), (n, channels, length), (n, length) or (n, features)
        Images of c = 1 or 3 channels; series; the words of texts, of dtype str and empty where there is
        padding; or rows of a table.
    attributions : array-like of the samples' shape; for texts also (n, length, dimension)
        Signed maps. Maps of images are summed over the channels, maps of texts over the dimensions.
    titles : sequence of str of length n, default=None
        Written above the panels.
    name : str, default="attribution"
        What the maps are; written at the colour bar.
    channel_names : sequence of str, default=None
        Names of the channels of series; by default their numbers.
    sampling_rate : float, default=None
        Time steps per second of series, whose time axis is then in seconds; by default in steps.
    feature_names : sequence of str, default=None
        Names of the features of a table; by default their numbers.

    Attributes
    ----------
    samples, attributions, titles, name, channel_names, sampling_rate, feature_names
        As given.
    figure_ : matplotlib Figure or SubFigure
    axes_ : ndarray of Axes of shape (n,)

    Raises
    ------
    ValueError
        If the samples are of none of these kinds, there are more than 50, or an argument does not fit them.

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

    samples: Any
    attributions: Any
    _: KW_ONLY
    titles: Sequence[str] | None = None
    name: str = "attribution"
    channel_names: Sequence[str] | None = None
    sampling_rate: float | None = None
    feature_names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        self._checked()  # here, so that the traceback shows the call with the wrong argument

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
        """Plot the attribution maps of a fitted estimator.

        Parameters
        ----------
        estimator : ABAClassifier, ABARegressor or ABAMultiLabelClassifier, Pipeline or search
            Fitted; a Pipeline or search must end in one of these. For texts it must explain the output of an
            ``nn.Embedding`` (``layer="embedding"``), for all other samples its input (``layer=None``).
        X : array-like of n samples
            Images of 1 or 3 channels, series, word ids or rows of a table. For a Pipeline, X is what its first
            step takes, such as the texts themselves; the display shows what the net takes.
        y : array-like of shape (n, ...), default=None
            The targets. Without ``target``, the maps then explain the true class; for multi-label
            classifiers and regressors, the loss.
        target : callable, str or int, default=None
            What the maps explain, as in ``attribute``: a class of ``classes_``, the name or number of a column
            of y, ``FixedClass(2)``, ``"Loss"``, ... By default the predicted class.
        attribution : callable or str, default=None
            The method or its name, such as ``"IntegratedGradients"``; by default the augmenter's method, or
            ``Gradient()``.
        n_samples : int, default=5
            Show at most the first ``n_samples`` samples; from 1 to 50.
        words : WordSequences or sequence of str, default=None
            The words of word ids: the ``WordSequences`` that made the ids, or a sequence whose entry i is the
            word of id i. A Pipeline with a ``WordSequences`` does not need it, and shows the words as written.
        channel_names, sampling_rate
            As in the class.
        feature_names : sequence of str, default=None
            Names of the features of a table; by default the names in the data frame or from the Pipeline, else
            their numbers.
        ax : matplotlib Axes or sequence of n Axes, default=None
            Where to draw, one Axes per sample; by default a new figure.

        Returns
        -------
        AttributionDisplay

        Raises
        ------
        ValueError
            If X does not hold such samples, the method or target does not exist, y has another length, or the
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
        >>> from skaba.plotting import AttributionDisplay
        >>> digits = load_digits("tiny")
        >>> clf = ABAClassifier(ConvNet, max_epochs=1, verbose=0).fit(digits.X_train, digits.y_train)
        >>> display = AttributionDisplay.from_estimator(clf, digits.X_test, target=3, n_samples=2)
        >>> [axis.get_title(loc="left") for axis in display.axes_]
        ['target 3', 'target 3']

        Texts, which a Pipeline takes as they are:

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
        matplotlib()  # if it is missing, fail before the maps are computed
        seen = shown(estimator, X, y, n_samples=n_samples, words=words)
        if seen.words is None:
            _kind_of(seen.X)  # other samples are refused before the maps are computed
        display = cls(
            seen.X if seen.words is None else seen.words,
            seen.net.attribute(seen.X, seen.y, target=target, attribution=attribution),
            titles=_titles(seen, target),
            name=f"attribution: {_method_name(seen.net, attribution)}",
            channel_names=channel_names,
            sampling_rate=sampling_rate,
            feature_names=seen.names if feature_names is None else feature_names,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> AttributionDisplay:
        """Draw one panel per sample, and the colour bar.

        The limits of the colours are symmetric about 0, which is white, and reach to the largest value of all
        samples. For series they reach to the quantile 0.99, so that a few spikes do not decide the colours.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of n Axes, default=None
            Where to draw, one Axes per sample; by default a new figure.

        Returns
        -------
        AttributionDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there is not one Axes per sample.
        ImportError
            If matplotlib is not installed.
        """
        kind, layer = self._checked()
        self.axes_ = _new_axes(kind) if ax is None else _given_axes(ax, len(kind.samples))
        self.figure_ = self.axes_[0].figure
        for index, axis in enumerate(self.axes_):
            kind.draw_map(axis, layer, index)
            if self.titles is not None:
                axis.set_title(self.titles[index], fontsize="medium", loc="left")
        kind.explain_colours(self.axes_, layer)
        return self

    def to_text(self) -> Text:
        """Return the maps as text for a terminal: words and cells on their colours, tables as bars.

        Signs and strongest words are written too, so that the text can be read without colours.

        Returns
        -------
        rich.text.Text
            ``print`` shows it without colours, ``rich.print`` with them.

        Raises
        ------
        ImportError
            If matplotlib, which gives the colours, is not installed.
        """
        from rich.text import Text  # noqa: PLC0415 (only terminals need it)

        from skaba.plotting._terminal import as_text  # noqa: PLC0415 (as above)

        kind, layer = self._checked()
        text = Text()
        for index in range(len(kind.samples)):
            if self.titles is not None:
                text.append(f"{self.titles[index]}\n", style="bold")
            text.append_text(as_text(kind, layer, index))
        text.rstrip()
        return text

    def print_text(self, console: Console | None = None) -> None:
        """Print the maps to a terminal, in colour if it supports colours.

        Parameters
        ----------
        console : rich.console.Console, default=None
            Where to print; by default the standard output.
        """
        from rich.console import Console  # noqa: PLC0415 (as above)

        (console or Console()).print(self.to_text())

    def _checked(self) -> tuple[Kind, Layer]:
        """Check the parameters, and return the samples and the layer of their maps."""
        samples, values = as_array(self.samples), as_numbers(self.attributions, "attributions")
        kind = _kind_of(samples)
        check_count(len(samples))
        if kind is not Texts:
            samples = as_numbers(samples, "samples")
        if self.titles is not None:
            check_consistent_length(samples, self.titles)
        of_words = kind is Texts and values.ndim == 3
        if (values.shape[:2] if of_words else values.shape) != samples.shape:
            raise ValueError(
                f"attributions has shape {values.shape}, but samples {samples.shape}; the shapes must be the same."
            )
        drawn = kind(samples, **self._options(kind))
        return drawn, drawn.map_layer(values, self.name)

    def _options(self, kind: type[Kind]) -> dict[str, Any]:
        """Return the parameters for this kind of samples; refuse those that are for another kind."""
        known = {field.name for field in fields(kind)}
        options = {name: getattr(self, name) for name in ("channel_names", "sampling_rate", "feature_names")}
        wrong = [name for name, value in options.items() if value is not None and name not in known]
        if wrong:
            owner = "rows of a table" if wrong[0] == "feature_names" else "series"
            raise ValueError(f"{wrong[0]}= is for {owner} alone; drop it.")
        return {name: value for name, value in options.items() if name in known}


def _kind_of(samples: Array) -> type[Kind]:
    """Return the kind of samples."""
    if samples.dtype.kind == "U" and samples.ndim == 2 and samples.size:
        return Texts
    kinds: dict[int, type[Kind]] = {2: Table, 3: Series, 4: Images}
    is_image = samples.ndim == 4 and samples.shape[1] in (1, 3)
    if samples.size and samples.dtype.kind != "U" and (samples.ndim in (2, 3) or is_image):
        return kinds[samples.ndim]
    raise ValueError(
        f"The samples have shape {samples.shape} and hold {samples.dtype}; AttributionDisplay shows images, "
        "(n, 1, h, w) or (n, 3, h, w), series, (n, channels, length), rows of a table, (n, features), and the words "
        "of texts, (n, length); at least one sample."
    )


def _new_axes(kind: Kind) -> Array:
    layout = "compressed" if isinstance(kind, Images) else "constrained"  # compressed leaves no gaps around images
    figure = matplotlib().figure(figsize=kind.map_size, layout=layout)
    grid = figure.add_gridspec(len(kind.heights), kind.n_columns, height_ratios=kind.heights)
    return np.array([figure.add_subplot(grid[divmod(i, kind.n_columns)]) for i in range(len(kind.samples))])


def _given_axes(ax: Any, n_samples: int) -> Array:
    # Takes a single Axes, a list, and the array of any shape that plt.subplots returns.
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(axes) != n_samples:
        raise ValueError(
            f"ax holds {len(axes)} Axes, but there are {n_samples} samples; give one Axes for each, or show fewer "
            f"samples with n_samples={len(axes)}."
        )
    return axes


def _method_name(net: Any, attribution: Any) -> str:
    """Return the name of the attribution method that is used."""
    method = getattr(net.augmenter_, "attribution", "Gradient") if attribution is None else attribution
    return method if isinstance(method, str) else getattr(method, "__name__", type(method).__name__)


def _titles(seen: Shown, target: Any) -> list[str]:
    """Return what the map of each sample explains."""
    if target is not None:
        # scikit-learn breaks the repr of an object with many parameters into lines; a title has one line.
        named = isinstance(target, (str, Integral, np.generic))
        return [f"target {target if named else ' '.join(repr(target).split())}"] * len(seen.X)
    has_classes = is_classifier(seen.net) and not isinstance(seen.net, ABAMultiLabelClassifier)
    if seen.y is not None:
        return [f"class {label}" for label in np.ravel(seen.y)] if has_classes else ["loss"] * len(seen.X)
    with torch.random.fork_rng(devices=[]):  # a data loader draws a seed even if nothing is shuffled
        return [f"predicted {label}" for label in seen.net.predict(seen.X)] if has_classes else _highest(seen)


def _highest(seen: Shown) -> list[str]:
    """Return the name of each sample's highest output; with a single output, its value."""
    outputs = seen.net.predict_proba(seen.X).reshape(len(seen.X), -1)
    if outputs.shape[1] == 1:
        return [f"predicted {value:.3g}" for value in outputs[:, 0]]
    names = range(outputs.shape[1]) if seen.net.target_names_ is None else seen.net.target_names_
    return [f"highest: {names[place]}" for place in outputs.argmax(axis=1)]
