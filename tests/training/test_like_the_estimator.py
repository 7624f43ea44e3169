"""The plain loop gives the same network as an estimator's ``fit``, bit for bit, given its weights, seed and batches."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skaba import ABAClassifier
from skaba.augmenters import FPA, GaussianNoise, Percentiles, fgsm, free_aba, mend_aba
from skaba.training import Augmentation
from tests.tiny_nets import TextNet, words
from tests.training.loops import ImageNet, same, train


class Recorder(Callback):
    """Keeps what training starts from."""

    module: nn.Module
    generator: torch.Tensor

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.module, self.generator = deepcopy(net.module_), net.generator_.get_state()


@pytest.mark.parametrize(
    ("augmenter", "strength"),
    [
        (mend_aba(), 0.3),
        (fgsm(), 0.1),
        (free_aba(), 0.3),
        (free_aba(selection=Percentiles(0.1, 0.9), renew=0.5), 0.3),
        (GaussianNoise(), 0.1),
        (FPA(), 1.0),
        (None, None),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("place", ["input", "features.0", "embedding"])
def test_like_fit(augmenter: Any, strength: float, place: str) -> None:
    if place == "embedding":
        module, X = TextNet, words(24)
        if isinstance(augmenter, FPA):
            pytest.skip("FPA is for images")
    else:
        module, X = ImageNet, torch.randn(24, 2, 6, 6)
    layer = None if place == "input" else place
    y = torch.arange(24) % 3
    recorder = Recorder()
    net = ABAClassifier(
        module,
        augmenter=augmenter,
        strength=strength,
        layer=layer,
        random_state=0,
        optimizer=torch.optim.SGD,
        lr=0.1,
        max_epochs=3,
        batch_size=8,
        iterator_train__shuffle=False,
        callbacks=[recorder],
        verbose=0,
    ).fit(X.numpy(), y.numpy())

    model = recorder.module
    augmentation = Augmentation(model, augmenter, strength, layer=layer, criterion=nn.CrossEntropyLoss())
    start = {**augmentation.state_dict(), "generator": recorder.generator}
    augmentation.load_state_dict(start)
    batches = [(X[index], y[index], index) for index in torch.arange(24).split(8)]
    plain = deepcopy(model)
    found = train(model, batches, augmentation, epochs=3)
    assert same(found, net.module_.state_dict())
    assert (augmenter is None) == same(found, train(plain, batches, None, epochs=3))
