"""Hill climbing on binary masks: brute force on models whose best mask is known."""

from itertools import pairwise

import pytest
import torch
from sklearn.base import clone
from torch import nn

from skaba._validation import validate_parameters
from skaba.attribution import HillClimbing, Loss, PredictedClass, TrueClass
from skaba.network import FromLayer
from tests.tiny_nets import TextNet, linear, mlp, seeded, words

Y = torch.tensor([1, 0, 2])


def mask(model, x, y=None, target=None, criterion=None, seed=0, **parameters):
    target = target or TrueClass()
    return HillClimbing(**{"start": 1, **parameters})(
        model, x, y, target=target, criterion=criterion, generator=seeded(seed)
    )


def test_of_a_linear_model_what_speaks_against_the_target_is_dropped():
    # With single features every step is separable: enough of them drop exactly the negative terms.
    net, y = linear(12, 5), torch.arange(6) % 5
    x = torch.randn(6, 12, dtype=torch.float64)
    terms = x * net.weight[y].detach()
    got = mask(net, x, y, block=1, iterations=60, neighbours=20)
    assert torch.equal(got, (terms > 0).double())


def test_of_a_linear_model_on_images_whole_positions_are_dropped():
    # All channels go together, and what they add up to decides.
    net = nn.Sequential(nn.Flatten(), linear(32, 5)).double()
    x, y = torch.randn(4, 2, 4, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3])
    terms = (x.flatten(1) * net[1].weight[y].detach()).reshape(4, 2, 4, 4).sum(1, keepdim=True)
    got = mask(net, x, y, block=1, iterations=60, neighbours=30)
    assert torch.equal(got, (terms > 0).double().expand_as(x))


@pytest.mark.parametrize("baseline", [0.0, 0.5])
def test_the_value_never_falls(baseline):
    # With one generator's draws, a longer search goes on from a shorter one.
    net, x = mlp(), torch.randn(3, 6, generator=seeded(8))
    value = lambda kept: net(kept * x + (1 - kept) * baseline).gather(1, Y[:, None])[:, 0].detach()  # noqa: E731
    masks = [
        torch.ones_like(x),
        *(mask(net, x, Y, iterations=k, neighbours=3, baseline=baseline) for k in range(1, 12)),
    ]
    values = torch.stack([value(kept) for kept in masks])
    steps = values.diff(dim=0)
    assert (steps >= 0).all()
    assert (steps > 0).any()
    changed = torch.stack([(before != after).any(1) for before, after in pairwise(masks)])
    assert torch.equal(changed, steps > 0)  # only a higher value changes a mask
    assert all((after <= before).all() for before, after in pairwise(masks))  # it only shrinks


@pytest.mark.parametrize(
    ("shape", "block", "size"),
    [((2, 20), 3, 3), ((2, 3, 9), 2, 2), ((2, 3, 6, 5), 2, 4), ((2, 1, 4, 4), 4, 16), ((2, 1, 1, 4), 2, 2)],
)
def test_a_neighbour_removes_one_block(shape, block, size):
    seen = []

    def model(x):
        seen.append(x)
        return x.flatten(1).sum(1, keepdim=True)

    mask(model, torch.ones(shape), target=PredictedClass(), block=block, iterations=1, neighbours=200)
    tried = seen[2].reshape(200, *shape)
    if len(shape) > 2:
        assert torch.equal(tried, tried[:, :, :1].expand_as(tried))  # the same in every channel
        tried = tried[:, :, 0]
    gone = tried == 0
    assert (gone.flatten(2).sum(2) == size).all()
    assert gone.any(0).all()  # every position may go
    for axis in range(2, gone.dim()):
        others = [other for other in range(2, gone.dim()) if other != axis]
        along = gone.any(dim=others[0]) if others else gone
        assert (along.long().diff(dim=2) == -1).sum(2).max() <= 1  # in one piece
        assert (along.sum(2) == min(block, shape[axis - gone.dim()])).all()


def test_neighbours_share_a_pass_without_gradients():
    calls = []

    def model(x):
        calls.append((len(x), torch.is_grad_enabled()))
        return x

    mask(model, torch.randn(3, 4), target=PredictedClass(), iterations=4, neighbours=5)
    assert calls == [(3, False)] * 2 + [(15, False)] * 4


@pytest.mark.parametrize("start", [0.1, 0.5, 0.9])
def test_the_first_mask_is_random(start):
    # Nothing raises a constant, so the first mask is also the last.
    x = torch.ones(40, 2, 50)
    kept = mask(lambda x: 0 * x[:, 0], x, target=PredictedClass(), start=start, iterations=1)
    assert abs(kept.mean().item() - start) < 0.05
    assert (kept[:, 0].unique(dim=0)).shape[0] == 40  # each sample has its own


def test_of_equal_masks_the_whole_input_stays():
    x = torch.randn(3, 5)
    assert torch.equal(mask(lambda x: 0 * x, x, target=PredictedClass()), torch.ones_like(x))


def test_the_baseline_may_differ_by_channel():
    # What is removed becomes the baseline: here twice as much as before in the sum.
    model = lambda x: x.sum((1, 2))[:, None]  # noqa: E731
    x = torch.stack([torch.ones(2, 6), torch.tensor([[1.0], [3.0]]).expand(2, 6)])
    got = mask(model, x, target=PredictedClass(), baseline=torch.tensor([[1.0], [2.0]]), block=1, neighbours=20)
    assert torch.equal(got, torch.stack([torch.zeros(2, 6), torch.ones(2, 6)]))


def test_climbing_the_probability_drops_what_helps_the_rival_most():
    # Feature 0 raises the class by 1 and its rival by 3: without it the logit falls and the probability rises.
    net = nn.Linear(3, 2, bias=False).double()
    net.weight.data = torch.tensor([[1.0, 1.0, -1.0], [3.0, 0.0, 0.0]]).double()
    x, y = torch.ones(1, 3, dtype=torch.float64), torch.tensor([0])
    assert mask(net, x, y, block=1, climb="logit").tolist() == [[1.0, 1.0, 0.0]]
    assert mask(net, x, y, block=1, climb="probability").tolist() == [[0.0, 1.0, 0.0]]


def test_a_search_for_the_probability_reaches_the_best_of_all_masks():
    net, x = nn.Linear(8, 4).double(), torch.randn(3, 8, dtype=torch.float64, generator=seeded(1))
    masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 8).double()
    got = mask(net, x, Y, block=1, iterations=60, neighbours=16, climb="probability")
    for i in range(3):
        of_all = net(masks * x[i]).softmax(1)[:, Y[i]]
        reached = net((got * x)[i]).softmax(0)[Y[i]]
        # Features that fell early cannot come back, so the search may end in a local maximum; none lies near here.
        torch.testing.assert_close(reached, of_all.max(), rtol=0.02, atol=0)


@pytest.mark.parametrize("task", ["one output", "loss"])
def test_what_has_no_softmax_is_climbed_as_it_is(task):
    net, x, y = linear(12, 1), torch.randn(4, 12).double(), torch.randn(4, 1).double()
    ask = {"target": PredictedClass()} if task == "one output" else {"target": Loss(), "criterion": nn.MSELoss()}
    assert torch.equal(*(mask(net, x, y, climb=climb, **ask) for climb in ("logit", "probability")))


def test_a_block_that_is_larger_than_the_input_is_refused():
    for shape in ((2, 4), (2, 3, 4), (2, 3, 4, 2)):
        with pytest.raises(ValueError, match=r"HillClimbing\(block=5\) .* Set block to less than 4"):
            mask(lambda x: x.flatten(1), torch.ones(shape), target=PredictedClass(), block=5)


@pytest.mark.parametrize("outputs", [1, 3], ids=["regression", "multi_label"])
def test_the_mask_of_a_loss_keeps_what_makes_it_high(outputs):
    net, x, y = linear(20, outputs), torch.randn(4, 20).double(), torch.randn(4, outputs).double()
    loss = lambda x: ((net(x) - y) ** 2).mean(1)  # noqa: E731
    kept = mask(net, x, y, target=Loss(), criterion=nn.MSELoss())
    assert (loss(kept * x) > loss(x)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_at_an_embedding_words_go_as_a_whole(dtype):
    view = FromLayer(TextNet().to(dtype), "embedding", words())
    hidden, y = view.features(), torch.tensor([0, 1, 2, 0])
    got = mask(view, hidden, y)
    assert got.dtype == dtype
    assert got.is_contiguous()
    assert torch.equal(got, got[:, :, :1].expand_as(hidden))
    score = lambda hidden: view(hidden).gather(1, y[:, None])[:, 0].detach()  # noqa: E731
    assert (score(got * hidden) >= score(hidden)).all()
    assert (got == 0).any()


@pytest.mark.parametrize("name", ["iterations", "neighbours", "block"])
def test_bad_parameters_are_named(name):
    with pytest.raises(ValueError, match=f"'{name}' parameter of HillClimbing must be an int in the range"):
        validate_parameters(HillClimbing(**{name: 0}))


def test_parameters_clone():
    with pytest.raises(ValueError, match="'start' parameter of HillClimbing must be a float in the range"):
        validate_parameters(HillClimbing(start=0))
    copy = clone(HillClimbing(iterations=3, baseline=torch.ones(2)))
    assert copy.iterations == 3
    assert torch.equal(copy.baseline, torch.ones(2))
