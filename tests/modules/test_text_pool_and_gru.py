"""Networks for texts that take no notice of padding."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skaba.modules import TextGRU, TextPool

VECTORS = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
NETWORKS = [TextPool, TextGRU]


def texts(*lengths, padding=0):
    x = torch.zeros(len(lengths), max(lengths) + padding, dtype=torch.int64)
    for row, length in zip(x, lengths, strict=True):
        row[:length] = torch.arange(length) % 19 + 1
    return x


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=5).filter(any), st.integers(0, 9), st.sampled_from(NETWORKS))
def test_padding_does_not_change_the_logits(lengths, padding, network):
    model = network(VECTORS, n_classes=3).eval()
    torch.testing.assert_close(model(texts(*lengths, padding=padding)), model(texts(*lengths)))


def test_the_pool_is_mean_and_maximum_over_words():
    model = TextPool(VECTORS, n_classes=3).eval()
    pooled = []
    model.classifier.register_forward_pre_hook(lambda module, inputs: pooled.append(inputs[0]))
    model(torch.tensor([[4, 7, 7, 0, 0], [0, 0, 0, 0, 0]]))
    words = VECTORS[[4, 7, 7]]
    torch.testing.assert_close(pooled[0][0], torch.cat([words.mean(0), words.amax(0)]))
    assert not pooled[0][1].any()


def test_the_gru_reads_each_text_as_if_it_were_alone():
    model = TextGRU(VECTORS, n_classes=3, hidden=4).eval()
    x = texts(3, 9, 1)
    states, _ = model.features(VECTORS[x[0, :3]].unsqueeze(0))
    alone = model.classifier(states.amax(dim=1))
    torch.testing.assert_close(model(x)[:1], alone)


@pytest.mark.parametrize("network", NETWORKS)
def test_gradient_reaches_every_word_and_no_padding(network):
    model = network(VECTORS, n_classes=3).eval()
    caught = []

    def catch(module, inputs, output):
        caught.append(output.detach().requires_grad_())
        return caught[-1]

    model.embedding.register_forward_hook(catch)
    logits = model(texts(2, 5))
    (gradient,) = torch.autograd.grad(logits.square().sum(), caught[0])
    assert gradient[1].any(dim=-1).all()
    assert gradient[0, :2].any(dim=-1).all()
    assert not gradient[0, 2:].any()


@pytest.mark.parametrize("network", NETWORKS)
def test_word_vectors_are_frozen(network):
    model = network(VECTORS)
    assert not model.embedding.weight.requires_grad
    assert model.embedding.padding_idx == 0
    assert all(parameter.requires_grad for name, parameter in model.named_parameters() if "embedding" not in name)
    assert any(isinstance(module, nn.Dropout) for module in model.modules())


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("shape", [(30,), (2, 30, 8), (2, 0)], ids=str)
def test_texts_of_another_shape_are_an_error(network, shape):
    with pytest.raises(ValueError, match=r"word ids of shape \(n, length\), got"):
        network(VECTORS)(torch.zeros(shape, dtype=torch.int64))
