"""The check of an augmenter."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from sklearn.base import BaseEstimator, clone
from torch import Tensor, nn

from skaba import ABAClassifier
from skaba.augmenters import Augmenter, Batch, as_augmenter, require_augmenter
from skaba.network import FromLayer
from skaba.testing._networks import Case, NetworkError, another_random_state, failing, made
from skaba.testing._requirements import raises, require
from skaba.testing._traces import traceless

N_SEEDS = 20
"""The number of batches that are drawn where at least two have to differ."""


def check_augmenter(augmenter: Any, *, strength: float | None = None, random: bool = True) -> list[str]:
    """Check that an augmenter keeps the rules for all augmenters.

    It is called on small built-in networks for tables, images, series, and texts at their embedding: by itself, at a
    hidden layer, and in the fit of an estimator. A network whose batch the augmenter refuses with a TypeError or a
    ValueError is left out.

    Parameters
    ----------
    augmenter : Augmenter or callable
        An instance, a function with the arguments of an :class:`~skaba.augmenters.Augmenter`, or a function that takes
        a batch and returns it augmented.
    strength : float, default=None
        The strength of the checks, greater than 0; by default the augmenter's ``default_strength``.
    random : bool, default=True
        Whether the result is random. Pass False for an augmenter that does not draw: different seeds then need not give
        different results.

    Returns
    -------
    list of str
        The networks on which the augmenter was checked, of "table", "image", "series" and "text".

    Raises
    ------
    AssertionError
        If the augmenter fails a check; the message says which one. If it refuses all networks, it gives the reasons.
    ValueError
        If it is not an augmenter.

    Notes
    -----
    The checks:

    * The result has the shape, dtype and device of x, is finite and detached; new targets have one row per sample.
    * x and y are not changed. No trace is left: training flags, buffers, parameters and their gradients, hooks and the
      global random states are as before, also if the network raises an error, which comes through.
    * At strength 0 the result is x itself, and the model is not called. A strength that is negative, not a finite
    number
      or larger than ``largest_strength`` is refused.
    * At least one of twenty batches changes; an empty batch stays empty. The same generator gives the same result,
      whatever the global random state, and different seeds give different results.
    * Padding at an embedding stays as it is.
    * A scikit-learn estimator clones, prints and pickles, and its parameters can be read and set.
    * At a hidden layer it augments the output inside the forward pass, with the same result each time, and gradients
      reach the earlier layers.
    * An estimator fits with it, ``random_state`` decides the result, and strength 0 is plain training bit for bit.

    Examples
    --------
    >>> from skaba.augmenters import KeepAugment, mend_aba
    >>> from skaba.testing import check_augmenter
    >>> check_augmenter(mend_aba(k=2))
    ['table', 'image', 'series', 'text']
    >>> check_augmenter(KeepAugment(mend_aba(k=2)))  # not for tables
    ['image', 'series', 'text']

    The first mistake that is found is reported:

    >>> import torch
    >>> def noisy(model, x, y, *, strength, criterion, generator):
    ...     return x + strength * torch.randn_like(x)
    >>> check_augmenter(noisy)
    Traceback (most recent call last):
    ...
    AssertionError: <function noisy at ...> on the network 'table': left a trace: torch's random state
    """
    require_augmenter("augmenter", augmenter)
    checked = _Checked(augmenter, strength, random)
    refusals = {name: checked.refusal(make()) for name, make in CASES.items()}
    fitting = [name for name, refusal in refusals.items() if refusal is None]
    if not fitting:
        reasons = "; ".join(f"{name}: {refusal}" for name, refusal in refusals.items())
        raise AssertionError(f"{augmenter!r} refuses every network ({reasons})")
    for name in fitting:
        for check in CHECKS:
            try:
                check(checked, CASES[name])
            except AssertionError as error:
                raise AssertionError(f"{augmenter!r} on the network {name!r}: {error}") from error
    return fitting


class _Checked:
    """An augmenter, and how it is checked."""

    def __init__(self, given: Any, strength: float | None, random: bool) -> None:
        self.given = given
        self.augmenter: Augmenter = as_augmenter(given)
        self.random = random
        self.strength = self.augmenter.default_strength if strength is None else strength

    def call(self, case: Case, *, seed: int = 0, strength: Any = None) -> tuple[Any, Any]:
        """Return a batch and its targets after augmentation."""
        result = self.augmenter(
            case.model,
            case.x,
            case.y,
            strength=self.strength if strength is None else strength,
            criterion=nn.CrossEntropyLoss(),
            generator=torch.Generator().manual_seed(seed),
        )
        return result if isinstance(result, tuple) else (result, case.y)

    def refusal(self, case: Case) -> Exception | None:
        """Return why a batch is refused; None if it is not."""
        try:
            self.call(case)
        except (TypeError, ValueError) as error:
            return error
        return None


Make = Callable[[], Case]


def check_result(checked: _Checked, make: Make) -> None:
    """Check the form of the result, and that the batch itself does not change."""
    case = make()
    double = Case(case.network.double(), case.model, case.x.double(), case.y)
    for each in (make(), double):
        copies = each.x.clone(), each.y.clone()
        x, y = checked.call(each)
        require(isinstance(x, Tensor), f"the result is a {type(x).__name__}, not a tensor")
        for name in ("shape", "dtype", "device"):
            got, wanted = getattr(x, name), getattr(each.x, name)
            require(got == wanted, f"the result's {name} is {got}, not that of x, {wanted}")
        require(bool(x.isfinite().all()), "the result holds NaN or infinity")
        require(not x.requires_grad, "the result is not detached")
        require(isinstance(y, Tensor) and len(y) == len(x), "the new targets do not have one row per sample")
        require(torch.equal(each.x, copies[0]) and torch.equal(each.y, copies[1]), "x or y has changed")
    case = make()
    model, x, y = case.rows(torch.arange(0))
    empty, _ = checked.call(case._replace(model=model, x=x, y=y))
    require(empty.shape == x.shape, f"an empty batch got the shape {tuple(empty.shape)}")


def check_trace(checked: _Checked, make: Make) -> None:
    """Check that no trace is left, also after an error."""
    for training in (True, False):
        case = make()
        case.network.train(training)
        with traceless(case.model), traceless(case.network):
            checked.call(case)
    # A failure in the first pass and one between two passes, when flags and hooks have been changed.
    for on_pass in (1, 2):
        case = make()
        with failing(case.network, on_pass) as calls, traceless(case.model), traceless(case.network):
            raised = raises(NetworkError, lambda case=case: checked.call(case))  # type: ignore[misc]
        require(raised or len(calls) < on_pass, "an error of the network did not come through")


def check_strength(checked: _Checked, make: Make) -> None:
    """Check strength 0, and that strengths out of range are refused."""
    case = make()
    with failing(case.network, 1):  # an error if the model is called at all
        x, y = checked.call(case, strength=0)
    require(x.data_ptr() == case.x.data_ptr() and torch.equal(x, case.x), "the result at strength 0 is not x itself")
    require(y is case.y, "the targets at strength 0 are not y itself")
    largest = checked.augmenter.largest_strength
    larger = min(largest, 2 * checked.strength)
    refused = raises((TypeError, ValueError), lambda: checked.call(case, strength=larger))
    require(not refused, f"strength={larger} is refused, but largest_strength is {largest}")
    beyond = [] if math.isinf(largest) else [2 * largest]
    for bad in (-0.1, math.nan, math.inf, "0.1", *beyond):
        refused = raises((TypeError, ValueError), lambda bad=bad: checked.call(case, strength=bad))  # type: ignore[misc]
        require(refused, f"strength={bad!r} is not refused with a TypeError or a ValueError")


def check_randomness(checked: _Checked, make: Make) -> None:
    """Check that only the generator decides."""
    first = checked.call(make())
    require(_same(checked.call(make()), first), "the same generator gave two results")
    with another_random_state():
        require(_same(checked.call(make()), first), "the result depends on the global random state")
    # Many seeds: an augmenter that acts with a probability may leave a few batches unchanged.
    results = [checked.call(make(), seed=seed) for seed in range(N_SEEDS)]
    x = make().x
    require(any(not torch.equal(each, x) for each, _ in results), f"{N_SEEDS} batches did not change")
    differ = any(not _same(result, first) for result in results)
    require(differ or not checked.random, f"{N_SEEDS} seeds gave the same result; pass random=False if it has to")


def check_padding(checked: _Checked, make: Make) -> None:
    """Check that padding at an embedding's output stays as it is, as a call and in the forward pass."""
    case = make()
    if not isinstance(case.model, FromLayer):
        return
    padding = case.model.padding
    for seed in range(N_SEEDS):
        x, _ = checked.call(case, seed=seed)
        require(torch.equal(x[padding], case.x[padding]), "padding has changed")
        move = _planned(checked, case, "embedding", seed)
        in_place = case.x if move is None else move(case.x.clone())
        require(torch.equal(in_place[padding], case.x[padding]), "padding has changed in the forward pass")


def check_estimator(checked: _Checked, make: Make) -> None:
    """Check that an augmenter is a scikit-learn estimator, unless it is a function."""
    if not isinstance(checked.given, BaseEstimator):
        return
    wanted = checked.call(make())
    for copied in (clone(checked.given), pickle.loads(pickle.dumps(checked.given))):  # noqa: S301
        require(repr(copied) == repr(checked.given), f"a copy prints as {copied!r}")
        same = _same(_Checked(copied, checked.strength, checked.random).call(make()), wanted)
        require(same, "a clone or a pickled copy gives another result")
        copied.set_params(**copied.get_params(deep=False))
        require(repr(copied) == repr(checked.given), "a parameter that is set changes others")


def check_layer(checked: _Checked, make: Make) -> None:
    """Check the augmentation of a hidden layer's output inside the forward pass."""
    case = make()
    layer = next(name for name, module in case.network.named_modules() if name and module._parameters)
    features = FromLayer(case.network, layer, _inputs(case)).features().requires_grad_()
    try:
        move = _planned(checked, case, layer)
        if move is None:
            return
        # Products, because an augmenter may write into the output of a layer, but autograd refuses writes into a leaf.
        first, second = move(features * 1), move(features * 1)
    except (TypeError, ValueError):  # such as a table's layer, for what needs neighbours
        return
    require(first.shape == features.shape, f"at a layer the result has shape {tuple(first.shape)}")
    require(torch.equal(first, second), "at a layer two forward passes of one step are augmented differently")
    require(first.requires_grad, "at a layer no gradient reaches the layers before")


def check_fit(checked: _Checked, make: Make) -> None:
    """Check the augmenter in the fit of an estimator."""
    first, again = (_fitted(checked.given, checked.strength, make()) for _ in range(2))
    require(_equal_weights(first, again), "two fits with the same random_state gave different weights")
    plain, without = _fitted(None, 0, make()), _fitted(checked.given, 0, make())
    require(_equal_weights(plain, without), "at strength 0 the fit is not that without an augmenter")


def _fitted(augmenter: Any, strength: float, case: Case) -> Any:
    return ABAClassifier(
        case.network,
        augmenter=copy.deepcopy(augmenter),  # a function may keep state, which the estimator does not copy
        strength=strength,
        layer=case.model.layer if isinstance(case.model, FromLayer) else None,
        max_epochs=2,
        batch_size=len(case.x),
        train_split=None,
        random_state=0,
        verbose=0,
    ).fit(_inputs(case).numpy(), case.y.numpy())


def _planned(checked: _Checked, case: Case, layer: str, seed: int = 0) -> Any:
    """Return how a layer's output is augmented in the forward pass."""
    view, generator = FromLayer(case.network, layer, _inputs(case)), torch.Generator().manual_seed(seed)
    batch = Batch(view, None, case.y, nn.CrossEntropyLoss(), generator)
    move = checked.augmenter.plan(batch, checked.strength).move
    batch.features()  # the view finds the padding when the layer runs, as in the forward pass
    return move


def _inputs(case: Case) -> Tensor:
    """Return what the whole network is called with."""
    inputs: Tensor = case.model.inputs if isinstance(case.model, FromLayer) else case.x
    return inputs


def _equal_weights(first: Any, second: Any) -> bool:
    pairs = zip(first.module_.state_dict().values(), second.module_.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def _same(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def _series() -> Case:
    """Return the network of images behind a layer that folds a series into an image."""
    case = made("image")
    network = nn.Sequential(nn.Unflatten(2, case.x.shape[2:]), case.network)
    return Case(network, network, case.x.flatten(2), case.y)


def _text() -> Case:
    """Return the network of texts, half of which end with padding."""
    case = made("text")
    case.network.embedding.padding_idx = 0  # type: ignore[union-attr]
    ids = _inputs(case).clone()
    ids[::2, 4:] = 0  # only half of the texts, so that padding of one text cannot pass for that of all
    view = FromLayer(case.network, "embedding", ids)
    return Case(case.network, view, view.features(), case.y)


CASES: dict[str, Make] = {
    "table": partial(made, "table"),
    "image": partial(made, "image"),
    "series": _series,
    "text": _text,
}

CHECKS = (
    check_trace,
    check_result,
    check_strength,
    check_randomness,
    check_padding,
    check_estimator,
    check_layer,
    check_fit,
)
