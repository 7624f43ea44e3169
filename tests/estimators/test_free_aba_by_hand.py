"""FreeABA against the same training written out in torch: signs and percentiles, at every place and task."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor
from skaba.augmenters import ABA, AdjustmentSet, FreeABA, Percentiles, free_aba

SETTINGS = {
    "optimizer": torch.optim.SGD,
    "lr": 0.1,
    "max_epochs": 4,
    "batch_size": 32,
    "strength": 0.2,
    "random_state": 0,
    "verbose": 0,
}


class Net(nn.Module):
    """In double precision and in two parts, so that rounding decides nothing."""

    def __init__(self, front: nn.Module, back: nn.Module) -> None:
        super().__init__()
        self.front, self.back = front, back
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.back(self.front(x))


class ImageNet(Net):
    def __init__(self) -> None:
        back = nn.Sequential(
            nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2), nn.Flatten(), nn.Linear(48, 10)
        )
        super().__init__(nn.Conv2d(1, 3, 3, padding=1), back)


class TextNet(Net):
    def __init__(self, frozen: bool = False) -> None:
        super().__init__(
            nn.Embedding(12, 4, padding_idx=0),
            nn.Sequential(nn.Flatten(), nn.Linear(24, 8), nn.Tanh(), nn.Linear(8, 3)),
        )
        self.front.weight.requires_grad_(not frozen)


class TableNet(Net):
    def __init__(self, n_outputs: int = 2) -> None:
        super().__init__(nn.Identity(), nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, n_outputs)))


def categories(gradient: Tensor, percentiles: bool) -> Tensor:
    """A category a feature, from the definition."""
    values = gradient.numpy()
    bounds = np.quantile(values, [0.1, 0.9], method="higher") if percentiles else [0]
    return torch.as_tensor(sum((values >= bound).astype(int) for bound in bounds))


def by_hand(
    module: Callable[[], Net],
    X: np.ndarray,
    y: np.ndarray,
    criterion: nn.Module,
    aba: ABA,
    *,
    layer: bool = False,
    optimizer: Any = torch.optim.SGD,
    lr: float = SETTINGS["lr"],
    drop_last: bool = False,
) -> Net:
    """Train as ``SETTINGS`` say."""
    torch.manual_seed(0)
    net, generator, known = module(), torch.Generator().manual_seed(0), {}
    update = optimizer([p for p in net.parameters() if p.requires_grad], lr=lr)
    table = aba.adjustments.table(aba.selection.n_categories)
    samples = list(zip(torch.as_tensor(X), torch.as_tensor(y), range(len(X)), strict=True))
    loader = DataLoader(samples, batch_size=32, shuffle=True, drop_last=drop_last)
    for x, target, numbers in (batch for _ in range(4) for batch in loader):
        steps = table[torch.randint(len(table), (len(x),), generator=generator)] * 0.2
        steps *= torch.randn(len(x), 1, generator=generator).abs()
        change = torch.zeros_like((net.front(x) if layer else x).detach())
        for row, number in enumerate(numbers.tolist()):
            if number in known:
                change[row] = steps[row][known[number]]
        if layer and not x.is_floating_point():
            change[x == 0] = 0  # padding
        seen: list[Tensor] = []

        def evaluate() -> Tensor:
            update.zero_grad()
            changed = ((net.front(x) if layer else x) + change).requires_grad_()  # noqa: B023
            changed.retain_grad()
            loss = criterion(net.back(changed) if layer else net(changed), target)  # noqa: B023
            loss.backward()
            seen.append(changed.grad)  # noqa: B023
            return loss

        update.step(evaluate)
        for row, number in enumerate(numbers.tolist()):
            known[number] = categories(seen[-1][row], percentiles=aba.selection.n_categories == 3)
    return net


def images() -> tuple[np.ndarray, np.ndarray]:
    """100 in all: the last batch has 4."""
    draw = np.random.default_rng(0)
    y = draw.integers(0, 10, 100)
    return draw.normal(size=(100, 1, 8, 8)) + y[:, None, None, None] / 5, y


def texts() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(1)
    ids = draw.integers(1, 12, size=(70, 6))
    ids[::2, 4:] = 0
    return ids, ids[:, 0] % 3


def deviation(net: Any, by_hand: nn.Module) -> float:
    pairs = zip(net.module_.state_dict().values(), by_hand.state_dict().values(), strict=True)
    return max(float((ours - theirs).abs().max()) for ours, theirs in pairs)


ABAS = {
    "signs": free_aba(renew=1),
    # By hand a percentile is one of all positions, as in the source.
    "percentiles": FreeABA(Percentiles(0.1, 0.9, padding="include"), AdjustmentSet([1, 2, 3, 4, 5, 6]), renew=1),
}


@pytest.mark.parametrize(("optimizer", "lr"), [(torch.optim.SGD, 0.1), (torch.optim.Adam, 0.01)])
@pytest.mark.parametrize("layer", [None, "front"])
@pytest.mark.parametrize("aba", ABAS)
def test_images_are_trained_as_in_a_plain_loop(aba: str, layer: str | None, optimizer: Any, lr: float) -> None:
    X, y = images()
    own = {"optimizer": optimizer, "lr": lr}  # none of which kills a channel, whose gradients would be ties
    net = ABAClassifier(ImageNet, augmenter=ABAS[aba], layer=layer, **{**SETTINGS, **own}).fit(X, y)
    wanted = by_hand(ImageNet, X, y, nn.CrossEntropyLoss(), ABAS[aba], layer=layer is not None, **own)
    assert deviation(net, wanted) < 1e-6
    plain = ABAClassifier(ImageNet, augmenter=None, **{**SETTINGS, **own}).fit(X, y)
    assert deviation(plain, wanted) > 1e-3


@pytest.mark.parametrize("layer", [None, "front"])
def test_an_optimiser_that_evaluates_several_times_leaves_its_last_gradient(layer: str | None) -> None:
    X = np.random.default_rng(3).normal(size=(70, 6))
    y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
    lbfgs = partial(torch.optim.LBFGS, max_iter=3)
    net = ABAClassifier(TableNet, augmenter=free_aba(renew=1), layer=layer, **{**SETTINGS, "optimizer": lbfgs}).fit(
        X, y
    )
    wanted = by_hand(TableNet, X, y, nn.CrossEntropyLoss(), free_aba(), layer=layer is not None, optimizer=lbfgs)
    assert deviation(net, wanted) < 1e-6


@pytest.mark.parametrize("aba", ABAS)
def test_in_single_precision_bit_for_bit(aba: str) -> None:
    class Single(ImageNet):
        def __init__(self) -> None:
            super().__init__()
            self.float()

    X, y = images()
    X = X.astype(np.float32)
    net = ABAClassifier(Single, augmenter=ABAS[aba], **SETTINGS).fit(X, y)
    wanted = by_hand(Single, X, y, nn.CrossEntropyLoss(), ABAS[aba])
    assert deviation(net, wanted) == 0


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("aba", ABAS)
def test_texts_are_changed_at_the_embedding_and_padding_is_not(aba: str, frozen: bool) -> None:
    X, y = texts()
    net = ABAClassifier(TextNet, module__frozen=frozen, augmenter=ABAS[aba], layer="front", **SETTINGS).fit(X, y)
    wanted = by_hand(lambda: TextNet(frozen), X, y, nn.CrossEntropyLoss(), ABAS[aba], layer=True)
    assert deviation(net, wanted) < 1e-6


def test_a_last_batch_that_is_dropped() -> None:
    X, y = images()
    net = ABAClassifier(ImageNet, augmenter="free_aba", iterator_train__drop_last=True, **SETTINGS).fit(X, y)
    assert deviation(net, by_hand(ImageNet, X, y, nn.CrossEntropyLoss(), free_aba(), drop_last=True)) < 1e-6


TASKS = {
    "labels": (ABAMultiLabelClassifier, nn.BCEWithLogitsLoss, lambda X: (X[:, :2] > 0).astype(np.float32)),
    "values": (ABARegressor, nn.MSELoss, lambda X: (X[:, :2] ** 2).astype(np.float32)),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("aba", ABAS)
def test_labels_and_values_are_trained_as_in_a_plain_loop(aba: str, task: str) -> None:
    estimator, criterion, target = TASKS[task]
    X = np.random.default_rng(2).normal(size=(70, 6))
    net = estimator(TableNet, augmenter=ABAS[aba], criterion=criterion, **SETTINGS).fit(X, target(X))
    assert deviation(net, by_hand(TableNet, X, target(X), criterion(), ABAS[aba])) < 1e-6
    assert {row["train_batch_size"] for row in net.history[-1]["batches"]} == {32, 6}
