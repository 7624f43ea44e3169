"""A rival: a free or well-known regulariser that a user would try first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sklearn.base import clone

from skaba.augmenters import Compose, CutMix, Mixup
from skaba.estimators import made_augmenter, with_net
from skaba.evaluation._components import clone_with
from skaba.evaluation.rivals._data import net_of


@dataclass(frozen=True)
class Rival:
    """A regulariser or augmentation that is used in place of ABA, or together with it.

    Parameters
    ----------
    name : str
        For example ``"label smoothing"``.
    parameter : str
        The parameter of the estimator that a search tunes, for example ``"criterion__label_smoothing"``.
    values : tuple
        A small grid for the parameter, in ascending order. It does not include the value of plain training.
    default : object
        The value that the paper or library recommends, one of ``values``; the nearest if plain training uses it.
    settings : mapping of str to object
        The other parameters of the estimator that the rival sets.
    cost : float
        The cost of a training step in units of a plain step. It counts the operations of forward and backward
        passes, for a deep network: a forward pass is one third of a plain step, its backward pass two thirds, and a
        gradient at the features alone one third. Preparing the batch is not counted.
    source : str
        The paper.

    Examples
    --------
    >>> from skaba import ABAClassifier
    >>> from skaba.datasets import load_digits
    >>> from skaba.evaluation import find_rivals
    >>> from skaba.modules import ConvNet
    >>> digits = load_digits("tiny")
    >>> clf = ABAClassifier(ConvNet, max_epochs=3, random_state=0, verbose=0)
    >>> smoothing = find_rivals(clf, digits.X_train, digits.y_train)[0]
    >>> smoothing.name, smoothing.values, smoothing.default
    ('label smoothing', (0.05, 0.1, 0.2), 0.1)
    >>> smoothing.applied_to(clf, 0.2).get_params()["criterion__label_smoothing"]
    0.2
    """

    name: str
    parameter: str
    values: tuple[Any, ...]
    default: Any
    settings: Mapping[str, Any]
    cost: float
    source: str

    def applied_to(self, estimator: Any, value: Any = None) -> Any:
        """Return an unfitted copy of an estimator that trains with this rival in place of its augmenter.

        Parameters
        ----------
        estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor or Pipeline
        value : object, default=None
            The value of ``parameter``; None means ``default``.

        Returns
        -------
        estimator
        """
        return self._copy(estimator, {**self.settings, self.parameter: self._value(value)})

    def with_augmenter(self, estimator: Any, augmenter: Any, value: Any = None) -> Any:
        """Return an unfitted copy of an estimator that trains with this rival and with an augmenter.

        A rival that augments comes before the augmenter, so that maps are computed for its samples. Mixup and CutMix
        come after it, because they change the targets.

        Parameters
        ----------
        estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor or Pipeline
            Its ``strength`` is that of the augmenter.
        augmenter : Augmenter or str
            Such as ``"mend_aba"``. Parameters that were set on the estimator for its own augmenter, such as
            ``augmenter__share``, stay in force if that is given: ``estimator.augmenter``.
        value : object, default=None
            The value of ``parameter``; None means ``default``.

        Returns
        -------
        estimator

        Raises
        ------
        ValueError
            If the rival augments, and the augmenter cannot be combined with another one, or works at another layer.
        """
        net, value = net_of(estimator), self._value(value)
        if "layer" in self.settings and net.layer is not None:
            raise ValueError(
                f"layer={net.layer!r}: {self.name} cannot be combined with an augmenter at a layer. Set layer=None."
            )
        made = made_augmenter(net, augmenter)
        if augmenter is net.augmenter and (nested := net.get_params_for("augmenter")):
            made.set_params(**nested)
        if self.settings["augmenter"] is None:
            return self._copy(estimator, {**self.settings, self.parameter: value, "augmenter": made})
        if getattr(made, "needs_index", False):
            raise ValueError(
                f"augmenter={augmenter!r} uses the gradient of the training step itself, so that it cannot be combined "
                f"with {self.name}. Use an augmenter that computes its own maps, such as 'fast_aba'."
            )
        kept = {name: setting for name, setting in self.settings.items() if name != "strength"}
        return self._copy(estimator, {**kept, "augmenter": self._composed(made, value)})

    def _value(self, value: Any) -> Any:
        return self.default if value is None else value

    def _copy(self, estimator: Any, settings: Mapping[str, Any]) -> Any:
        # Copies, so that estimators share neither augmenters nor the weights of a module that is given as an instance.
        fresh = {name: clone(each, safe=False) for name, each in settings.items()}
        return with_net(estimator, clone_with(net_of(estimator), fresh))

    def _composed(self, augmenter: Any, value: Any) -> Compose:
        own, strength = clone(self.settings["augmenter"]), value if self.parameter == "strength" else None
        if strength is None:
            own.set_params(**{self.parameter.removeprefix("augmenter__"): value})
        if isinstance(own, (Mixup, CutMix)):
            return Compose([augmenter, own], [None, strength])
        return Compose([own, augmenter], [strength, None])
