"""share=: only some of the samples are attributed and move."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skaba._validation import validate_parameters
from skaba.augmenters import ABA, AdjustmentSet, Percentiles, fgsm, mend_aba, preset
from skaba.network import FromLayer
from tests.augmenters.aba.known_maps import Fixed, augmented
from tests.tiny_nets import TextNet, conv_net, images, seeded, words

ALL_MOVE = AdjustmentSet([19])


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 30), st.floats(0, 1, exclude_min=True), st.integers(0, 99))
def test_exactly_a_share_of_the_samples_is_asked_about_and_moves(n, share, seed):
    x, witness = torch.randn(n, 6, generator=seeded(seed)), Fixed()
    x[:, 0] = torch.arange(n)
    result = augmented(ABA(witness, adjustments=ALL_MOVE, share=share), x, generator=seeded(seed))
    moved = (result != x).any(1)
    assert moved.sum() == round(share * n)
    assert torch.equal(result[~moved], x[~moved])
    mapped = torch.cat([torch.zeros(0, 6), *witness.seen])
    assert torch.equal(mapped, x[moved])


@pytest.mark.parametrize("name", ["challenger", "mend_aba", "fast_aba", "fgsm"])
def test_the_model_is_asked_about_the_share_alone(name):
    sizes, net = [], conv_net()
    x, y = images(40), torch.arange(40) % 5
    hook = net.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    result = augmented(preset(name, share=0.25), x, y, net, criterion=nn.CrossEntropyLoss())
    hook.remove()
    moved = int((result != x).flatten(1).any(1).sum())
    assert sizes == [moved]
    assert 0 < moved <= 10
    if name in ("mend_aba", "fgsm"):  # no draw of theirs is zero
        assert moved == 10


def test_all_samples_have_the_same_chance():
    aba, generator = ABA(adjustments=ALL_MOVE, share=0.25), seeded(1)
    counts = sum(aba._draw_steps(8, 1.0, generator).any(1).float() for _ in range(2000))
    torch.testing.assert_close(counts / 2000, torch.full((8,), 0.25), rtol=0, atol=4 * (0.25 * 0.75 / 2000) ** 0.5)


def test_the_share_of_a_text_is_asked_about_with_its_own_words():
    net, ids, y = TextNet().eval(), words(20), torch.arange(20) % 3
    rest = FromLayer(net, "embedding", ids)
    hidden = rest.features()
    both = [fgsm(share=share) for share in (1.0, 0.3)]
    whole, some = (augmented(aba, hidden, y, rest, criterion=nn.CrossEntropyLoss()) for aba in both)
    moved = (some != hidden).flatten(1).any(1)
    assert moved.sum() == 6
    assert torch.equal(some[moved], whole[moved])


# --- nothing is drawn for it unless needed


@pytest.mark.parametrize("randomize", [True, False])
def test_by_default_the_adjustments_and_the_factors_are_all_that_is_drawn(randomize):
    x, aba = torch.randn(7, 11), mend_aba(attribution=Fixed(), randomize=randomize, share=1.0)
    ours, by_hand = seeded(3), seeded(3)
    for _ in range(3):
        result = augmented(aba, x, strength=0.2, generator=ours)
        steps = aba.adjustments.draw(7, 3, by_hand) * 0.2
        if randomize:
            steps *= torch.randn(7, 1, generator=by_hand).abs()
        assert torch.equal(ours.get_state(), by_hand.get_state())
        assert torch.equal(result, x + steps.gather(1, Percentiles(0.1, 0.9).categories(x)))


@pytest.mark.parametrize("value", [0, -0.1, 1.1, "half", None])
def test_values_that_are_not_allowed_are_named(value):
    with pytest.raises(ValueError, match="The 'share' parameter of ABA must be"):
        validate_parameters(mend_aba(share=value))
