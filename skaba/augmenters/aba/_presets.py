"""The named methods of the papers: configured augmenters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator

from skaba._validation import unknown_name
from skaba.attribution import LRP, Loss, RandomTopClass
from skaba.augmenters._augmenter import Augmenter
from skaba.augmenters.aba._aba import ABA
from skaba.augmenters.aba._adjustments import AdjustmentSet
from skaba.augmenters.aba._free_aba import FreeABA
from skaba.augmenters.aba._percentiles import Percentiles
from skaba.augmenters.aba._selections import Cutoff


def challenger(k: int | None = None, **parameters: Any) -> ABA:
    """Return Challenger: one tail of the attribution moves, or no feature moves.

    Half of the samples do not change, which makes it the cheapest of the three main methods: 1.33 times a plain step by
    operation count.

    Parameters
    ----------
    k : int, default=None
        The target is drawn from the k classes that the model ranks highest; None means 4, or all if there are fewer.
    **parameters
        Any parameter of :class:`ABA`, in place of the preset's.

    Returns
    -------
    ABA
        Gradient; percentiles 10 and 90; adjustments {0, 0, 0, 0, 3, 4, 5, 6}; no random factor.

    References
    ----------
    Tomani and Cremers (2022), "CHALLENGER: Training with Attribution Maps", arXiv 2205.15094, in the variant
    of Kinkel (2023), section 3.8, with the gradient in place of LRP.

    Examples
    --------
    >>> from skaba.augmenters import challenger
    >>> challenger(k=6).adjustments
    AdjustmentSet([0, 0, 0, 0, 3, 4, 5, 6])
    """
    defaults = {
        "target": RandomTopClass(k),
        "selection": Percentiles(0.1, 0.9),
        "adjustments": AdjustmentSet([0, 0, 0, 0, 3, 4, 5, 6]),
        "randomize": False,
    }
    return ABA(**{**defaults, **parameters})


def challenger_original(k: int | None = None, **parameters: Any) -> ABA:
    """Return Challenger as first published: with layer-wise relevance propagation in place of the gradient.

    It needs captum (``pip install "skaba[attribution]"``) and a network whose layers LRP has rules for; see
    ``skaba.attribution.available``.

    Parameters
    ----------
    k : int, default=None
        The target is drawn from the k classes that the model ranks highest; None means 4, or all if there are fewer.
    **parameters
        Any parameter of :class:`ABA`, in place of the preset's.

    Returns
    -------
    ABA
        LRP; percentiles 10 and 90; adjustments {0, 0, 0, 0, 3, 4, 5, 6}; no random factor.

    References
    ----------
    Tomani and Cremers (2022), "CHALLENGER: Training with Attribution Maps", arXiv 2205.15094; Kinkel (2023),
    section 3.1.7. The source allows a strength per category: write it as adjustments,
    ``AdjustmentSet([(0.5, 0, 1)])``.

    Examples
    --------
    >>> from skaba.augmenters import challenger_original
    >>> challenger_original().attribution
    LRP()
    """
    return challenger(k, **{"attribution": LRP(), **parameters})


def mend_aba(k: int | None = None, **parameters: Any) -> ABA:
    """Return MendABA: one of the three categories moves, by a random amount.

    Maps are computed for all samples: 1.67 times a plain step by operation count.

    Parameters
    ----------
    k : int, default=None
        The target is drawn from the k classes that the model ranks highest; None means 4, or all if there are fewer.
    **parameters
        Any parameter of :class:`ABA`, in place of the preset's.

    Returns
    -------
    ABA
        Gradient; percentiles 10 and 90; adjustments {1, 2, 3, 4, 5, 6}; a random factor.

    References
    ----------
    Kinkel (2023), section 3.8.

    Examples
    --------
    >>> from skaba.augmenters import mend_aba
    >>> mend_aba().selection
    Percentiles(0.1, 0.9)
    """
    defaults = {
        "target": RandomTopClass(k),
        "selection": Percentiles(0.1, 0.9),
        "adjustments": AdjustmentSet([1, 2, 3, 4, 5, 6]),
        "randomize": True,
    }
    return ABA(**{**defaults, **parameters})


def fast_aba(k: int | None = None, **parameters: Any) -> ABA:
    """Return FastABA: two categories split at 0, so that no percentiles are computed.

    A quarter of the samples do not change: 1.50 times a plain step by operation count. ``fast_aba(target=Loss())`` is
    FastABA-CE.

    Parameters
    ----------
    k : int, default=None
        The target is drawn from the k classes that the model ranks highest; None means 4, or all if there are fewer.
    **parameters
        Any parameter of :class:`ABA`, in place of the preset's.

    Returns
    -------
    ABA
        Gradient; cut-off 0; adjustments {0, 0, 3, 4, 5, 6, 16, 17}; a random factor.

    References
    ----------
    Kinkel (2023), section 3.8.

    Examples
    --------
    >>> from skaba.attribution import Loss
    >>> from skaba.augmenters import fast_aba
    >>> fast_aba(target=Loss()).target
    Loss()
    """
    defaults = {
        "target": RandomTopClass(k),
        "selection": Cutoff(0.0),
        "adjustments": AdjustmentSet([0, 0, 3, 4, 5, 6, 16, 17]),
        "randomize": True,
    }
    return ABA(**{**defaults, **parameters})


def free_aba(**parameters: Any) -> FreeABA:
    """Return FreeABA: FastABA with the loss's gradient of the previous epoch, which training computes anyway.

    The backward pass of the training step also computes the gradient at the input. Its signs are cached, as one bit per
    feature, and decide the sample's augmentation at its next visit. By operation count only the input gradient of the
    first layer is added: next to nothing for images and series, but a third for a text network whose first convolution
    does most of the work. So at a frozen embedding it is computed for a fifth of the batches only; ``renew=1`` computes
    it for all.

    Parameters
    ----------
    **parameters
        Any parameter of :class:`FreeABA`, in place of the preset's.

    Returns
    -------
    FreeABA
        Cut-off 0; FastABA's adjustments {0, 0, 3, 4, 5, 6, 16, 17}; a random factor.

    References
    ----------
    FastABA-CE of Kinkel (2023), section 3.8 and table A.2, with the maps of the previous epoch; reusing the
    training step's input gradient is the idea of Shafahi et al. (2019), "Adversarial Training for Free!".

    Examples
    --------
    >>> from skaba.augmenters import free_aba
    >>> free_aba().selection
    Cutoff(0.0)
    """
    return FreeABA(**parameters)


def fgsm(tension: bool = False, **parameters: Any) -> ABA:
    """Return FGSM training: every feature moves by s in the direction that raises the loss.

    Parameters
    ----------
    tension : bool, default=False
        Whether half of the samples move the opposite way.
    **parameters
        Any parameter of :class:`ABA`, in place of the preset's.

    Returns
    -------
    ABA
        Gradient of the loss; cut-off 0; adjustment (-1, 1), with tension (1, -1) too; no
        random factor.

    Notes
    -----
    ``x' = x + s * sign(gradient)`` where the gradient is not 0. Where it is exactly 0, the feature counts as high and
    moves by +s, while ``sign`` would not move it.

    References
    ----------
    Goodfellow et al. (2015), "Explaining and Harnessing Adversarial Examples"; Kinkel
    (2023), section 3.7.

    Examples
    --------
    >>> from skaba.augmenters import fgsm
    >>> fgsm(tension=True).adjustments
    AdjustmentSet([(-1, 1), (1, -1)])
    """
    defaults = {
        "target": Loss(),
        "selection": Cutoff(0.0),
        "adjustments": AdjustmentSet([(-1, 1), (1, -1)] if tension else [(-1, 1)]),
        "randomize": False,
    }
    return ABA(**{**defaults, **parameters})


PRESETS: dict[str, Callable[..., Augmenter]] = {
    "challenger": challenger,
    "challenger_original": challenger_original,
    "fast_aba": fast_aba,
    "fgsm": fgsm,
    "free_aba": free_aba,
    "mend_aba": mend_aba,
}
"""The factories of the named augmenters; ``register_preset`` adds one."""


def register_preset(name: str, factory: Callable[..., Augmenter]) -> None:
    """Give an augmenter a name, so that it can be used as ``ABAClassifier(module, augmenter=name)``.

    Parameters
    ----------
    name : str
        The name. It must not belong to another factory.
    factory : callable
        Returns the augmenter. For multi-label and regression targets, the parameter ``target`` of an augmenter that is
        given by name is set to ``Loss()``, if there is such a parameter.

    Raises
    ------
    ValueError
        If the name is taken or is not a string.
    TypeError
        If the factory is not callable, or is an augmenter itself.

    Notes
    -----
    The name is known in this process only. Where a search runs in several (``n_jobs=2``), give the augmenter itself in
    place of its name, or register it in a module that each process imports.

    Examples
    --------
    >>> from skaba.augmenters import PRESETS, fast_aba, preset, register_preset
    >>> def gentle_aba(**parameters):
    ...     return fast_aba(**{"share": 0.5, **parameters})
    >>> register_preset("gentle_aba", gentle_aba)
    >>> preset("gentle_aba").share
    0.5

    To forget it again:

    >>> del PRESETS["gentle_aba"]
    """
    if not isinstance(name, str) or not name:
        raise ValueError(f"A preset's name must be a string, got {name!r}.")
    if not callable(factory):
        raise TypeError(f"A preset's factory must be callable, got {factory!r}.")
    if isinstance(factory, Augmenter):
        raise TypeError(f"A preset's factory must return an augmenter, got the augmenter itself: lambda: {factory!r}.")
    if PRESETS.get(name, factory) is not factory:
        raise ValueError(f"The preset {name!r} exists already; choose another name.")
    PRESETS[name] = factory


def preset(name: str, **parameters: Any) -> Augmenter:
    """Return a named augmenter.

    Parameters
    ----------
    name : str
        ``"challenger"``, ``"challenger_original"``, ``"fast_aba"``, ``"fgsm"``, ``"free_aba"``,
        ``"mend_aba"``, or a name that was registered.
    **parameters
        Any parameter of the preset's factory.

    Returns
    -------
    Augmenter

    Raises
    ------
    ValueError
        If there is no such name; the message suggests the nearest. If the factory returns no augmenter.

    Examples
    --------
    >>> from skaba.augmenters import preset
    >>> preset("mend_aba", k=6).target
    RandomTopClass(k=6)
    """
    if name not in PRESETS:
        raise ValueError(unknown_name("augmenter", name, PRESETS))
    made = PRESETS[name](**parameters)
    if isinstance(made, type) or not callable(made):
        raise ValueError(f"The factory of the preset {name!r} returned {made!r}; it must return an augmenter.")
    return made


def preset_that_explains(name: str, target: Any) -> Augmenter:
    """Return a named augmenter with a target for its maps, if it has such a parameter."""
    made = preset(name)
    has_target = isinstance(made, BaseEstimator) and "target" in made.get_params(deep=False)
    return made.set_params(target=target) if has_target else made
