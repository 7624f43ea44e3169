"""What may be an estimator's augmenter, and what happens if it does something that it should not."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skaba import ABAClassifier
from skaba.attribution import Gradient, Loss
from skaba.augmenters import ABA, AdjustmentSet, Compose, Percentiles, Selection, mend_aba
from tests.estimators.conftest import same, weights


def fitted(make_net: Any, digits: Any, augmenter: Any, **parameters: Any) -> Any:
    return make_net(augmenter=augmenter, max_epochs=1, lr=1e-3, **parameters).fit(*digits)


@pytest.mark.parametrize("function", [lambda x: x, torch.clone, nn.Identity()], ids=["lambda", "builtin", "module"])
def test_a_function_that_changes_nothing_is_plain_training(make_net: Any, digits: Any, function: Any) -> None:
    plain = fitted(make_net, digits, None)
    assert same(weights(fitted(make_net, digits, function, strength=0.05)), weights(plain))


@pytest.mark.parametrize("strength", [0.01, 0.1, 1.0])
def test_a_function_of_a_batch_is_applied_to_every_sample(make_net: Any, digits: Any, strength: float) -> None:
    net = fitted(make_net, digits, lambda x: x.flip(3), strength=strength)
    assert np.array_equal(net.augment(*digits), digits[0][..., ::-1])
    trained_on_it = fitted(make_net, (digits[0][..., ::-1].copy(), digits[1]), None)
    assert same(weights(net), weights(trained_on_it))


def test_kornias_pipeline_is_an_augmenter(make_net: Any, digits: Any) -> None:
    kornia = pytest.importorskip("kornia.augmentation")
    pipeline = kornia.AugmentationSequential(kornia.RandomHorizontalFlip(p=1.0), kornia.RandomRotation(10.0, p=1.0))
    first = fitted(make_net, digits, pipeline)
    torch.manual_seed(7)  # is not what decides
    assert same(weights(first), weights(fitted(make_net, digits, pipeline)))
    assert not same(weights(first), weights(fitted(make_net, digits, None)))
    changed = (first.augment(*digits) != digits[0]).any(axis=(1, 2, 3))
    assert changed.all()


def test_a_function_at_a_layer(make_net: Any, digits: Any) -> None:
    net = fitted(make_net, digits, lambda h: h + 1, layer="features.0")
    plain = make_net(augmenter=None, layer="features.0").fit(*digits)
    plain.module_.load_state_dict(net.module_.state_dict())
    np.testing.assert_allclose(net.augment(*digits), plain.augment(*digits) + 1, atol=1e-5)


@pytest.mark.parametrize(
    ("augmenter", "message"),
    [
        (
            Gradient(),
            r"Gradient\(\) is not an augmenter: it computes maps\. Make one with it, ABA\(attribution=",
        ),
        (Loss(), r"ABA\(target=Loss\(\)\)"),
        (Percentiles(0.1, 0.9), r"ABA\(selection=Percentiles\(0\.1, 0\.9\)\)"),
        (AdjustmentSet([3]), r"ABA\(adjustments=AdjustmentSet\(\[3\]\)\)"),
        (lambda x, y: x, "must be an augmenter, such as mend_aba"),
    ],
)
def test_what_is_no_augmenter_is_refused_before_any_work(
    make_net: Any, digits: Any, augmenter: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(make_net, digits, augmenter)
    with pytest.raises(ValueError, match=message):
        make_net().initialize().set_params(augmenter=augmenter)


@pytest.mark.parametrize("layer", [None, "features.0"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_augmenter_that_returns_no_numbers_is_named(make_net: Any, digits: Any, bad: float, layer: Any) -> None:
    def broken(model: Any, x: Tensor, y: Any, **arguments: Any) -> Tensor:
        return x * bad

    for augmenter in (broken, lambda x: x * bad, Compose([broken, mend_aba()])):
        with pytest.raises(ValueError, match=r"(broken|lambda).*returned NaN or infinity, in 32 of 32 samples"):
            fitted(make_net, (digits[0] + 1, digits[1]), augmenter, layer=layer)


class Lacking(Selection):
    """Forgets its values."""

    def boundaries(self, attribution: Tensor, wanted: Tensor | None = None) -> Any:
        return [0.0]


class Wrong(Selection):
    """Says that it makes three categories, and makes two."""

    values = (0.0, 1.0)

    def boundaries(self, attribution: Tensor, wanted: Tensor | None = None) -> Any:
        return [0.0]


def attribution(returned: Any) -> Any:
    return lambda model, x, y, *, target, criterion, generator: returned(x)


@pytest.mark.parametrize("layer", [None, "features.0"])
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"selection": Lacking()}, r"selection=Lacking\(\) lacks an attribute.*sets values"),
        ({"selection": Wrong()}, r"makes 3 categories, so boundaries\(\) must return 2"),
        ({"attribution": attribution(lambda x: x[:, :1, :1])}, "returned a tensor of shape"),
        ({"attribution": attribution(lambda x: x.numpy())}, "returned a ndarray"),
        ({"attribution": attribution(lambda x: None)}, "returned a NoneType"),
        ({"attribution": attribution(lambda x: x / 0)}, "NaN or infinity"),
        ({"change": lambda x, attribution, step: step.numpy()}, "returned a numpy.ndarray"),
        ({"change": lambda x, attribution, step: None}, "returned None"),
        ({"change": lambda x, attribution, step: x[:1]}, "returned a tensor of shape"),
        ({"change": lambda x, attribution, step: x / 0}, "returned NaN or infinity"),
    ],
)
def test_own_parts_of_an_aba_get_one_clear_error(
    make_net: Any, digits: Any, parameters: Any, message: str, layer: Any
) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(make_net, digits, ABA(**parameters), layer=layer)


# --- samples of no single shape, and gradients that do not arrive, where gradients are reused


class Texts(torch.utils.data.Dataset[Any]):
    """Texts of 2 to 8 words; padded in batches."""

    def __init__(self) -> None:
        draw = np.random.default_rng(0)
        self.data = [(torch.tensor(draw.integers(1, 20, n)), i % 2) for i, n in enumerate(draw.integers(2, 9, 24))]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, number: int) -> Any:
        return self.data[number]


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.output = nn.Embedding(20, 8, padding_idx=0), nn.Linear(8, 2)

    def forward(self, ids: Tensor) -> Tensor:
        return self.output(self.embedding(ids).mean(1))


def padded(length: int | None) -> Any:
    def collate(samples: Any) -> Any:
        texts, labels = zip(*samples, strict=True)
        whole = [*texts, torch.zeros(length, dtype=torch.int64)] if length else texts
        return nn.utils.rnn.pad_sequence(list(whole), batch_first=True)[: len(texts)], torch.tensor(labels)

    return collate


def text_net(augmenter: Any, length: int | None) -> ABAClassifier:
    return ABAClassifier(
        Words,
        layer="embedding",
        augmenter=augmenter,
        strength=1.0,
        classes=[0, 1],
        iterator_train__collate_fn=padded(length),
        max_epochs=4,
        batch_size=8,
        random_state=0,
        verbose=0,
    )


def test_free_aba_refuses_lengths_that_vary_from_batch_to_batch() -> None:
    net = text_net("free_aba", None)
    message = r"samples of one shape; the first, middle and last alone make batches of shapes .*\. Pad the samples"
    with pytest.raises(ValueError, match=message):
        net.fit(Texts())
    assert not net.initialized_
    trained = [text_net(augmenter, 10).fit(Texts()) for augmenter in (None, "free_aba")]
    assert not same(*map(weights, trained))  # padded to one length it augments


def test_free_aba_knows_shapes_not_only_how_many_features(make_net: Any, digits: Any) -> None:
    shapes = [(1, 16, 4), (1, 4, 16)] * 100
    turned = [(x.reshape(shape), label) for x, label, shape in zip(*digits, shapes, strict=True)]

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.output = nn.Linear(1, 10)

        def forward(self, x: Tensor) -> Tensor:
            return self.output(x.mean((2, 3)))

    net = make_net(module=Pooled, augmenter="free_aba", batch_size=1, iterator_train__shuffle=False, classes=range(10))
    with pytest.raises(ValueError, match=r"one had \(1, 16, 4\), this has \(1, 4, 16\)|shapes \(1, 1, 16, 4\)"):
        net.fit(Listed(turned), None)


class Listed(torch.utils.data.Dataset[Any]):
    def __init__(self, samples: list[Any]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> Any:
        return self.samples[number]


@pytest.mark.parametrize("augmenter", ["free_aba", "fast_aba"])
def test_a_gradient_that_does_not_arrive_is_an_error(digits: Any, augmenter: str) -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(64, 8), nn.Linear(8, 10)

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                hidden = self.body(x.flatten(1)).relu()
            return self.head(hidden)

    net = ABAClassifier(Frozen, augmenter=augmenter, max_epochs=2, random_state=0, verbose=0)
    with pytest.raises(ValueError, match="The target's gradient does not reach the input: a part of the network runs"):
        net.fit(*digits)


def test_a_change_of_the_layer_or_the_selection_starts_anew(make_net: Any, digits: Any) -> None:
    net = make_net(augmenter="free_aba", max_epochs=1).fit(*digits)
    assert net.categories_.shape == (1, 8, 8)
    net.set_params(layer="features.0").partial_fit(*digits)
    assert net.categories_.shape == (4, 8, 8)
    first = net.categories_
    net.set_params(augmenter__selection=Percentiles(0.5)).partial_fit(*digits)  # as many bits, of another meaning
    assert net.categories_ is not first


class Noisy(torch.utils.data.Dataset[Any]):
    """Changes its samples whenever they are read."""

    def __init__(self, X: Any, y: Any) -> None:
        self.X, self.y = X, y

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, number: int) -> Any:
        return torch.as_tensor(self.X[number]) + 0.01 * torch.randn(1, 8, 8), int(self.y[number])


def test_categories_of_a_dataset_that_draws_are_kept_from_epoch_to_epoch(make_net: Any, digits: Any) -> None:
    """Also where each epoch is a separate call; before, nothing was ever recalled then."""
    data = Noisy(*digits)
    net = make_net(augmenter="free_aba", max_epochs=1, classes=range(10))
    with pytest.warns(UserWarning, match="changes its samples whenever they are read"):
        net.fit(data, None)
    kept = net.categories_
    with pytest.warns(UserWarning, match="such as fast_aba"):
        net.partial_fit(data, None)
    assert net.categories_ is kept
    assert kept.known.all()
