"""``layer=``: one hook mechanism for embedded text and for hidden features."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skaba import ABAClassifier
from skaba.attribution import Loss
from skaba.augmenters import ABA, GaussianNoise
from skaba.datasets import make_messages
from skaba.modules import TextCNN
from skaba.network import FromLayer
from skaba.preprocessing import WordSequences
from tests.estimators.conftest import SmallNet, same, weights


@pytest.fixture(scope="module")
def text() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Word ids (n, 40) with padding, labels, and the embedding matrix."""
    messages, y, vectors = make_messages(60, random_state=0)
    words = WordSequences(vectors, length=40).fit(messages)
    return words.transform(messages), y, words.embedding_matrix()


def _text_net(vectors: np.ndarray, **parameters: Any) -> ABAClassifier:
    settings = {"random_state": 0, "max_epochs": 2, "verbose": 0, "train_split": None, "batch_size": 16, "lr": 0.1}
    return ABAClassifier(
        **{
            "module": TextCNN,
            "module__vectors": vectors,
            "module__n_classes": 3,
            "layer": "embedding",
            "augmenter__target__k": 3,
            **settings,
            **parameters,
        }
    )


def test_text_is_changed_at_the_embedding_and_padding_is_not(text: Any) -> None:
    ids, y, vectors = text
    sgd = torch.optim.SGD  # with Adam at this rate the network dies, and its maps are 0
    net = _text_net(vectors, augmenter="fgsm", augmenter__target=Loss(), strength=0.5, optimizer=sgd)
    net.set_params(augmenter="fgsm")
    net.fit(ids, y)
    moved = net.augment(ids, y) - vectors[ids]
    assert (ids == 0).any()
    assert np.all(moved[ids == 0] == 0)
    np.testing.assert_allclose(np.abs(moved[ids != 0]), 0.5, atol=1e-5)


def test_maps_of_text_have_the_embeddings_shape(text: Any) -> None:
    ids, y, vectors = text
    net = _text_net(vectors).fit(ids, y)
    assert net.attribute(ids).shape == (*ids.shape, vectors.shape[1])


def test_the_training_pass_sees_exactly_the_augmented_features(text: Any) -> None:
    """What augment() shows is what the layers after the embedding are given in the step."""
    ids, y, vectors = text
    net = _text_net(vectors, strength=0.5).fit(ids, y)
    expected = net.augment(ids[:16], y[:16])
    seen: list[Tensor] = []
    net.generator_.manual_seed(0)  # where augment() starts with random_state=0
    # Registered later than ours would be, so it is called for the module after the embedding.
    following = next(m for name, m in net.module_.named_modules() if isinstance(m, nn.Conv1d))
    handle = following.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach().clone()))
    net.train_step((torch.as_tensor(ids[:16]), torch.as_tensor(y[:16])))
    handle.remove()
    np.testing.assert_allclose(seen[-1].transpose(1, 2).numpy(), expected, atol=1e-5)


def test_hidden_features_of_an_image_net(make_net: Any, digits: Any) -> None:
    X, y = digits
    net = make_net(layer="features.2", augmenter="fgsm", strength=0.5).fit(X, y)
    with torch.no_grad():
        hidden = net.module_.eval().features[:3](torch.as_tensor(X)).numpy()
    moved = net.augment(X, y) - hidden
    np.testing.assert_allclose(np.abs(moved), 0.5, atol=1e-5)
    np.testing.assert_allclose(np.sign(moved), np.where(net.attribute(X, y, target=Loss()) >= 0, 1, -1))


def test_layers_before_it_still_learn(make_net: Any, digits: Any) -> None:
    fresh = make_net(layer="features.2").initialize()
    trained = make_net(layer="features.2").fit(*digits)
    assert not torch.equal(fresh.module_.features[0].weight, trained.module_.features[0].weight)


def test_strength_matters_and_zero_is_plain(make_net: Any, digits: Any) -> None:
    plain = weights(make_net(augmenter=None).fit(*digits))
    assert same(weights(make_net(layer="features.2", strength=0).fit(*digits)), plain)
    assert not same(weights(make_net(layer="features.2", strength=0.2).fit(*digits)), plain)


def test_in_place_activations_after_the_layer(make_net: Any, digits: Any) -> None:
    class InPlace(SmallNet):
        def __init__(self) -> None:
            super().__init__()
            self.features[2] = nn.ReLU(inplace=True)

    net = make_net(module=InPlace, layer="features.1").fit(*digits)
    reference = make_net(layer="features.1").fit(*digits)
    assert same(weights(net), weights(reference))


def test_half_of_the_batch_is_attributed_with_its_own_inputs(text: Any) -> None:
    """Challenger leaves half of the samples alone; the others' words must go with their features."""
    ids, y, vectors = text
    net = _text_net(vectors, augmenter="challenger", augmenter__target__k=1, strength=0.5).fit(ids, y)
    moved = net.augment(ids, y) - vectors[ids]
    maps = net.attribute(ids)
    changed = [i for i in range(len(ids)) if np.abs(moved[i]).max() > 0.1]
    assert 10 < len(changed) < 50
    for i in changed:
        tail = np.abs(moved[i]) > 0.1
        low, high = np.sort(maps[i].ravel())[[int(0.1 * maps[i].size), int(0.9 * maps[i].size)]]
        assert np.all(maps[i][tail] < low + 1e-6) or np.all(maps[i][tail] >= high - 1e-6)


def test_a_module_may_have_a_padding_of_its_own(make_net: Any, digits: Any) -> None:
    class Padded(SmallNet):
        padding = 1

    assert same(weights(make_net(module=Padded).fit(*digits)), weights(make_net().fit(*digits)))


# --- an augmenter's own way, and layers that cannot be augmented


class Shifting(ABA):
    """An ABA whose call is its own."""

    def __call__(self, model: Any, x: Tensor, y: Any, **arguments: Any) -> Tensor:
        return x + 1


def test_a_subclass_with_a_call_of_its_own_is_asked_at_a_layer_too() -> None:
    seen: list[Tensor] = []
    net = ABAClassifier(SmallNet, layer="features.2", augmenter=Shifting(), max_epochs=1, train_split=None, verbose=0)
    X, y = np.random.default_rng(0).random((8, 1, 8, 8), dtype=np.float32), np.arange(8)
    net.initialize()
    before = FromLayer(net.module_, "features.2", torch.as_tensor(X)).features()
    with net.augmented((torch.as_tensor(X), torch.as_tensor(y))):
        handle = net.module_.features[3].register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
        net.module_.eval()(torch.as_tensor(X))
        handle.remove()
    torch.testing.assert_close(seen[0], before + 1)


class Recurrent(nn.Module):
    """Has layers that cannot be augmented: one that returns a tuple, one that is called twice, one never."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.twice, self.never = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 4), nn.Linear(4, 4)
        self.last = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.twice(self.twice(self.gru(x)[0][:, -1])))


@pytest.mark.parametrize("augmenter", ["mend_aba", "free_aba", GaussianNoise()], ids=str)
@pytest.mark.parametrize(
    ("layer", "message"),
    [("gru", "returns a tuple"), ("twice", "is called 2 times in a forward pass"), ("never", "reaches|called 0 times")],
)
def test_layers_that_cannot_be_augmented_are_refused_by_every_augmenter(
    layer: str, message: str, augmenter: Any
) -> None:
    X, y = np.random.default_rng(0).random((12, 5, 3), dtype=np.float32), np.arange(12) % 2
    net = ABAClassifier(Recurrent, layer=layer, augmenter=augmenter, train_split=None, max_epochs=2, verbose=0)
    with pytest.raises(ValueError, match=message):
        net.fit(X, y)


class TimeFirst(nn.Module):
    """A network whose hidden layer has time on its first axis, samples on the second."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.hidden(x.transpose(0, 1)).mean(0))


@pytest.mark.parametrize("augmenter", ["fgsm", "fast_aba", "free_aba"])
def test_a_layer_whose_first_axis_is_not_the_samples_is_refused(augmenter: str) -> None:
    X, y = np.random.default_rng(0).normal(size=(32, 40, 4)).astype(np.float32), np.arange(32) % 2
    net = ABAClassifier(TimeFirst, layer="hidden", augmenter=augmenter, random_state=0, verbose=0, train_split=None)
    with pytest.raises(ValueError, match=r"layer='hidden' returns a tensor of shape \(40, \d+, 6\) for \d+ samples"):
        net.fit(X, y)
