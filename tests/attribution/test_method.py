"""What all attribution methods share."""

import pickle

import pytest
import torch
from sklearn.base import clone

from skaba.attribution import (
    AttributionMethod,
    Gradient,
    InputXGradient,
    IntegratedGradients,
    PredictedClass,
    RandomMap,
    SmoothGrad,
    TrueClass,
    rows_of,
)
from skaba.attribution._method import normal_like, per_sample, repeat
from tests.tiny_nets import linear, seeded

METHODS = [
    Gradient(),
    InputXGradient(),
    IntegratedGradients(steps=3),
    SmoothGrad(InputXGradient(), samples=2),
    RandomMap(),
]


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_an_input_of_integers_is_refused(method, dtype):
    with pytest.raises(TypeError, match=rf"floating-point input, got {dtype}.*layer='embedding'"):
        method(lambda x: x, torch.ones(2, 3).to(dtype), target=PredictedClass(), generator=seeded())


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_methods_clone_pickle_and_print(method):
    net, x, y = linear(), torch.randn(3, 20, dtype=torch.float64), torch.tensor([0, 1, 2])
    wanted = method(net, x, y, target=TrueClass(), generator=seeded())
    for copy in (clone(method), pickle.loads(pickle.dumps(method)), eval(repr(method))):  # noqa: S301, S307
        assert type(copy) is type(method)
        assert repr(copy) == repr(method)
        assert torch.equal(copy(net, x, y, target=TrueClass(), generator=seeded()), wanted)


def test_the_target_gets_everything_it_may_need():
    seen = []

    def target(logits, y, *, criterion, generator):
        seen.append((logits.requires_grad, logits.shape, y, criterion, generator))
        return lambda logits: logits[:, 0]

    x, y, generator, criterion = torch.zeros(2, 3), torch.tensor([0, 1]), seeded(), torch.nn.MSELoss()
    Gradient()(lambda x: 2 * x, x, y, target=target, criterion=criterion, generator=generator)
    assert seen == [(False, (2, 3), y, criterion, generator)]


def test_a_subclass_writes_one_method():
    class Occlude(AttributionMethod):
        def _attribute(self, model, x, fix, generator):
            assert not model.training
            with torch.no_grad():
                return x - fix(model(x))(model(x))[:, None]

    net = linear(2, 2)
    x = torch.ones(1, 2, dtype=torch.float64)
    assert torch.equal(Occlude()(net, x, target=PredictedClass()), x - net(x).max().detach())


def test_the_base_class_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        AttributionMethod()


def test_repeat_stacks_whole_batches():
    x = torch.arange(6).reshape(2, 3)
    assert torch.equal(repeat(x, 2), torch.cat([x, x]))
    assert repeat(torch.zeros(2, 3, 4, 5), 3).shape == (6, 3, 4, 5)


def test_per_sample_broadcasts_over_samples():
    values = per_sample(torch.tensor([2.0, 3.0]), torch.ones(2, 4, 5))
    assert (torch.ones(2, 4, 5) * values).sum(dim=(1, 2)).tolist() == [40.0, 60.0]


def test_normal_like_draws_from_the_generator():
    x = torch.zeros(50, 40, dtype=torch.float64)
    noise = normal_like(x, seeded(1))
    assert noise.dtype == x.dtype
    assert torch.equal(noise, normal_like(x, seeded(1)))
    assert not torch.equal(noise, normal_like(x, seeded(2)))
    assert torch.equal(noise, torch.randn(50, 40, generator=seeded(1), dtype=torch.float64))


def test_normal_like_seeds_a_generator_on_another_device():
    # No accelerator here: one is played by a generator that only says it lives elsewhere.
    class Elsewhere:
        type = "elsewhere"

    class Spy(torch.Generator):
        device = Elsewhere()

    spy = Spy().manual_seed(3)
    first, second = (normal_like(torch.zeros(4, 5), spy) for _ in range(2))
    again = normal_like(torch.zeros(4, 5), Spy().manual_seed(3))
    seed = int(torch.randint(2**62, (), generator=seeded(3)))
    assert torch.equal(first, torch.randn(4, 5, generator=seeded(seed)))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_normal_like_on_a_gpu_follows_the_cpu_generator():
    x = torch.zeros(4, 5, device="cuda")
    assert torch.equal(normal_like(x, seeded(1)), normal_like(x, seeded(1)))
    assert normal_like(x, seeded(1)).device == x.device


def test_rows_of_an_ordinary_model_is_the_model():
    net = linear()
    assert rows_of(net, torch.tensor([1])) is net
