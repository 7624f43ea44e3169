"""check_augmenter finds each mistake, and passes what is right."""

import subprocess
import sys
from contextlib import suppress

import pytest
import torch
from torch import nn

from skaba.attribution import Gradient, PredictedClass
from skaba.augmenters import Augmenter
from skaba.testing import check_augmenter


class Noise(Augmenter):
    """The right one; its subclasses make one mistake each."""

    default_strength = 0.5

    def __init__(self, scale=1.0):
        self.scale = scale

    def _plan(self, batch, strength):
        def add(x):
            noise = torch.randn(x.shape, generator=batch.generator).to(x)
            return x + strength * self.scale * noise

        return add


class Global(Noise):
    def _plan(self, batch, strength):
        return lambda x: x + strength * torch.randn_like(x)


class Fixed(Noise):
    def _plan(self, batch, strength):
        return lambda x: x + strength


class Nothing(Noise):
    def _plan(self, batch, strength):
        torch.rand(1, generator=batch.generator)
        return lambda x: x + 0


class Detached(Noise):
    def _plan(self, batch, strength):
        return lambda x: x.detach() + strength * torch.randn(x.shape, generator=batch.generator)


class InPlace(Noise):
    def _plan(self, batch, strength):
        return lambda x: x.add_(strength * torch.randn(x.shape, generator=batch.generator))


class TooFewTargets(Noise):
    def _plan(self, batch, strength):
        return super()._plan(batch, strength), torch.zeros(1)


class WritesIntoTargets(Noise):
    def _plan(self, batch, strength):
        batch.y.add_(1)
        return super()._plan(batch, strength)


class Trains(Noise):
    def _plan(self, batch, strength):
        batch.model.train()
        return super()._plan(batch, strength)


class Backward(Noise):
    def _plan(self, batch, strength):
        batch.model(batch.features()).sum().backward()
        return super()._plan(batch, strength)


class Swallows(Noise):
    def _plan(self, batch, strength):
        with suppress(RuntimeError), torch.no_grad():
            batch.attribute(Gradient(), PredictedClass())
        return super()._plan(batch, strength)


class ForImages(Noise):
    def _plan(self, batch, strength):
        if batch.features().dim() != 4:
            raise ValueError("only images")
        return super()._plan(batch, strength)


class Unfinished(Noise):
    """Takes no care of padding."""

    def _finished(self, move, batch):
        state = batch.generator.get_state()

        def from_there(x):
            batch.generator.set_state(state)
            return move(x)

        return from_there


class Forgets(Noise):
    def __init__(self, scale=1.0):
        self.scale = scale
        self.calls = 0

    def _plan(self, batch, strength):
        self.calls += 1
        return lambda x: x + strength * self.calls


class Unchecked(Noise):
    def _check_call(self, batch, strength):
        """Allow all."""

    def _plan(self, batch, strength):
        return super()._plan(batch, 1.0)


class Narrow(Noise):
    """Refuses a strength that it says it allows."""

    def _plan(self, batch, strength):
        if strength > 0.5:
            raise ValueError("too much")
        return super()._plan(batch, strength)


class Doubles(Noise):
    """Prints a parameter as it is not."""

    def __repr__(self):
        return f"Doubles({id(self)})"


class Redraws(Noise):
    """Another result in each forward pass of a step."""

    def _plan(self, batch, strength):
        calls = []

        def add(x):
            calls.append(1)
            return x + strength * len(calls) * torch.randn(x.shape, generator=batch.generator)

        return add


class GrowsWhere0(Noise):
    def plan(self, batch, strength):
        return super().plan(batch, max(strength, 0.1) if strength == 0 else strength)


MISTAKES = [
    (Global(), "left a trace: torch's random state"),
    (Fixed(), "20 seeds gave the same result; pass random=False if it has to"),
    (Nothing(), "20 batches did not change"),
    (Detached(), "no gradient reaches the layers before"),
    (TooFewTargets(), "new targets do not have one row per sample"),
    (WritesIntoTargets(), "x or y has changed"),
    (Trains(), "left a trace: .*training"),
    (Backward(), "left a trace: .*gradient"),
    (Swallows(), "an error of the network did not come through"),
    (Unfinished(), "on the network 'text': padding has changed"),
    (Forgets(), "the same generator gave two results"),
    (Unchecked(), "strength=-0.1 is not refused"),
    (Narrow(), "strength=1.0 is refused, but largest_strength is inf"),
    (Doubles(), "a copy prints as"),
    (Redraws(), "two forward passes of one step are augmented differently"),
    (GrowsWhere0(), "the result at strength 0 is not x itself"),
]


@pytest.mark.parametrize(("augmenter", "message"), MISTAKES, ids=[type(each).__name__ for each, _ in MISTAKES])
def test_each_mistake_is_found(augmenter, message):
    with pytest.raises(AssertionError, match=f"(?s){message}"):
        check_augmenter(augmenter)


def test_what_is_right_passes():
    assert check_augmenter(Noise()) == ["table", "image", "series", "text"]
    assert check_augmenter(Noise(), strength=3.0) == ["table", "image", "series", "text"]
    assert check_augmenter(Fixed(), random=False) == ["table", "image", "series", "text"]


def test_a_function_may_change_targets_too():
    def flips(model, x, y, *, strength, criterion, generator):
        return x + torch.rand((), generator=generator), 2 - y

    assert len(check_augmenter(flips)) == 4


def test_a_network_that_is_refused_is_left_out():
    assert check_augmenter(ForImages()) == ["image"]


def test_if_all_are_refused_the_reasons_are_given():
    with pytest.raises(AssertionError, match=r"(?s)refuses every network \(table: .*wrote into .*; text: "):
        check_augmenter(InPlace())
    with pytest.raises(ValueError, match="must be an augmenter"):
        check_augmenter(3)
    with pytest.raises(ValueError, match="makes an augmenter"):
        check_augmenter(Noise)


def test_a_function_that_needs_a_module_is_no_mistake():
    def sharpened(model, x, y, *, strength, criterion, generator):
        assert isinstance(model, nn.Module)
        return x * (1 + strength * torch.rand((), generator=generator))

    check_augmenter(sharpened, strength=0.3)


def test_no_pytest_is_needed():
    code = "import sys, skaba.testing; sys.exit('pytest' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603
