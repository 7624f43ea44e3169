"""How a prediction changes while its sample is masked, most or least important units first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from skaba.evaluation.fidelity import Fidelity, compare_fidelity
from skaba.plotting._axes_display import AxesDisplay
from skaba.plotting._matplotlib import matplotlib
from skaba.plotting._names import wrapped


@dataclass(frozen=True)
class FidelityCurve:
    """The two curves of one attribution method.

    Parameters
    ----------
    label : str
        The method's name; may be empty.
    shares : ndarray of shape (n_steps + 1,)
        Percentage of the units that are masked.
    mif, lif : ndarray of shape (n_steps + 1,)
        Mean score, divided by the unmasked score; most and least important units first.
    mif_error, lif_error : ndarray of shape (n_steps + 1,)
        Half the width of the bands around the curves.
    area : float
        A, the area between the curves.
    interval : (float, float)
        The confidence interval of A.
    """

    label: str
    shares: NDArray[Any]
    mif: NDArray[Any]
    lif: NDArray[Any]
    mif_error: NDArray[Any]
    lif_error: NDArray[Any]
    area: float
    interval: tuple[float, float]


@dataclass(eq=False, repr=False)
class FidelityDisplay(AxesDisplay):
    """Perturbation curves of attribution methods. Make it with :meth:`from_results` or :meth:`from_estimator`.

    One colour per method; the line is solid where the least important units are masked first (LIF), dashed where
    the most important are (MIF). The area between the two is the method's fidelity A.

    Parameters
    ----------
    curves : sequence of FidelityCurve
        At least one.
    level : float, default=0.95
        The confidence level of bands and intervals, written at the y axis.

    Attributes
    ----------
    curves, level
        As given.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure or SubFigure
    lines_ : list of Line2D
        The LIF and the MIF line of each method in turn.

    Raises
    ------
    ValueError
        If there are no curves.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.plotting import FidelityCurve, FidelityDisplay
    >>> shares, none = np.array([0, 50, 100]), np.zeros(3)
    >>> curve = FidelityCurve("ours", shares, np.array([1, 0.2, 0]), np.array([1, 1.2, 0]), none, none, 50.0, (48, 52))
    >>> len(FidelityDisplay([curve]).plot().lines_)
    2
    """

    curves: Sequence[FidelityCurve]
    _: KW_ONLY
    level: float = 0.95

    def __post_init__(self) -> None:
        if not self.curves:
            raise ValueError("curves is empty; give the curves of at least one attribution method.")

    @classmethod
    def from_results(cls, results: Mapping[str, Fidelity], *, ax: Any = None) -> FidelityDisplay:
        """Plot what ``fidelity`` or ``compare_fidelity`` found.

        Parameters
        ----------
        results : mapping of str to Fidelity
            By the name of the method: ``compare_fidelity(...)``, or ``{"gradient": fidelity(...)}``.
        ax : matplotlib Axes, default=None
            Where to draw; by default the Axes of a new figure.

        Returns
        -------
        FidelityDisplay

        Examples
        --------
        >>> import torch
        >>> from skaba.attribution import Gradient
        >>> from skaba.evaluation.fidelity import fidelity
        >>> from skaba.plotting import FidelityDisplay
        >>> found = fidelity(torch.nn.Linear(8, 3), torch.randn(50, 8), Gradient())
        >>> FidelityDisplay.from_results({"gradient": found}).curves[0].label
        'gradient'
        """
        level = next(iter(results.values())).level if results else 0.95
        return cls([_curve(name, found) for name, found in results.items()], level=level).plot(ax)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, attributions: Mapping[str, Any], *, ax: Any = None, **parameters: Any
    ) -> FidelityDisplay:
        """Measure and plot the fidelity of attribution methods.

        Parameters
        ----------
        estimator, X, attributions, **parameters
            As for :func:`skaba.evaluation.fidelity.compare_fidelity`.
        ax : matplotlib Axes, default=None
            Where to draw; by default the Axes of a new figure.

        Returns
        -------
        FidelityDisplay

        Examples
        --------
        >>> import torch
        >>> from skaba.attribution import Gradient, InputXGradient
        >>> from skaba.plotting import FidelityDisplay
        >>> methods = {"gradient": Gradient(), "input x gradient": InputXGradient()}
        >>> display = FidelityDisplay.from_estimator(torch.nn.Linear(8, 3), torch.randn(50, 8), methods)
        >>> [curve.label for curve in display.curves]
        ['gradient', 'input x gradient']
        """
        matplotlib()  # if it is missing, fail before the measurement
        return cls.from_results(compare_fidelity(estimator, X, attributions, **parameters), ax=ax)

    @property
    def _size(self) -> tuple[float, float]:
        return 6.4, 4.4 + 0.13 * len(self.curves)

    def _draw(self) -> None:
        self.lines_: list[Any] = []
        for curve in self.curves:
            self._draw_curve(curve)
        self.ax_.axhline(1, color="black", linewidth=0.8, linestyle=":", zorder=1)
        score = f"score / unmasked score\n(bands: {100 * self.level:g} %)"
        self.ax_.set(xlabel="masked units (%)", ylabel=score, xlim=(0, 100))
        self.ax_.grid(alpha=0.3)
        self._add_legend()

    def _draw_curve(self, curve: FidelityCurve) -> None:
        low, high = curve.interval
        name = f"{wrapped(curve.label)}: " if curve.label else ""
        (lif,) = self.ax_.plot(curve.shares, curve.lif, label=f"{name}A = {curve.area:.1f} [{low:.1f}, {high:.1f}]")
        colour = lif.get_color()
        (mif,) = self.ax_.plot(curve.shares, curve.mif, color=colour, linestyle="--")
        for values, error in ((curve.lif, curve.lif_error), (curve.mif, curve.mif_error)):
            band = values - error, values + error
            self.ax_.fill_between(curve.shares, *band, color=colour, alpha=0.2, linewidth=0)
        self.lines_ += [lif, mif]

    def _add_legend(self) -> None:
        """Explain the two kinds of line and the colours, below the Axes, which the curves fill."""
        # Lines without points, drawn nowhere but in the legend:
        # https://matplotlib.org/stable/users/explain/axes/legend_guide.html
        line = matplotlib("lines").Line2D
        orders = [
            line([], [], color="gray", label="LIF: least important first"),
            line([], [], color="gray", linestyle="--", label="MIF: most important first"),
        ]
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14)}
        # Every second line is a LIF line; only these have labels.
        self.ax_.legend(handles=[*orders, *self.lines_[::2]], fontsize="small", ncols=2, **place)


def _curve(label: str, found: Fidelity) -> FidelityCurve:
    """Average the curves of a method over the samples."""
    curves = found.curves.normalised()
    mif, lif = (values.mean(axis=0) for values in (curves.mif, curves.lif))
    # The bands are two-sided, so half of 1 - level lies above them.
    scale = ndtri(0.5 + found.level / 2) / np.sqrt(len(curves.targets))
    mif_error, lif_error = (scale * values.std(axis=0, ddof=1) for values in (curves.mif, curves.lif))
    return FidelityCurve(label, curves.shares, mif, lif, mif_error, lif_error, found.area, found.interval)
