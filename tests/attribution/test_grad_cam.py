"""Grad-CAM against closed forms and captum."""

import captum.attr
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skaba._validation import validate_parameters
from skaba.attribution import GradCAM, Loss, PredictedClass, SmoothGrad, TrueClass
from skaba.network import FromLayer, WithArguments
from tests.tiny_nets import TextNet, conv_net, images, linear, seeded, trap, words

Y = torch.tensor([1, 0, 2])


def signal_net():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv1d(2, 4, 3),
        nn.ReLU(inplace=True),
        nn.MaxPool1d(2),
        nn.Conv1d(4, 3, 2),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(15, 5),
    )


def captums(net, layer, x, y, relu, mode):
    oracle = captum.attr.LayerGradCam(net.eval(), net.get_submodule(layer))
    map_ = oracle.attribute(x, target=y, relu_attributions=relu).detach()
    return F.interpolate(map_, x.shape[2:], mode=mode, align_corners=False).expand_as(x)


def cam(net, x, y=Y, target=None, **parameters):
    return GradCAM(**parameters)(net, x, y, target=target or TrueClass())


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("layer", [None, "0", "1", "3", "5"])
def test_maps_of_images_are_captums(layer, relu):
    got = cam(conv_net(), images(), layer=layer, relu=relu)
    torch.testing.assert_close(got, captums(conv_net(), layer or "3", images(), Y, relu, "bilinear"))
    assert got.is_contiguous()
    assert (got < 0).any() != relu


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("layer", [None, "0", "2"])
def test_maps_of_signals_are_captums(layer, relu):
    x = torch.randn(3, 2, 14, generator=seeded())
    got = cam(signal_net(), x, layer=layer, relu=relu)
    out_of_place = signal_net()
    out_of_place[1] = out_of_place[4] = nn.ReLU()
    torch.testing.assert_close(got, captums(out_of_place, layer or "3", x, Y, relu, "linear"))


def test_a_map_of_one_channel_is_that_channel_times_its_mean_gradient():
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(16, 1, bias=False)).double()
    x = torch.randn(3, 1, 4, 4).double()
    kernel, weight = net[0].weight.item(), net[2].weight.mean().item()
    torch.testing.assert_close(cam(net, x, target=PredictedClass(), relu=False), weight * kernel * x)


def test_at_an_embedding_the_map_runs_along_the_words():
    net, ids, y = TextNet(), words(), torch.tensor([0, 1, 2, 0])
    rest = FromLayer(net, "embedding", ids)
    got = cam(rest, rest.features(), y, relu=False)
    activation = net.convolution(net.embedding(ids).transpose(1, 2)).detach().requires_grad_()
    total = net.output(activation.relu().mean(2)).gather(1, y[:, None]).sum()
    (gradient,) = torch.autograd.grad(total, activation)
    wanted = (gradient.mean(2, keepdim=True) * activation).sum(1).detach()
    torch.testing.assert_close(got, wanted[:, :, None].expand(4, 7, 5))


@pytest.mark.parametrize("layer", [None, "3"])
def test_layers_keep_their_names_in_a_view(layer):
    # The view's input has the size of the network's, so the two maps are the same but for channels.
    net, x = conv_net(), images()
    rest = FromLayer(net, "2", x)
    whole = cam(net, x, layer=layer)
    torch.testing.assert_close(cam(rest, rest.features(), layer=layer)[:, :2], whole)
    torch.testing.assert_close(cam(WithArguments(net, {}), x, layer=layer), whole)


class Branches(nn.Module):
    """Its last convolution by name is not the last that is called, and one is never called."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.late, self.early, self.unused = nn.Conv1d(3, 2, 3), nn.Conv1d(2, 3, 3), nn.Conv1d(1, 1, 1)
        self.recurrent = nn.LSTM(8, 4, batch_first=True)
        self.output = nn.Linear(2, 3)

    def forward(self, x):
        self.recurrent(x)
        return self.output(self.late(self.early(x).relu()).relu().mean(2))


def test_the_last_convolution_is_the_one_called_last():
    net, x = Branches(), torch.randn(3, 2, 8, generator=seeded())
    assert torch.equal(cam(net, x), cam(net, x, layer="late"))
    assert not torch.equal(cam(net, x), cam(net, x, layer="early"))


def test_of_a_layer_that_is_called_twice_the_last_call_counts():
    conv, rest = nn.Conv1d(2, 2, 3, padding=1), (nn.Flatten(), nn.Linear(16, 3))
    twice, x = nn.Sequential(conv, nn.Tanh(), conv, *rest), torch.randn(3, 2, 8)
    once = nn.Sequential(conv, *rest)
    for layer in (None, "0"):
        torch.testing.assert_close(cam(twice, x, layer=layer), cam(once, conv(x).tanh().detach(), layer=layer))


def test_one_forward_pass_is_enough():
    net = trap()
    cam(net, torch.randn(3, 2, 8, generator=seeded()))
    assert net[4].calls == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_loss_can_be_a_target(dtype):
    # The loss is a function of x like any other: a model that returns it has the same map.
    net, x = signal_net().to(dtype), torch.randn(3, 2, 14, dtype=dtype)
    y = torch.randn(3, 5, dtype=dtype)
    as_model = nn.Sequential(*net[:6], Squares(net[6], y))
    got = GradCAM(relu=False)(net, x, y, target=Loss(), criterion=nn.MSELoss())
    assert got.dtype == dtype
    torch.testing.assert_close(got, cam(as_model, x, target=PredictedClass(), relu=False))


class Squares(nn.Module):
    def __init__(self, output, y):
        super().__init__()
        self.output, self.y = output, y

    def forward(self, x):
        return ((self.output(x) - self.y) ** 2).mean(1, keepdim=True)


def test_can_be_smoothed():
    smooth = SmoothGrad(GradCAM(), noise=0)(conv_net(), images(), Y, target=TrueClass(), generator=seeded())
    torch.testing.assert_close(smooth, cam(conv_net(), images()))


@pytest.mark.xfail(strict=True, reason="Grad-CAM weights what a layer returns: the same function has other layers.")
def test_is_implementation_invariant():
    first, rest, copy = nn.Conv1d(2, 3, 3), (nn.Flatten(), nn.Linear(18, 3)), nn.Conv1d(3, 3, 1, bias=False)
    with torch.no_grad():
        copy.weight.copy_(torch.eye(3)[:, :, None])
    x = torch.randn(3, 2, 8)
    one, two = nn.Sequential(first, nn.ReLU(), *rest), nn.Sequential(first, nn.ReLU(), copy, *rest)
    torch.testing.assert_close(one(x), two(x))
    torch.testing.assert_close(cam(one, x, relu=False), cam(two, x, relu=False))


# --- manners


def test_needs_a_convolution():
    with pytest.raises(ValueError, match="finds no convolution in the network: set layer"):
        cam(nn.Sequential(nn.Flatten(), nn.Linear(72, 5)), images())


def test_the_convolution_must_be_called():
    net = nn.Sequential(nn.Flatten(), nn.Linear(72, 5))
    net[1].spare = nn.Conv2d(1, 1, 1)
    with pytest.raises(ValueError, match="never reaches any convolution"):
        cam(net, images())
    with pytest.raises(ValueError, match="never reaches layer='unused'"):
        cam(Branches(), torch.randn(3, 2, 8), layer="unused")


def test_needs_a_module():
    with pytest.raises(TypeError, match=r"an nn\.Module with a convolution, got a function"):
        cam(lambda x: x, images())


def test_the_layer_must_exist():
    with pytest.raises(ValueError, match=r"no layer named '33'\. Did you mean '3'\?"):
        cam(conv_net(), images(), layer="33")


def test_the_layer_must_return_a_tensor():
    with pytest.raises(ValueError, match="needs a layer that returns one tensor; this one returns a tuple"):
        cam(Branches(), torch.randn(3, 2, 8), layer="recurrent")


def test_a_table_has_no_places():
    with pytest.raises(ValueError, match=r"one or two spatial axes.*For tables use another method"):
        cam(nn.Sequential(linear()), torch.randn(3, 20).double(), layer="0")
    net = nn.Sequential(nn.Unflatten(1, (1, 20)), nn.Conv1d(1, 1, 1), nn.Flatten(), nn.Linear(20, 5))
    with pytest.raises(ValueError, match=r"one or two spatial axes.*For tables use another method"):
        cam(net, torch.randn(3, 20))


def test_the_layer_must_have_the_inputs_axes():
    with pytest.raises(ValueError, match="has another number of spatial axes than the input"):
        cam(conv_net(), images(), layer="7")


@pytest.mark.parametrize("layer", [None, "0", "3"])
def test_the_layer_must_follow_the_view(layer):
    rest = FromLayer(conv_net(), "3", images())
    message = f"does not reach {'any convolution' if layer is None else f'layer={layer!r}'}: it lies before the layer"
    with pytest.raises(ValueError, match=message):
        cam(rest, rest.features(), layer=layer)


def test_the_target_must_depend_on_the_layer():
    net = conv_net()
    net.register_forward_hook(lambda module, args, logits: logits.detach())
    with pytest.raises(ValueError, match="does not reach any convolution"):
        cam(net, images())


@pytest.mark.parametrize("wrong", [GradCAM(layer=3), GradCAM(relu="yes")])
def test_bad_parameters_are_named(wrong):
    with pytest.raises(ValueError, match="parameter of GradCAM must be"):
        validate_parameters(wrong)
