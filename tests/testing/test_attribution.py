"""The check of attribution methods finds each mistake, and passes what is right."""

import random
import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest
import torch

from skaba.attribution import (
    IBA,
    METHODS,
    AttributionMethod,
    ExpectedGradients,
    GradCAM,
    Gradient,
    GuidedBackprop,
    InputXGradient,
    MicroBatches,
    SmoothGrad,
)
from skaba.network import answer, input_gradient, require_generator
from skaba.testing import check_attribution_method
from tests.tiny_nets import seeded

EVERYWHERE = ["table", "image", "text"]


class Right(AttributionMethod):
    """A method as a third party writes it; each of the others below has one mistake."""

    is_differentiable = True
    _parameter_constraints: ClassVar = {"factor": [float]}

    def __init__(self, factor=2.0):
        self.factor = factor

    def _attribute(self, model, x, target, generator):
        return self.factor * self.gradient(model, x, target)

    @staticmethod
    def gradient(model, x, target):
        return input_gradient(model, x, lambda logits: target(logits)(logits), x.requires_grad)


class Unchecked(Right):
    _parameter_constraints: ClassVar = {}

    def _attribute(self, model, x, target, generator):
        return self.gradient(model, x, target)


class CheckedTooLate(Right):
    _parameter_constraints: ClassVar = {}

    def _attribute(self, model, x, target, generator):
        map_ = self.gradient(model, x, target)
        if not isinstance(self.factor, float):
            raise ValueError("factor must be a float")
        return map_


class Renamed(AttributionMethod):
    def __init__(self, factor=2.0):
        self.kept = factor

    def _attribute(self, model, x, target, generator):
        return Right.gradient(model, x, target)


class Detached(Right):
    def _attribute(self, model, x, target, generator):
        return super()._attribute(model, x, target, generator).detach()


class HalfDetached(Right):
    def _attribute(self, model, x, target, generator):
        return x.detach() * super()._attribute(model, x, target, generator)


class Unclear(Right):
    is_differentiable = "sometimes"


class Global(Right):
    def _attribute(self, model, x, target, generator):
        return torch.rand(x.shape, dtype=x.dtype)  # the state is restored afterwards, so two calls agree


class HiddenState(Right):
    calls = 0

    def _attribute(self, model, x, target, generator):
        HiddenState.calls += 1
        return HiddenState.calls * super()._attribute(model, x, target, generator)


class Swallows(Right):
    def _attribute(self, model, x, target, generator):
        try:
            return super()._attribute(model, x, target, generator)
        except RuntimeError:
            return torch.zeros_like(x)


class Demanding(Right):
    def _attribute(self, model, x, target, generator):
        return super()._attribute(model, x, target, require_generator(generator, self))


class InPlace(Right):
    def _attribute(self, model, x, target, generator):
        map_ = super()._attribute(model, x, target, generator)
        x.detach().mul_(2)
        return map_


class Compares(Right):
    def _attribute(self, model, x, target, generator):
        return x - x.mean(0) + super()._attribute(model, x, target, generator)


class Single(Right):
    def _attribute(self, model, x, target, generator):
        if len(x) == 1:
            raise IndexError("one sample")
        return super()._attribute(model, x, target, generator)


class GradMode(Right):
    def _attribute(self, model, x, target, generator):
        map_ = super()._attribute(model, x, target, generator)
        return map_ if torch.is_grad_enabled() else 2 * map_


class Tables(Right):
    def _attribute(self, model, x, target, generator):
        if x.dim() > 2:
            raise ValueError("for tables only")
        return super()._attribute(model, x, target, generator)


class NoWhere(Right):
    def _attribute(self, model, x, target, generator):
        raise ValueError("it fits nothing")


class OneByOne(Right):
    """Explains one sample at a time, as perturbation methods do."""

    is_differentiable = False

    def _attribute(self, model, x, target, generator):
        score = target(answer(model, x))
        value = score(answer(model, x)).detach()
        zeros = score(answer(model, torch.zeros_like(x))).detach()
        return (value - zeros).reshape(-1, *[1] * (x.dim() - 1)).expand_as(x)


@pytest.mark.parametrize("method", [Right(), Right(factor=0.5), OneByOne()], ids=repr)
def test_what_is_right_passes(method):
    assert check_attribution_method(method) == EVERYWHERE


def test_what_fits_some_networks_is_checked_on_those():
    assert check_attribution_method(Tables()) == ["table"]
    assert check_attribution_method(GradCAM()) == ["image", "text"]


MISTAKES = {
    Unchecked: "factor=<an object of another type> is not refused before the model is called",
    CheckedTooLate: "factor=<an object of another type> is not refused before the model is called",
    Detached: "is_differentiable is True, but the map's gradient is wrong",
    HalfDetached: "is_differentiable is True, but the map's gradient is wrong",
    Unclear: "is_differentiable is 'sometimes', not a bool",
    Global: "the map depends on the global random state",
    Demanding: "it refuses a call without a generator, but does not draw from it",
    HiddenState: r"another one under torch\.no_grad\(\)",
    GradMode: r"another one under torch\.no_grad\(\)",
    Swallows: "an error of the network did not come through",
    InPlace: "x or y has changed",
    Compares: "the map of a sample changed with the other samples; pass rows_independent=False",
}


@pytest.mark.parametrize("kind", MISTAKES, ids=lambda kind: kind.__name__)
def test_a_mistake_is_named(kind):
    with pytest.raises(AssertionError, match=rf"{kind.__name__}\(.*\) on the network '\w+': .*{MISTAKES[kind]}"):
        check_attribution_method(kind())


def test_a_method_that_compares_samples_may_say_so():
    assert check_attribution_method(Compares(), rows_independent=False) == EVERYWHERE
    assert check_attribution_method(ExpectedGradients(samples=3), rows_independent=False) == EVERYWHERE


def test_a_method_that_fits_nothing_gives_its_reasons():
    with pytest.raises(AssertionError, match=r"NoWhere\(\) refuses every network \(table: it fits nothing; image: "):
        check_attribution_method(NoWhere())


def test_a_parameter_that_is_not_kept_is_an_error():
    with pytest.raises((AssertionError, AttributeError), match="factor"):
        check_attribution_method(Renamed())


def test_an_error_of_the_methods_own_comes_through():
    with pytest.raises(IndexError, match="one sample"):
        check_attribution_method(Single())


def test_a_class_of_a_function_cannot_be_pickled():
    class Local(Right):
        pass

    with pytest.raises((AttributeError, TypeError), match=r"[Pp]ickle|local"):
        check_attribution_method(Local())


# --- plain functions


def function(change):
    def own(model, x, y=None, *, target, criterion=None, generator=None):
        map_ = Gradient()(model, x, y, target=target, criterion=criterion, generator=generator)
        return change(map_, model, x, generator)

    return own


def train(map_, model, x, generator):
    model.train()
    return map_


def accumulate(map_, model, x, generator):
    with torch.enable_grad():
        model(x).sum().backward()
    return map_


def unhook(map_, model, x, generator):
    model.register_forward_hook(lambda *_: None)
    return map_


def draw_globally(map_, model, x, generator):
    np.random.rand()
    return map_


def draw_pythonly(map_, model, x, generator):
    random.random()  # noqa: S311
    return map_


def draw(map_, model, x, generator):
    return map_ + torch.randn(x.shape, generator=generator or seeded(), dtype=x.dtype)


FUNCTIONS = [
    (lambda map_, *_: map_.numpy(), "the map is a ndarray, not a tensor"),
    (lambda map_, *_: map_[:, :1].mean(1), r"the map's shape is .* not that of x"),
    (lambda map_, *_: map_.half(), r"the map's dtype is torch\.float16, not that of x, torch\.float32"),
    (lambda map_, *_: map_.float(), "the map of a double x is not double|dtype is torch.float32"),
    (lambda map_, *_: map_ / 0, "the map holds NaN or infinity"),
    (lambda map_, *_: map_.clone().requires_grad_(), "the map is not detached"),
    (lambda map_, model, x, _: x.mul_(2) * 0 + map_, "x or y has changed"),
    (train, r"left a trace: .*\.training"),
    (accumulate, "left a trace: .*gradient of"),
    (unhook, "left a trace: .*hooks"),
    (draw_globally, "left a trace: NumPy's random state"),
    (draw_pythonly, "left a trace: Python's random state"),
    (draw, "it draws from the generator, but raises no ValueError without one"),
    (lambda map_, model, x, _: map_ + torch.rand(()), "left a trace: torch's random state"),
]


@pytest.mark.parametrize(("change", "message"), FUNCTIONS, ids=[message for _, message in FUNCTIONS])
def test_a_functions_mistake_is_named(change, message):
    with pytest.raises(AssertionError, match=rf"(?s)own at .* on the network 'table': .*{message}"):
        check_attribution_method(function(change))


def test_a_function_passes():
    assert check_attribution_method(function(lambda map_, *_: map_.abs())) == EVERYWHERE


def test_a_function_that_keeps_the_graph():
    def own(model, x, y=None, *, target, criterion=None, generator=None, create_graph=False):
        return InputXGradient()(model, x, y, target=target, create_graph=create_graph)

    own.is_differentiable = True
    assert check_attribution_method(own) == EVERYWHERE

    def lying(model, x, y=None, *, target, criterion=None, generator=None, create_graph=False):
        return InputXGradient()(model, x, y, target=target)

    lying.is_differentiable = True
    with pytest.raises(AssertionError, match="is_differentiable is True, but the map's gradient is wrong"):
        check_attribution_method(lying)


# --- skaba's own

COMPARES = {"ExpectedGradients", "GradientShap", "IBA"}
FAST = {
    "KernelShap": {"samples": 6},
    "Lime": {"samples": 6},
    "IBA": {"steps": 3, "samples": 2},
    "HillClimbing": {"iterations": 2, "neighbours": 2},
}
VARIANTS = [
    *(kind(**FAST.get(name, {})) for name, kind in METHODS.items()),
    *(Gradient("train"), InputXGradient("train"), GradCAM("4"), GradCAM(mode="train", relu=False)),
    *(IBA("0", steps=2, samples=2), IBA("0", steps=2, samples=2, background=torch.ones(3, 2, 5, 5))),
    *(SmoothGrad(InputXGradient(), batch_size=3), SmoothGrad(GuidedBackprop(), samples=2), SmoothGrad(Right())),
    *(MicroBatches(batch_size=3), MicroBatches(SmoothGrad(samples=2), batch_size=1), MicroBatches(Right())),
    ExpectedGradients(batch_size=7),
]


@pytest.mark.parametrize("method", VARIANTS, ids=repr)
def test_skabas_methods_pass(method):
    compares = type(method).__name__ in COMPARES or method.mode == "train"
    fitting = EVERYWHERE[1:] if "GradCAM" in repr(method) else EVERYWHERE
    if getattr(method, "layer", None) is not None:
        fitting = ["image"]
    assert check_attribution_method(method, rows_independent=not compares) == fitting


@pytest.mark.parametrize("kind", sorted(COMPARES))
def test_methods_that_compare_samples_are_found(kind):
    with pytest.raises(AssertionError, match="changed with the other samples"):
        check_attribution_method(METHODS[kind]())


def test_it_needs_no_pytest_and_leaves_no_trace():
    code = (
        "import sys; sys.modules['pytest'] = None; import torch; state = torch.get_rng_state();"
        "from skaba.testing import check_attribution_method; from skaba.attribution import Gradient;"
        "check_attribution_method(Gradient()); assert torch.equal(torch.get_rng_state(), state); print('fine')"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert found.stdout.strip() == "fine"
