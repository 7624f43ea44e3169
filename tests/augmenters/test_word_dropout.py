"""Word dropout: whole words are set to zero, as often as the strength says."""

import pytest
import torch

from skaba.augmenters import WordDropout
from skaba.network import FromLayer
from tests.tiny_nets import TextNet, images, seeded, words


def test_words_are_dropped_whole_with_the_probability():
    ids = words().repeat(500, 1)
    net = TextNet()
    with torch.no_grad():
        net.embedding.weight[0] = 7.0  # padding that is not zero would show a change
    view = FromLayer(net, "embedding", ids)
    x = view.features()
    dropped = WordDropout()(view, x, None, strength=0.3, criterion=None, generator=seeded())
    gone = (dropped == 0).all(dim=2)
    assert torch.equal(dropped[~gone], x[~gone])
    assert not gone[ids == 0].any()
    assert gone[ids != 0].float().mean() == pytest.approx(0.3, abs=0.02)


def test_a_probability_of_1_drops_every_word():
    dropped = WordDropout()(None, torch.ones(2, 3, 4), None, strength=1.0, criterion=None, generator=seeded())
    assert not dropped.any()
    with pytest.raises(ValueError, match="probability that a word is left out: at most 1"):
        WordDropout()(None, torch.ones(2, 3, 4), None, strength=1.1, criterion=None, generator=seeded())


def test_images_have_no_words():
    with pytest.raises(ValueError, match="WordDropout needs series"):
        WordDropout()(None, images(), None, strength=0.5, criterion=None, generator=seeded())
