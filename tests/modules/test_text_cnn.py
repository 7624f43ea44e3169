import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skaba.modules import TextCNN


@pytest.fixture
def vectors():
    return torch.randn(20, 8)


@settings(max_examples=15, deadline=None)
@given(length=st.integers(25, 120), kernel_size=st.integers(1, 8))
def test_maps_texts_of_any_length_to_logits(length, kernel_size):
    model = TextCNN(torch.randn(20, 8), n_classes=3, channels=4, kernel_size=kernel_size).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model(torch.randint(0, 20, (2, length))).shape == (2, 3)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_has_three_convolutions_and_two_linear_layers(vectors, batch_norm):
    model = TextCNN(vectors, batch_norm=batch_norm)
    count = {kind: sum(isinstance(m, kind) for m in model.modules()) for kind in (nn.Conv1d, nn.Linear)}
    rectifiers = [m for m in model.modules() if isinstance(m, nn.ReLU)]
    assert count == {nn.Conv1d: 3, nn.Linear: 2}
    assert len(rectifiers) == 4
    assert not any(m.inplace for m in rectifiers)
    assert any(isinstance(m, nn.BatchNorm1d) for m in model.modules()) == batch_norm
    assert model(torch.randint(0, 20, (2, 1000))).shape == (2, 20)


def test_embedding_is_a_frozen_copy_with_zero_padding(vectors):
    original = vectors.clone()
    model = TextCNN(vectors)
    assert not model.embedding.weight.requires_grad
    assert model.embedding.padding_idx == 0
    assert not model.embedding(torch.zeros(1, 3, dtype=torch.int64)).any()
    assert model.embedding.weight[1:].equal(vectors[1:])
    assert vectors.equal(original)


def test_training_does_not_change_the_embedding(vectors):
    model = TextCNN(vectors, channels=4)
    before = model.embedding.weight.clone()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    model(torch.randint(0, 20, (2, 30))).sum().backward()
    optimizer.step()
    assert model.embedding.weight.equal(before)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_takes_arrays_and_lists_of_any_number(dtype):
    vectors = np.arange(12).reshape(4, 3).astype(dtype)
    expected = torch.tensor([[0, 0, 0], [3, 4, 5], [6, 7, 8], [9, 10, 11]], dtype=torch.float32)
    for given_vectors in (vectors, vectors.tolist()):
        assert TextCNN(given_vectors).embedding.weight.equal(expected)


def test_gradient_reaches_the_embedding_output(vectors):
    model = TextCNN(vectors, dropout=0.0)
    caught = []

    def catch(module, inputs, output):
        caught.append(output.detach().requires_grad_())
        return caught[-1]

    handle = model.embedding.register_forward_hook(catch)
    logits = model(torch.randint(0, 20, (2, 40)))
    handle.remove()
    (gradient,) = torch.autograd.grad(logits.sum(), caught[0])
    assert gradient.shape == (2, 40, 8)
    assert gradient.flatten(1).any(dim=1).all()


def test_state_dict_is_complete(vectors):
    model, other = TextCNN(vectors).eval(), TextCNN(torch.zeros(20, 8)).eval()
    other.load_state_dict(model.state_dict())
    x = torch.randint(0, 20, (2, 30))
    assert model(x).equal(other(x))


@pytest.mark.parametrize("shape", [(5,), (1, 5), (4, 0), (2, 3, 4)])
def test_vectors_of_another_shape_are_an_error(shape):
    with pytest.raises(ValueError, match=r"\(n_words, dimension\).*embedding_matrix"):
        TextCNN(np.zeros(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_an_error(value):
    vectors = np.ones((5, 3))
    vectors[2:4, 1] = value
    with pytest.raises(ValueError, match="2 of 5 rows"):
        TextCNN(vectors)


@pytest.mark.parametrize("shape", [(2, 24), (30,), (2, 30, 8)])
def test_texts_too_short_or_of_another_shape_are_an_error(vectors, shape):
    with pytest.raises(ValueError, match=r"length at least 25, got \(.*Pad the texts"):
        TextCNN(vectors)(torch.zeros(shape, dtype=torch.int64))


def test_smaller_pools_allow_shorter_texts(vectors):
    assert TextCNN(vectors, pool_size=2).eval()(torch.ones(1, 4, dtype=torch.int64)).shape == (1, 20)
