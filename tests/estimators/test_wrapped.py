"""Compiled modules, and modules wrapped by accelerate or data parallelism, are attributed as they are inside."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from skorch.hf import AccelerateMixin
from torch import Tensor, nn

from skaba import ABAClassifier
from skaba.attribution import Gradient, PredictedClass
from skaba.network import unwrapped
from tests.estimators.conftest import SmallNet, same, weights


class AcceleratedClassifier(AccelerateMixin, ABAClassifier):
    """What users of accelerate write."""


@pytest.fixture
def _fresh_accelerate() -> Iterator[None]:
    """accelerate keeps its settings for the whole process."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def _recorded(models: list[nn.Module]) -> Any:
    class Recorded(Gradient):
        def _attribute(self, model: Any, x: Tensor, fix: Any, generator: Any) -> Tensor:
            models.append(model)
            return super()._attribute(model, x, fix, generator)

    return Recorded()


def test_unwrapped_sees_through_all_wrappers() -> None:
    net = SmallNet()
    compiled = torch.compile(net, backend="eager")
    assert unwrapped(compiled) is net
    assert unwrapped(nn.DataParallel(net)) is net
    assert unwrapped(nn.DataParallel(compiled)) is net
    assert unwrapped(torch.compile(nn.DataParallel(net), backend="eager")) is net
    assert unwrapped(net) is net
    assert unwrapped(max) is max


def test_a_compiled_module_is_asked_inside(make_net: Any, digits: Any) -> None:
    models: list[nn.Module] = []
    clf = make_net(compile=True, compile__backend="eager", augmenter__attribution=_recorded(models)).fit(*digits)
    assert set(models) == {clf.module_._orig_mod}


@pytest.mark.usefixtures("_fresh_accelerate")
@pytest.mark.parametrize("layer", [None, "features.2"])
def test_accelerate_changes_nothing_on_one_cpu(make_net: Any, digits: Any, layer: str | None) -> None:
    plain = make_net(layer=layer)
    net = AcceleratedClassifier(**{**plain.get_params(deep=False), "device": None}, accelerator=Accelerator(cpu=True))
    assert same(weights(net.fit(*digits)), weights(plain.fit(*digits)))


@pytest.mark.usefixtures("_fresh_accelerate")
def test_accelerate_in_mixed_precision(make_net: Any, digits: Any) -> None:
    """The map is computed in the precision that training runs in, and comes back in the input's."""
    settings = {**make_net(max_epochs=8).get_params(deep=False), "device": None}
    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    net = AcceleratedClassifier(**settings, accelerator=accelerator, unwrap_after_train=False).fit(*digits)
    maps = net.attribute(digits[0][:3])
    assert maps.dtype == np.float32
    plain = SmallNet()
    plain.load_state_dict(net.module_.state_dict())
    x = torch.as_tensor(digits[0][:3])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wanted = Gradient()(plain, x, target=PredictedClass())
    np.testing.assert_allclose(maps, wanted, rtol=0.02, atol=1e-2)
    assert not np.allclose(maps, Gradient()(plain, x, target=PredictedClass()), rtol=1e-5)
    assert net.score(*digits) > 0.3
