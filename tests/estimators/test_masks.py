"""Masks through fit: cut with X, checked before any work, and used by penalties on the batch that is trained on."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.dataset import Dataset
from torch import Tensor, nn
from torch.utils.data import Subset, TensorDataset

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor
from skaba.augmenters import PRESETS, Augmenter, Compose, Mixup
from skaba.losses import RRR, ForwardPass, Penalty
from tests.estimators.conftest import same, weights


class Seen(Penalty):
    """Costs nothing, and remembers what it is given."""

    batches: list[ForwardPass] = []  # noqa: RUF012 - clones share it

    def _of_samples(self, forward_pass: ForwardPass) -> Tensor:
        self.batches.append(forward_pass)
        return forward_pass.features.flatten(1).sum(1) * 0


@pytest.fixture
def seen() -> type[Seen]:
    Seen.batches.clear()
    return Seen


def corner(X: np.ndarray, size: int = 2) -> np.ndarray:
    """All may matter but a corner."""
    mask = np.ones((len(X), *X.shape[2:]), dtype=bool)
    mask[:, :size, :size] = False
    return mask


# --- which mask belongs to which sample


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("train_split", [None, 0.25])
def test_every_sample_comes_with_its_own_mask(
    make_net: Any, digits: Any, seen: Any, shuffle: bool, train_split: Any
) -> None:
    X, y = digits[0].copy(), digits[1]
    mask = np.random.RandomState(0).rand(*X.shape[:1], 8, 8) < 0.5
    X[:, 0] = np.where(mask, X[:, 0] + 2, X[:, 0])  # a value above 2 tells that the place may matter
    net = make_net(
        augmenter=None, penalty=seen(), iterator_train__shuffle=shuffle, train_split=train_split, max_epochs=2
    )
    net.fit(X, y, mask=mask)
    assert sum(len(each.features) for each in seen.batches) == 2 * (150 if train_split else 200)
    for each in seen.batches:
        assert torch.equal(each.mask, each.features >= 2)


@pytest.mark.parametrize("shape", ["full", "without channels"])
def test_masks_may_lack_the_channels(make_net: Any, digits: Any, seen: Any, shape: str) -> None:
    X, y = digits
    mask = corner(X) if shape == "without channels" else corner(X)[:, None]
    make_net(augmenter=None, penalty=seen(), max_epochs=1).fit(X, y, mask=mask)
    assert all(each.mask.shape == each.features.shape and not each.mask[:, :, :2, :2].any() for each in seen.batches)


def test_none_stands_for_a_sample_without_feedback(make_net: Any, digits: Any, seen: Any) -> None:
    X, y = digits
    mask = [one if number % 2 else None for number, one in enumerate(corner(X))]
    settings = {"augmenter": None, "max_epochs": 1, "iterator_train__shuffle": False}
    make_net(penalty=seen(), **settings).fit(X, y, mask=mask)
    masks = torch.cat([each.mask for each in seen.batches])
    assert masks[::2].all()
    assert not masks[1::2, :, :2, :2].any()


def test_where_no_sample_has_feedback_training_is_plain(make_net: Any, digits: Any) -> None:
    X, y = digits
    plain = weights(make_net(max_epochs=1).fit(X, y))
    for samples in (X, TensorDataset(torch.as_tensor(X), torch.as_tensor(y))):
        net = make_net(penalty=RRR(), max_epochs=1).fit(samples, y, mask=[None] * 200)
        assert same(weights(net), plain)


def test_a_dataset_and_tensors_have_masks_too(make_net: Any, digits: Any) -> None:
    X, y = digits
    own = {"penalty": RRR(), "max_epochs": 1}
    wanted = weights(make_net(**own).fit(X, y, mask=corner(X)))
    dataset = TensorDataset(torch.as_tensor(X), torch.as_tensor(y))
    assert same(weights(make_net(**own).fit(dataset, y, mask=corner(X))), wanted)
    assert same(weights(make_net(**own).fit(X, y, mask=torch.as_tensor(corner(X)))), wanted)


# --- bad masks


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda mask: mask[:-1], "one entry per sample, 200; it has 199 entries"),
        (lambda mask: mask[:, :-1], r"mask has shape \(200, 7, 8\), but X has shape \(200, 1, 8, 8\)"),
        (lambda mask: mask[:, :, :, None], r"mask has shape \(200, 8, 8, 1\).*must have the shape \(200, 1, 8, 8\) or"),
        (
            lambda mask: mask.all(axis=(1, 2)),
            r"mask has shape \(200,\); it needs one entry per sample, and the axes of a sample",
        ),
        (lambda mask: mask.astype(int), "mask holds int64 values; it must be boolean"),
        (lambda mask: mask.astype(float), "mask holds float64 values; it must be boolean"),
        (lambda mask: mask & (np.arange(200) != 3)[:, None, None], "False everywhere for 1 of 200.*sample 3.*~mask"),
        (lambda mask: [mask[0], *[one[1:] for one in mask[1:]]], "entries of different shapes"),
        (lambda mask: 3, "it has the type int"),
    ],
)
def test_bad_masks_get_one_clear_error_before_any_work(make_net: Any, digits: Any, change: Any, message: str) -> None:
    X, y = digits
    net = make_net(penalty=RRR())
    with pytest.raises(ValueError, match=message):
        net.fit(X, y, mask=change(corner(X)))
    assert not net.initialized_


def test_a_penalty_needs_masks_and_masks_need_something_that_uses_them(make_net: Any, digits: Any) -> None:
    X, y = digits
    with pytest.raises(ValueError, match=r"penalty=RRR\(\) needs feedback on which features may matter.*mask=mask"):
        make_net(penalty=RRR()).fit(X, y)
    with pytest.warns(UserWarning, match="mask is ignored: nothing uses it. Set penalty="):
        plain = make_net(max_epochs=1).fit(X, y, mask=corner(X))
    assert same(weights(plain), weights(make_net(max_epochs=1).fit(X, y)))
    with pytest.raises(ValueError, match="correct would change nothing by the mask"):
        plain.correct(X, y, corner(X))


def test_an_augmenter_may_use_masks(make_net: Any, digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class DropIrrelevant(Augmenter):
        uses_mask = True

        def _plan(self, batch: Any, strength: float) -> Any:
            return lambda x: torch.where(batch.mask.unsqueeze(1), x, torch.zeros_like(x))

    X, y = digits
    mask = corner(X)
    dropped = weights(make_net(augmenter=None).fit(X * mask[:, None], y))
    monkeypatch.setitem(PRESETS, "drop_irrelevant", DropIrrelevant)
    for augmenter in (DropIrrelevant(), "drop_irrelevant", Compose([DropIrrelevant()], strengths=[1])):
        net = make_net(augmenter=augmenter, strength=1).fit(X, y, mask=mask)
        assert same(dropped, weights(net))
        net.correct(X, y, mask)


def test_an_ignored_mask_does_not_reach_the_augmenter(make_net: Any, digits: Any) -> None:
    X, y = digits
    with pytest.warns(UserWarning, match="mask is ignored"):
        ignored = make_net(augmenter=Mixup(), max_epochs=1).fit(X, y, mask=corner(X))
    assert same(weights(ignored), weights(make_net(augmenter=Mixup(), max_epochs=1).fit(X, y)))


# --- penalties


def test_where_everything_may_matter_training_is_plain_bit_for_bit(make_net: Any, digits: Any) -> None:
    X, y = digits
    mask = np.ones((200, 8, 8), dtype=bool)
    for layer in (None, "features.0"):
        plain = make_net(strength=0.1, layer=layer).fit(X, y)
        with_penalty = make_net(strength=0.1, layer=layer, penalty=RRR()).fit(X, y, mask=mask)
        assert same(weights(with_penalty), weights(plain))


@pytest.mark.parametrize("kind", ["classifier", "labels", "regressor"])
def test_rrr_is_a_double_backward_pass_by_hand(kind: str) -> None:
    """One step of gradient descent on a batch, in double precision."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(12, 5, generator=generator, dtype=torch.float64).numpy()
    mask = np.arange(5)[None] > np.arange(12)[:, None] % 3
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).double()
    labels = np.arange(12) % 3
    shared: dict[str, Any] = {"augmenter": None, "penalty": RRR(weight=2.0), "optimizer": torch.optim.SGD, "lr": 0.1}
    shared |= {"max_epochs": 1, "batch_size": -1, "verbose": 0, "iterator_train__shuffle": False}
    if kind == "classifier":
        net, y, log_p = ABAClassifier(module, **shared), labels, lambda logits: logits.log_softmax(1)
        criterion: Any = nn.CrossEntropyLoss()
    elif kind == "labels":
        y = np.eye(3)[labels].astype(np.float64)
        net, log_p = ABAMultiLabelClassifier(module, **shared), nn.functional.logsigmoid
        criterion = nn.BCEWithLogitsLoss()
    else:
        net = ABARegressor(module, **shared)
        with pytest.raises(ValueError, match="The penalty needs log-probabilities, but y holds"):
            net.fit(X, np.random.RandomState(0).randn(12, 3), mask=mask)
        return
    net.fit(X, y, mask=mask)
    x = torch.as_tensor(X).requires_grad_()
    logits = module(x)
    targets = torch.as_tensor(y) if kind == "classifier" else torch.as_tensor(y, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(log_p(logits).sum(), x, create_graph=True)
    loss = criterion(logits, targets) + 2 * ((gradient * ~torch.as_tensor(mask)) ** 2).sum(1).mean()
    for own, before, step in zip(
        net.module_.parameters(), module.parameters(), torch.autograd.grad(loss, list(module.parameters())), strict=True
    ):
        torch.testing.assert_close(own, before - 0.1 * step, rtol=0, atol=1e-12)


def test_no_second_forward_pass_is_made(make_net: Any, digits: Any) -> None:
    X, y = digits
    calls = []
    net = make_net(augmenter=None, penalty=RRR(), max_epochs=1, train_split=None, batch_size=50).initialize()
    net.module_.register_forward_hook(lambda *_: calls.append(1))
    net.partial_fit(X, y, mask=corner(X))
    assert len(calls) == 4


def test_a_penalty_lowers_gradients_where_features_are_irrelevant(make_net: Any, digits: Any) -> None:
    X, y = digits
    mask = corner(X, 4)

    def reliance(net: Any) -> float:
        maps = np.abs(net.attribute(X, y))[:, 0]
        return float(maps[~mask].mean() / maps.mean())

    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 30), nn.ReLU(), nn.Linear(30, 10))
    shared = {"module": module, "augmenter": None, "max_epochs": 20, "lr": 0.01}
    plain = make_net(**shared).fit(X, y)
    right = make_net(**shared, penalty=RRR(weight=10.0)).fit(X, y, mask=mask)
    assert reliance(right) < 0.1 * reliance(plain)
    assert right.score(X, y) > 0.9


def test_a_get_loss_that_forgets_the_penalty_is_refused(digits: Any) -> None:
    class Forgetful(ABAClassifier):
        def get_loss(self, y_pred: Any, y_true: Any, *args: Any, **kwargs: Any) -> Tensor:
            return self.criterion_(y_pred, y_true)

    X, y = digits
    net = Forgetful(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), augmenter=None, penalty=RRR(), verbose=0)
    with pytest.raises(ValueError, match=r"without penalty=RRR\(\): let get_loss call super\(\).get_loss"):
        net.fit(X, y, mask=corner(X))


# --- scikit-learn


def test_parameters_of_the_penalty_are_set_searched_and_cloned(make_net: Any, digits: Any) -> None:
    net = make_net(penalty=RRR(weight=3.0))
    assert clone(net).penalty.weight == 3.0
    assert net.set_params(penalty__weight=5.0).get_params()["penalty__weight"] == 5.0
    assert net.initialize().penalty_.weight == 5.0
    assert net.penalty.weight == 3.0  # the user's own
    with pytest.raises(ValueError, match=r"penalty=<class .*RRR'> must be a penalty"):
        make_net(penalty=RRR).fit(*digits, mask=corner(digits[0]))
    with pytest.raises(ValueError, match="'weight' parameter of RRR"):
        make_net(penalty=RRR(weight=-1)).fit(*digits, mask=corner(digits[0]))


class Sized(Penalty):
    """Fails unless masks are those of the samples in the batch: the first pixel's value is the sample's number."""

    def _of_samples(self, forward_pass: ForwardPass) -> Tensor:
        numbers = forward_pass.features[:, 0, 0, 0].round().long()
        wanted = torch.arange(64).reshape(8, 8) != (numbers % 63 + 1)[:, None, None]
        assert torch.equal(forward_pass.mask[:, 0], wanted)
        return forward_pass.features.flatten(1).sum(1) * 0


@pytest.fixture
def numbered(digits: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples that hold their number, and masks that tell it."""
    X, y = digits[0].copy(), digits[1]
    X[:, 0, 0, 0] = np.arange(200)
    return X, y, np.arange(64).reshape(8, 8) != (np.arange(200) % 63 + 1)[:, None, None]


def test_a_search_cuts_masks_with_x(make_net: Any, numbered: Any) -> None:
    X, y, mask = numbered
    net = make_net(augmenter=None, penalty=Sized(), max_epochs=1)
    GridSearchCV(net, {"penalty__weight": [1.0, 2.0]}, cv=3, error_score="raise").fit(X, y, mask=mask)
    cross_validate(net, X, y, params={"mask": mask}, cv=3, error_score="raise")


def test_metadata_routing_brings_masks_to_the_net(make_net: Any, numbered: Any) -> None:
    X, y, mask = numbered
    net = make_net(augmenter=None, penalty=Sized(), max_epochs=1)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = Pipeline([("same", FunctionTransformer()), ("net", net.set_fit_request(mask=True))])
        pipeline.fit(X, y, mask=mask)
        grid = GridSearchCV(pipeline, {"net__penalty__weight": [1.0, 2.0]}, cv=GroupKFold(3), error_score="raise")
        grid.fit(X, y, mask=mask, groups=np.arange(200) % 5)


def test_a_pipeline_without_routing(make_net: Any, numbered: Any) -> None:
    X, y, mask = numbered
    pipeline = Pipeline([("same", FunctionTransformer()), ("net", make_net(augmenter=None, penalty=Sized()))])
    pipeline.fit(X, y, net__mask=mask)


# --- going on


def test_correct_goes_on_from_the_fitted_weights(make_net: Any, digits: Any) -> None:
    X, y = digits
    net = make_net(penalty=RRR(), max_epochs=1)
    with pytest.raises(NotFittedError):
        net.correct(X, y, corner(X))
    net.fit(X, y, mask=corner(X))
    twice = make_net(penalty=RRR(), max_epochs=1).fit(X, y, mask=corner(X)).partial_fit(X, y, mask=corner(X))
    with pytest.raises(ValueError, match="correct needs a mask"):
        net.correct(X, y, None)
    assert same(weights(net.correct(X, y, corner(X))), weights(twice))
    assert len(net.history) == 2


def test_a_plain_net_is_corrected(make_net: Any, digits: Any) -> None:
    X, y = digits
    net = make_net(max_epochs=2).fit(X, y)
    before = weights(net)
    net.set_params(penalty=RRR()).correct(X, y, corner(X))
    assert len(net.history) == 4
    assert not same(weights(net), before)


def test_no_mask_is_left_behind(make_net: Any, digits: Any) -> None:
    X, y = digits
    net = make_net(penalty=RRR(), max_epochs=1).fit(X, y, mask=corner(X))
    assert net.mask_ is net.train_mask_ is net.step_ is None


def test_frames_of_masks_for_tables(seen: Any) -> None:
    X = pd.DataFrame(np.random.RandomState(0).randn(30, 4), columns=list("abcd"))
    mask = pd.DataFrame(np.ones((30, 4), dtype=bool), columns=list("abcd"))
    mask["b"] = False
    net = ABAClassifier(nn.Linear(4, 2), augmenter=None, penalty=seen(), max_epochs=1, verbose=0)
    net.fit(X, np.arange(30) % 2, mask=mask)
    assert all(
        each.mask.sum(0).tolist() == [len(each.mask), 0, len(each.mask), len(each.mask)] for each in seen.batches
    )
    with pytest.raises(ValueError, match="mask has the columns"):
        net.fit(X, np.arange(30) % 2, mask=mask[list("bacd")])


def test_masks_go_with_the_samples_of_a_subset(make_net: Any, digits: Any) -> None:
    X, y = digits
    chosen = np.random.default_rng(0).permutation(len(X))
    mask = corner(X)
    mask[::2] = True
    part = Subset(TensorDataset(torch.as_tensor(X), torch.as_tensor(y)), chosen.tolist())
    by_dataset = make_net(penalty=RRR(), max_epochs=1).fit(part, mask=mask[chosen])
    by_arrays = make_net(penalty=RRR(), max_epochs=1).fit(X[chosen], y[chosen], mask=mask[chosen])
    assert same(weights(by_dataset), weights(by_arrays))


def test_a_split_into_other_samples_is_refused(make_net: Any, digits: Any) -> None:
    X, y = digits

    def split(dataset: Any, y: Any = None) -> Any:
        return Dataset(X[100:], np.asarray(y[100:])), None

    with pytest.raises(ValueError, match="mask has one entry per sample of X, but train_split returned"):
        make_net(penalty=RRR(), train_split=split).fit(X, y, mask=corner(X))
