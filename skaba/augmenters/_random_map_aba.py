"""The control for attribution: ABA on a random map."""

from __future__ import annotations

from sklearn.base import clone

from skaba.attribution import RandomMap
from skaba.augmenters._aba import ABA
from skaba.augmenters._adjustments import AdjustmentSet
from skaba.augmenters._changes import Change
from skaba.augmenters._selections import Selection


class RandomMapABA(ABA):
    """ABA on a random map: the same changes, but not where the network looks.

    What a method gains over this control is what attribution is worth. No pass through the network.

    Parameters
    ----------
    selection : Percentiles or Cutoff, default=None
        The categories, by default MendABA's ``Percentiles(0.1, 0.9)``.
    adjustments : AdjustmentSet, default=None
        By default MendABA's ``AdjustmentSet([1, 2, 3, 4, 5, 6])``.
    change : Constant, Proportional or Baseline, default=None
        By default ``Constant()``.
    randomize : bool, default=True
    share : float, default=1.0
    every : int, default=1
    resolution : float, default=1.0
        As for :class:`ABA`.

    See Also
    --------
    skaba.evaluation.controls : All controls of a fitted estimator.
    GaussianNoise : The control that changes every feature.

    Notes
    -----
    A random map has no ties. Where a method's map is 0 in many places, it and its control sort
    different shares of features into a category.

    Examples
    --------
    >>> from skaba.augmenters import RandomMapABA, fast_aba
    >>> RandomMapABA.of(fast_aba()).adjustments
    AdjustmentSet([0, 0, 3, 4, 5, 6, 16, 17])
    """

    def __init__(
        self,
        selection: Selection | None = None,
        adjustments: AdjustmentSet | None = None,
        change: Change | None = None,
        randomize: bool = True,
        share: float = 1.0,
        every: int = 1,
        resolution: float = 1.0,
    ) -> None:
        super().__init__(
            attribution=RandomMap(),
            selection=selection,
            adjustments=adjustments,
            change=change,
            randomize=randomize,
            share=share,
            every=every,
            resolution=resolution,
        )

    @classmethod
    def of(cls, aba: ABA) -> RandomMapABA:
        """Return the control of a method.

        Parameters
        ----------
        aba : ABA
            Left unchanged. What it asks, and when (``attribution``, ``target``, ``reuse``, ``renew``, ``store``), does
            not matter to a random map, which is drawn at once.

        Returns
        -------
        RandomMapABA
            With copies of its other parameters.

        Raises
        ------
        TypeError
            If it is no ABA.
        """
        if not isinstance(aba, ABA):
            raise TypeError(f"RandomMapABA.of takes an ABA, such as mend_aba(), got {aba!r}.")
        return cls(**{name: clone(getattr(aba, name), safe=False) for name in cls._get_param_names()})
