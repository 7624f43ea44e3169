"""Transformers with padding: layers inside are seen, with the shapes that training sees."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from skaba import ABAClassifier
from skaba.attribution import Gradient, PredictedClass
from skaba.network import FromLayer, asking
from skaba.testing import trace_of
from tests.tiny_nets import seeded

IDS = np.array([[3, 4, 5, 0, 0, 0], [6, 7, 8, 9, 0, 0]] * 10)
Y = np.arange(20) % 2


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(20, 8, padding_idx=0)
        self.enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), 2)
        self.out = nn.Linear(8, 2)

    def forward(self, x):
        return self.out(self.enc(self.emb(x), src_key_padding_mask=x == 0)[:, 0])


def fast_path():
    return torch.backends.mha.get_fastpath_enabled()


def net():
    torch.manual_seed(0)
    return Masked().eval()


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layer", ["emb", "enc.layers.0", "enc.layers.0.norm1", "enc.layers.1.self_attn.out_proj"])
def test_features_are_those_of_training(layer):
    # Without dropout a transformer computes the same in both modes, and in training mode there is no fast path.
    module, ids = net(), torch.as_tensor(IDS)
    kept = []
    copied_network = copy.deepcopy(module).train()
    copied_network.get_submodule(layer).register_forward_hook(lambda module, args, output: kept.append(output.detach()))
    copied_network(ids)
    if layer.endswith("out_proj"):  # its weights are read, but it is not called: a clear error
        with pytest.raises(ValueError, match="never reaches layer"):
            FromLayer(module, layer, ids).features()
        return
    view = FromLayer(module, layer, ids)
    features = view.features()
    assert features.shape == (20, 6, 8)
    torch.testing.assert_close(features, kept[0])
    map_ = Gradient()(view, features, target=PredictedClass())
    assert map_.shape == features.shape
    torch.testing.assert_close(Gradient().at_layer(view, target=PredictedClass()), map_)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layer", ["emb", "enc.layers.0", "enc.layers.0.norm1"])
def test_an_estimator_augments_inside(layer):
    clf = ABAClassifier(Masked, layer=layer, max_epochs=1, random_state=0, verbose=0).fit(IDS, Y)
    assert clf.attribute(IDS[:2], Y[:2]).shape == clf.augment(IDS[:2], Y[:2]).shape == (2, 6, 8)
    assert fast_path()


class Failing(Masked):
    def forward(self, x):
        raise RuntimeError(f"fast path {fast_path()}")


@pytest.mark.parametrize("enabled", [True, False])
def test_the_switch_is_put_back_after_an_exception(enabled):
    torch.backends.mha.set_fastpath_enabled(enabled)
    try:
        with pytest.raises(RuntimeError, match="fast path False"):
            FromLayer(Failing(), "emb", torch.as_tensor(IDS)).features()
        assert fast_path() is enabled
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_predictions_are_as_before():
    module, ids = net(), torch.as_tensor(IDS)
    before, trace = module(ids), trace_of(module)
    view = FromLayer(module, "emb", ids)
    Gradient()(view, view.features(), target=PredictedClass())
    assert fast_path()
    assert trace_of(module) == trace
    assert torch.equal(module(ids), before)


def test_without_attention_the_switch_is_left_alone():
    with asking(nn.Linear(3, 2)):
        assert fast_path()
    map_ = Gradient()(nn.Linear(3, 2), torch.randn(4, 3), target=PredictedClass(), generator=seeded())
    assert map_.shape == (4, 3)


def test_the_switch_is_put_back_when_threads_overlap():
    # The first to come leaves first: what it found must not be what the second puts back.
    first, second = asking(net()), asking(net())
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not fast_path()
    second.__exit__(None, None, None)
    assert fast_path()
