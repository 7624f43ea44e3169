"""A watched batch tells its gradient, is not copied, and may be worked on in place."""

import pytest
import torch
from torch import nn

from skaba.network import watched
from tests.tiny_nets import conv_net, images


def test_a_watched_batch_tells_its_gradient_in_every_backward_pass():
    net, x, seen = conv_net(), images(), []
    watched_x = watched(x.clone(), seen.append)
    for scale in (1.0, 3.0):  # an optimiser may evaluate several times
        (scale * net(watched_x).square().sum()).backward()
    leaf = x.clone().requires_grad_()
    net(leaf).square().sum().backward()
    assert len(seen) == 2
    torch.testing.assert_close(seen[0], leaf.grad)
    torch.testing.assert_close(seen[1], 3 * leaf.grad)


def test_watching_a_batch_changes_neither_it_nor_the_parameters_gradients():
    x, gradients = images(), []
    for batch in (x, watched(x.clone(), lambda gradient: None)):
        net = conv_net()
        net(batch).square().sum().backward()
        gradients.append([parameter.grad for parameter in net.parameters()])
        assert torch.equal(batch, x)
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


def test_a_watched_batch_is_taken_over_not_copied():
    x = images()
    assert watched(x, lambda gradient: None).data_ptr() == x.data_ptr()


def test_nothing_is_watched_where_there_is_no_backward_pass():
    x = images()
    with torch.no_grad():
        assert watched(x, pytest.fail) is x


def test_a_watched_batch_may_be_worked_on_in_place():
    net, x, seen = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(72, 5)), images(), []
    net(watched(x.clone(), seen.append)).sum().backward()
    assert torch.equal(seen[0] != 0, x > 0)
