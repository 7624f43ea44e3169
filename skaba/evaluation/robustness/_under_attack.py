"""The score of a fitted estimator on attacked inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skaba._validation import validate_parameters
from skaba.augmenters import PRESETS, preset
from skaba.estimators import (
    AugmentedNet,
    as_seen_by_net,
    augmented_batch,
    fitted_net,
    fresh_generator,
    made_augmenter,
    nonlinearity_of,
    over_batches,
    sharing,
)
from skaba.evaluation._checks import COUNT, NOT_NEGATIVE, check_parameters
from skaba.network import asking, first_output


def score_under_attack(
    estimator: Any, X: Any, y: Any, attack: Any, strength: float, *, batch_size: int | None = None
) -> float:
    """Return the score of a fitted estimator on attacked inputs.

    Parameters
    ----------
    estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor, Pipeline or search
        Fitted. The network's input is attacked: with a Pipeline, X after its steps; with ``layer=``, that
        layer's output, whose padding is never changed.
    X : array-like of n samples
    y : array-like of shape (n, ...)
        The targets, which the attack uses too.
    attack : str or callable
        Any augmenter, such as ``fgsm()``, ``PGD()`` or ``GaussianNoise()``, or the name of a preset.
    strength : float
        In the units of the attacked input. 0 gives the plain score.
    batch_size : int, default=None
        Samples that are attacked at once; by default the estimator's batch size.

    Returns
    -------
    float
        The estimator's score: accuracy, macro area under the ROC curve, or R².

    Raises
    ------
    TypeError
        If the estimator does not end in a skaba estimator.
    ValueError
        If the attack or a parameter is not allowed, X or y does not fit, or the attack returns NaN or infinity.

    Notes
    -----
    Every call starts from the estimator's ``random_state``. The estimator is left as it was.

    References
    ----------
    Goodfellow et al. (2015), "Explaining and Harnessing Adversarial Examples"; Madry et al. (2018), "Towards
    Deep Learning Models Resistant to Adversarial Attacks".

    Examples
    --------
    >>> from skaba import ABAClassifier
    >>> from skaba.augmenters import fgsm
    >>> from skaba.datasets import load_digits
    >>> from skaba.evaluation.robustness import PGD, score_under_attack
    >>> from skaba.modules import ConvNet
    >>> digits = load_digits("tiny")
    >>> clf = ABAClassifier(ConvNet, max_epochs=50, random_state=0, verbose=0)
    >>> clf = clf.fit(digits.X_train, digits.y_train)
    >>> X, y = digits.X_test[:100], digits.y_test[:100]
    >>> clean, attacked = clf.score(X, y), score_under_attack(clf, X, y, fgsm(), 0.1)
    >>> stronger = score_under_attack(clf, X, y, PGD(bounds=(0, 1)), 0.1)
    >>> max(attacked, stronger) < clean
    True
    """
    net, X = under_attack(estimator, X, y, attack, strength, batch_size=batch_size)
    return float(net.score(X, y))


def under_attack(
    estimator: Any, X: Any, y: Any, attack: Any, strength: float, *, batch_size: int | None = None
) -> tuple[AugmentedNet, Any]:
    """Return a net whose predictions of X are those of the estimator's net under attack, and X as that net sees it."""
    net = fitted_net(estimator)
    check_attack(attack, strength)
    check_parameters("score_under_attack", batch_size=(batch_size, [*COUNT, None]))
    X = as_seen_by_net(estimator, X)
    if strength == 0:
        return net, X
    probabilities = _probabilities(_attacked(net, attack, strength, batch_size), X, y)

    def predict_proba(X: Any) -> np.ndarray:  # scorers look at the method's name
        return probabilities

    # On the view, an attribute comes before the class's method, so score() uses these probabilities.
    return sharing(net, predict_proba=predict_proba), X


def check_attack(attack: Any, strength: Any) -> None:
    """Raise a ValueError unless an attack and its strength are allowed."""
    if isinstance(attack, str):
        preset(attack)  # raises an error if there is none of that name
    elif isinstance(attack, type) or not callable(attack) or attack in PRESETS.values():
        raise ValueError(
            f"attack={attack!r} must be an augmenter or the name of a preset, for example fgsm() or PGD(), or a "
            "function of the same arguments. Call a class, or a function that makes an augmenter, first."
        )
    validate_parameters(attack)
    check_parameters("score_under_attack", strength=(strength, NOT_NEGATIVE))


def checked_attacks(attacks: Any) -> dict[str, tuple[Any, float]]:
    """Return named attacks with their strengths, or raise a TypeError or ValueError."""
    if attacks is None:
        return {}
    if not isinstance(attacks, Mapping):
        raise TypeError(
            f'attacks={attacks!r} must map names to (attack, strength), for example {{"FGSM": (fgsm(), 0.1)}}.'
        )
    for name, pair in attacks.items():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(f"attacks[{name!r}]={pair!r} must be (attack, strength), for example (fgsm(), 0.1).")
        check_attack(*pair)
    return dict(attacks)


def _attacked(net: AugmentedNet, attack: Any, strength: float, batch_size: int | None) -> AugmentedNet:
    """Return the net with the attack in place of its augmenter."""
    made = made_augmenter(net, attack)
    view = sharing(net, augmenter=attack, augmenter_=made, strength=float(strength))
    if batch_size is not None:
        # Not set_params, which would set up the shared net again.
        view.__dict__["iterator_valid__batch_size"] = batch_size
    for name in net.get_params_for("augmenter"):  # these were set for the net's augmenter
        view.__dict__.pop(f"augmenter__{name}")
    return view


def _probabilities(net: AugmentedNet, X: Any, y: Any) -> np.ndarray:
    """Return ``predict_proba`` of X as the net augments it; no more than one augmented batch is held."""
    nonlinearity = nonlinearity_of(net)
    generator = fresh_generator(net)

    def answer(inputs: Any, targets: Any) -> Tensor:
        model, _, x = augmented_batch(net, inputs, targets, generator)
        if not torch.isfinite(x).all():
            raise ValueError("The attack returned NaN or infinity for some samples, which then have no score.")
        with torch.no_grad(), asking(model):
            return nonlinearity(first_output(model(x)))

    return over_batches(net, X, y, answer)
