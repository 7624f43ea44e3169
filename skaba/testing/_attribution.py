"""The check of an attribution method."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from sklearn.base import BaseEstimator, clone
from torch import Tensor, nn

from skaba.attribution import PredictedClass, attributed
from skaba.testing._networks import NETWORKS, Case, NetworkError, another_random_state, failing, made, with_weights
from skaba.testing._requirements import require
from skaba.testing._traces import traceless


def check_attribution_method(method: Any, *, rows_independent: bool = True) -> list[str]:
    """Check that an attribution method keeps the rules for all methods.

    The method is called on small built-in networks: for tables, for images, and for texts at their embedding. A
    network that the method refuses with a TypeError or a ValueError is left out.

    Parameters
    ----------
    method : AttributionMethod or callable
        An instance, or a function with the arguments of an :class:`~skaba.attribution.AttributionMethod`.
    rows_independent : bool, default=True
        Whether the map of a sample is independent of the other samples of the batch. Pass False for a method that
        compares samples; the independence is then not checked.

    Returns
    -------
    list of str
        The networks on which the method was checked, of "table", "image" and "text".

    Raises
    ------
    AssertionError
        If the method fails a check; the message says which one. If it refuses all networks, it gives the reasons.

    Notes
    -----
    The checks:

    * The map has the shape, dtype and device of x, is finite and detached, and is the same under ``torch.no_grad()``.
    * The method changes neither x nor y. It leaves no trace: training flags, buffers, parameters and their gradients,
      hooks and the global random states are as before, also if the network raises an error, which comes through.
    * The map depends on nothing but the arguments: the same generator gives the same map, and a method that does not
      draw from the generator gives the same map for any. Without a generator, a method that draws raises a ValueError.
    * A batch of one sample has a map, or is refused with a ValueError. A sample's map does not depend on the others.
    * A method that is a scikit-learn estimator clones, prints and pickles, keeps its parameters under their names, and
      checks each of them before it calls the model.
    * ``is_differentiable`` is true: with ``create_graph=True`` the map is the same and its gradients with respect to x
      and the parameters are those of finite differences; a method that is not differentiable refuses it with a
      ValueError before it calls the model.

    Examples
    --------
    >>> from skaba.attribution import InputXGradient
    >>> from skaba.testing import check_attribution_method
    >>> check_attribution_method(InputXGradient())
    ['table', 'image', 'text']

    A custom function; the first mistake that is found is reported.

    >>> import torch
    >>> def noise(model, x, y, *, target, criterion, generator):
    ...     return torch.randn_like(x)
    >>> check_attribution_method(noise)
    Traceback (most recent call last):
    ...
    AssertionError: <function noise at ...> on the network 'table': left a trace: torch's random state
    """
    refusals = {name: _refusal(method, made(name)) for name in NETWORKS}
    fitting = [name for name, refusal in refusals.items() if refusal is None]
    if not fitting:
        reasons = "; ".join(f"{name}: {refusal}" for name, refusal in refusals.items())
        raise AssertionError(f"{method!r} refuses every network ({reasons})")
    checks = [check for check in CHECKS if rows_independent or check is not check_rows]
    for name in fitting:
        for check in checks:
            try:
                check(method, partial(made, name))
            except AssertionError as error:
                raise AssertionError(f"{method!r} on the network {name!r}: {error}") from error
    return fitting


def _refusal(method: Any, case: Case) -> Exception | None:
    try:
        _map(method, case)
    except (TypeError, ValueError) as error:
        return error
    return None


def _map(method: Any, case: Case, *, seed: int | None = 0, **arguments: Any) -> Any:
    """Call a method; without a seed there is no generator."""
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    arguments = {"target": PredictedClass(), "criterion": None, "generator": generator, **arguments}
    return method(case.model, case.x, case.y, **arguments)


def _raises(kinds: Any, call: Callable[[], Any]) -> bool:
    try:
        call()
    except kinds:
        return True
    except NetworkError:
        return False
    return False


Make = Callable[..., Case]


def check_map(method: Any, make: Make) -> None:
    """Check the map's form and that inputs are not changed."""
    case = make()
    copies = case.x.clone(), case.y.clone()
    map_ = _map(method, case)
    require(isinstance(map_, Tensor), f"the map is a {type(map_).__name__}, not a tensor")
    for name in ("shape", "dtype", "device"):
        got, wanted = getattr(map_, name), getattr(case.x, name)
        require(got == wanted, f"the map's {name} is {got}, not that of x, {wanted}")
    require(bool(map_.isfinite().all()), "the map holds NaN or infinity")
    require(not map_.requires_grad, "the map is not detached")
    require(torch.equal(case.x, copies[0]) and torch.equal(case.y, copies[1]), "x or y has changed")
    # Evaluation often runs under no_grad, which must not turn off the gradients inside a method.
    with torch.no_grad():
        require(torch.equal(_map(method, make()), map_), "the map is another one under torch.no_grad()")
    # case.model is the network or a view of it, so it becomes double too.
    double = Case(case.network.double(), case.model, case.x.double(), case.y)
    require(_map(method, double).dtype == torch.float64, "the map of a double x is not double")


def check_trace(method: Any, make: Make) -> None:
    """Check that the method leaves no trace, also after an error."""
    # Both modes: a method that always calls train() at its end would pass in one of them.
    for training in (True, False):
        case = make()
        case.network.train(training)
        with traceless(case.model), traceless(case.network):
            _map(method, case)
    # A failure in the first pass and one between two passes, when flags and hooks have been changed.
    for on_pass in (1, 2):
        case = make()
        with failing(case.network, on_pass) as calls, traceless(case.model), traceless(case.network):
            raised = _raises(NetworkError, lambda case=case: _map(method, case))  # type: ignore[misc]
        require(raised or len(calls) < on_pass, "an error of the network did not come through")


def check_randomness(method: Any, make: Make) -> None:
    """Check that random numbers come from the generator only, and that it is required."""
    first = _map(method, make())
    require(torch.equal(_map(method, make()), first), "the same generator gave two maps")
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    _map(method, make(), generator=generator)
    draws = not torch.equal(generator.get_state(), before)
    refuses = _raises(ValueError, lambda: _map(method, make(), seed=None))
    require(refuses or not draws, "it draws from the generator, but raises no ValueError without one")
    require(draws or not refuses, "it refuses a call without a generator, but does not draw from it")
    with another_random_state():
        require(torch.equal(_map(method, make()), first), "the map depends on the global random state")


def check_single(method: Any, make: Make) -> None:
    """Check a batch of one sample."""
    case = make()
    model, x, y = case.rows(torch.tensor([1]))
    single = case._replace(model=model, x=x, y=y)
    try:
        map_ = _map(method, single)
    except ValueError:
        return
    require(map_.shape == x.shape, f"the map of one sample has shape {tuple(map_.shape)}, not {tuple(x.shape)}")


def check_rows(method: Any, make: Make) -> None:
    """Check that a sample's map does not change with the other samples."""
    case = make()
    # The batches have the same shape and therefore the same random numbers, so a method that draws can be compared too.
    others = case.x.flip(0) * 2
    others[-1] = case.x[-1]
    same = torch.isclose(_map(method, case)[-1], _map(method, case._replace(x=others))[-1], rtol=1e-3, atol=1e-5)
    require(
        bool(same.all()),
        "the map of a sample changed with the other samples; pass rows_independent=False if it has to",
    )


def check_estimator(method: Any, make: Make) -> None:
    """Check that a method is a scikit-learn estimator, unless it is a function."""
    if not isinstance(method, BaseEstimator):
        return
    wanted = _map(method, make())
    for copied in (clone(method), pickle.loads(pickle.dumps(method))):  # noqa: S301
        require(repr(copied) == repr(method), f"a copy prints as {copied!r}")
        require(torch.equal(_map(copied, make()), wanted), "a clone or a pickled copy gives another map")
    for name in method.get_params(deep=False):
        case = make()
        wrong = clone(method).set_params(**{name: _Strange()})
        with failing(case.network, 1) as calls:
            refused = _raises((TypeError, ValueError), lambda wrong=wrong, case=case: _map(wrong, case))  # type: ignore[misc]
        require(refused and not calls, f"{name}={_Strange()!r} is not refused before the model is called")


class _Strange:
    """A value that no parameter allows."""

    def __repr__(self) -> str:
        return "<an object of another type>"


def check_graph(method: Any, make: Make) -> None:
    """Check that is_differentiable is true."""
    flag = getattr(method, "is_differentiable", False)
    require(isinstance(flag, bool), f"is_differentiable is {flag!r}, not a bool")
    # Finite differences need a smooth network: the second derivative of ReLU is 0 almost everywhere.
    case = make(nn.Tanh) if flag else make()
    with failing(case.network, 0 if flag else 1) as calls, traceless(case.network):
        call = partial(attributed, method, case.model, case.x, case.y, target=PredictedClass(), create_graph=True)
        if not flag:
            require(_raises(ValueError, call) and not calls, "create_graph=True is not refused with a ValueError")
            return
        map_ = call(generator=torch.Generator().manual_seed(0))
    require(torch.allclose(map_.detach(), _map(method, make(nn.Tanh))), "create_graph=True changes the map")
    _check_gradients(method, make(nn.Tanh))


def _check_gradients(method: Any, case: Case) -> None:
    """Compare a map's gradients with finite differences, in double precision and on a smooth network."""
    network = case.network.double()
    weights = {name: weight.detach().clone().requires_grad_() for name, weight in network.named_parameters()}

    def map_of(x: Tensor, *values: Tensor) -> Tensor:
        with with_weights(network, dict(zip(weights, values, strict=True))):
            map_: Tensor = _map(method, case._replace(x=x), create_graph=True)
            return map_

    x = case.x.double().requires_grad_()
    try:
        # fast_mode compares along random directions, which takes a few calls instead of one per parameter.
        torch.autograd.gradcheck(map_of, (x, *weights.values()), fast_mode=True, check_undefined_grad=False)
    except (RuntimeError, ValueError) as error:
        raise AssertionError(f"is_differentiable is True, but the map's gradient is wrong: {error}") from error


CHECKS = (check_trace, check_map, check_randomness, check_single, check_rows, check_estimator, check_graph)
