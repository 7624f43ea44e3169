"""Which methods a network can use is found by trying."""

import inspect

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import Tensor, nn

import skaba.attribution
from skaba.attribution import DESCRIPTIONS, METHODS, AttributionMethod, Loss, TrueClass, available
from skaba.attribution._method import About
from skaba.testing import trace_of
from tests.tiny_nets import TextNet, conv_net, images, mlp, trap, words


def reasons(*args, **kwargs):
    return {trial.method: trial.reason for trial in available(*args, **kwargs)}


def plain_conv():
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3))


def test_every_method_has_a_description_of_one_short_line():
    assert DESCRIPTIONS.keys() == METHODS.keys()
    assert all(0 < len(line) <= 57 for line in DESCRIPTIONS.values())  # with the names they fit 80 columns


def test_the_catalogue_is_complete():
    public = {
        name
        for name, item in vars(skaba.attribution).items()
        if inspect.isclass(item) and issubclass(item, AttributionMethod) and not inspect.isabstract(item)
    }
    assert set(METHODS) == public


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_costs(name):
    method = METHODS[name]
    assert isinstance(method.about, About)
    assert all((method.about.forward, method.about.backward, method.about.needs))
    assert "pass" in method.__doc__
    assert "References" in method.__doc__ or name == "RandomMap"
    assert clone(method()).get_params().keys() == method().get_params().keys()


def test_a_plain_convolutional_network_can_use_all():
    trials = available(plain_conv(), images(1))
    assert trials.usable == list(METHODS)
    assert [trial.reason for trial in trials] == [""] * len(METHODS)


def test_every_sample_after_the_first_is_left_alone():
    assert available(plain_conv(), images(3)) == available(plain_conv(), images(3)[:1])


def test_text_is_tried_at_its_embedding():
    trials = available(TextNet(), words(1), layer="embedding")
    assert {"Gradient", "GradCAM", "Occlusion", "GuidedBackprop"} <= set(trials.usable)
    assert "LRP" not in trials.usable  # a mean between its layers


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.first(x)))


class Reused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.act = nn.Linear(6, 6), nn.Linear(6, 4), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.act(self.first(self.act(x))))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.last = nn.GRU(6, 5, batch_first=True), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.gru(x)[1][0])


@pytest.mark.parametrize(
    ("net", "x", "method", "reason"),
    [
        (Functional(), torch.randn(1, 6), "GuidedBackprop", "relu"),
        (Functional(), torch.randn(1, 6), "DeepLift", "relu"),
        (mlp(), torch.randn(1, 6), "GradCAM", "no convolution"),
        (Recurrent(), torch.randn(1, 3, 6), "LRP", "GRU"),
        (Recurrent(), torch.randn(1, 3, 6), "DeepLift", "GRU"),
    ],
)
def test_the_reason_names_what_is_in_the_way(net, x, method, reason):
    assert reason in reasons(net, x)[method]


def test_a_rectifier_that_works_in_place_and_is_used_again_is_no_hindrance():
    assert {"GuidedBackprop", "LRP", "DeepLift"} <= set(available(Reused(), torch.randn(1, 6)).usable)


def test_gradients_fit_recurrent_networks():
    assert {"Gradient", "SmoothGrad", "IntegratedGradients", "Occlusion"} <= set(
        available(Recurrent(), torch.randn(1, 3, 6)).usable
    )


def test_a_map_that_is_not_finite_is_no_map():
    class Root(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sqrt()  # of infinite slope at 0

    assert "returned a map with NaN or infinity for 2 of 2 samples" in reasons(Root(), torch.zeros(1, 2))["Gradient"]


def test_other_targets():
    assert "Gradient" in available(mlp(), torch.randn(1, 6), [2], target=TrueClass()).usable
    y = np.zeros((1, 4), dtype=np.float32)
    trials = available(mlp(), torch.randn(1, 6), y, target=Loss(), criterion=nn.BCEWithLogitsLoss())
    assert "IntegratedGradients" in trials.usable


def test_leaves_no_trace():
    net = trap()
    torch.manual_seed(3)
    x = torch.randn(1, 2, 8)
    before = trace_of(net)
    available(net, x)
    assert trace_of(net) == before


def test_a_compiled_module_is_unwrapped():
    net = plain_conv()
    assert available(torch.compile(net, backend="eager"), images(1)) == available(net, images(1))


def test_prints_as_a_table():
    lines = str(available(mlp(), torch.randn(1, 6))).splitlines()
    assert len(lines) == len(METHODS)
    assert lines[0].split() == ["Gradient", "yes"]
    assert any(line.startswith("GradCAM") and "no: " in line for line in lines)


def test_bad_input():
    with pytest.raises(
        TypeError, match=r"needs an nn\.Module, got builtin_function_or_method; for a fitted estimator pass its module_"
    ):
        available(torch.relu, torch.randn(1, 6))
    with pytest.raises(ValueError, match="x must hold numbers"):
        available(mlp(), np.array([["a"] * 6]))
    with pytest.raises(ValueError, match="x contains NaN or infinity in its first sample"):
        available(mlp(), torch.full((1, 6), torch.nan))
    with pytest.raises(ValueError, match="x has no sample"):
        available(mlp(), torch.randn(0, 6))
    with pytest.raises(TypeError, match="floating-point"):
        available(nn.Identity(), torch.zeros(1, 6, dtype=torch.long))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        available(mlp(), torch.randn(1, 7))
    with pytest.raises(ValueError, match="no layer named"):
        available(conv_net(), images(1), layer="nowhere")
