"""After fit, augment and attribute, and after an exception in them, nothing is left behind."""

import gc
import resource
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skaba import ABAClassifier
from skaba.attribution import Gradient
from skaba.augmenters import mend_aba
from tests.estimators.conftest import SmallNet, same, weights


def _trace(module: nn.Module) -> dict[str, Any]:
    """Everything that computing maps could change."""
    return {
        "flags": [m.training for m in module.modules()],
        "requires_grad": [p.requires_grad for p in module.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in module.parameters()],
        "buffers": [b.clone() for b in module.buffers()],
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in module.modules()],
        "random": torch.get_rng_state(),
    }


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return all(_equal(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(_equal, first, second))
    return bool(first == second)


class Failing(Gradient):
    """Raises an error while a map is computed."""

    def _attribute(self, model: Any, x: Tensor, fix: Any, generator: Any) -> Tensor:
        super()._attribute(model, x, fix, generator)
        raise RuntimeError("half-way")


@pytest.mark.parametrize("layer", [None, "features.2"])
def test_augment_and_attribute(make_net: Any, digits: Any, layer: str | None) -> None:
    clf = make_net(layer=layer).fit(*digits)
    clf.module_.train()
    clf.module_.features[1].eval()  # a frozen BatchNorm must stay frozen
    clf.module_.features[0].weight.requires_grad_(False)
    before = _trace(clf.module_)
    clf.augment(*digits)
    clf.attribute(*digits)
    assert _equal(_trace(clf.module_), before)


@pytest.mark.parametrize("layer", [None, "features.2"])
@pytest.mark.parametrize("what", ["augment", "attribute"])
def test_exception_inside(make_net: Any, digits: Any, layer: str | None, what: str) -> None:
    clf = make_net(layer=layer).fit(*digits)
    clf.set_params(augmenter=mend_aba(attribution=Failing()))
    clf.module_.train()
    before = _trace(clf.module_)
    with pytest.raises(RuntimeError, match="half-way"):
        getattr(clf, what)(*digits)
    assert _equal(_trace(clf.module_), before)


@pytest.mark.parametrize("layer", [None, "features.2"])
def test_failed_training_step(make_net: Any, digits: Any, layer: str | None) -> None:
    clf = make_net(layer=layer).fit(*digits)
    clf.set_params(augmenter=mend_aba(attribution=Failing()))
    clf.module_.train()
    clf.module_.zero_grad()  # what every step begins with
    before = _trace(clf.module_)
    batch = torch.as_tensor(digits[0][:32]), torch.as_tensor(digits[1][:32])
    with pytest.raises(RuntimeError, match="half-way"):
        clf.train_step(batch)
    assert _equal(_trace(clf.module_), before)


def test_step_differs_from_skorch_only_in_the_batch(make_net: Any, digits: Any) -> None:
    """An augmented step equals a plain step on the augmented batch: weights, BatchNorm, random state."""
    batch = torch.as_tensor(digits[0][:32]), torch.as_tensor(digits[1][:32])
    seen = []

    def recording(model: Any, x: Tensor, y: Tensor, **arguments: Any) -> Tensor:
        seen.append(mend_aba()(model, x, y, **arguments))
        return seen[0]

    final = []
    for augmenter in (recording, None):
        net = make_net(random_state=None, augmenter=augmenter)
        torch.manual_seed(1)
        net.initialize()
        net._learn_targets(np.arange(10))
        net.output_checked_ = False
        net.train_step(batch if augmenter else (seen[0], batch[1]))
        final.append([*weights(net), torch.get_rng_state()])
    assert not torch.equal(seen[0], batch[0])
    assert same(*final)


def test_a_net_without_hooks_has_none_after_fit(make_net: Any, digits: Any) -> None:
    clf = make_net(layer="features.2").fit(*digits)
    assert all(not m._forward_hooks for m in clf.module_.modules())


@pytest.mark.slow
def test_memory_does_not_grow_over_1000_steps(digits: Any) -> None:
    clf = ABAClassifier(SmallNet, random_state=0, verbose=0)
    clf.initialize()
    clf._learn_targets(np.arange(10))
    clf.output_checked_ = True
    batch = torch.as_tensor(digits[0][:64]), torch.as_tensor(digits[1][:64])
    for _ in range(200):
        clf.train_step(batch)
    gc.collect()
    objects = len(gc.get_objects())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(1000):
        clf.train_step(batch)
    gc.collect()
    assert len(gc.get_objects()) - objects < 100
    # Kilobytes; one kept batch a step would be 16 MB, one kept graph several times that.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 8_000
