"""The vocabulary of fills: who can use which, and what a new one takes."""

import numpy as np
import pytest
import torch

from skaba.evaluation.fidelity import Masking, perturbation_curves
from skaba.network import FILLS, OF_BATCH, Regions, batch_source, channel_moments, check_fill, fill_names, fill_of
from skaba.network._fills import NamedFill
from tests.tiny_nets import seeded


def test_a_fill_is_offered_where_what_it_needs_is_known():
    assert set(fill_names(OF_BATCH)) == {"zero", "mean", "min", "max", "random", "blur", "sample_mean"}
    assert set(fill_names(("moments", "regions"))) == {"zero", "mean", "random", "blur", "sample_mean", "region_mean"}
    assert set(fill_names(())) == {"zero", "blur", "sample_mean"}


@pytest.mark.parametrize("fill", ["zero", -1.5, np.float32(2), 0, True])
def test_fills_that_are_allowed(fill):
    check_fill(fill, ())


@pytest.mark.parametrize("fill", ["mean", "mena", None, np.nan, np.inf, [0.0], np.zeros(3)])
def test_fills_that_are_refused_are_named(fill):
    with pytest.raises(ValueError, match=r"no fill named .* Known: blur, sample_mean, zero\. A fill may also be"):
        check_fill(fill, ())


@pytest.mark.parametrize(("shape", "channel_axis", "axes"), [((4, 3, 5), 1, (2,)), ((4, 5, 3), -1, (1,))])
def test_moments_are_those_of_each_channel_over_the_sample(shape, channel_axis, axes):
    x = torch.randn(shape, generator=seeded())
    mean, square = channel_moments(x, channel_axis, None).unbind(1)
    np.testing.assert_allclose(mean, x.numpy().mean(axis=axes), atol=1e-6)
    np.testing.assert_allclose(square, (x.numpy() ** 2).mean(axis=axes), atol=1e-6)


def test_padding_counts_in_no_moment():
    x = torch.randn(2, 4, 3, generator=seeded())
    padding = torch.tensor([[False, False, True, True], [True] * 4])
    mean, _ = channel_moments(x, -1, padding).unbind(1)
    np.testing.assert_allclose(mean[0], x[0, :2].mean(dim=0), atol=1e-6)
    assert not mean[1].any()


def test_sums_of_regions():
    regions = Regions(torch.tensor([0, 0, 1]), torch.Size([3]), None)
    assert regions.n_regions == 2
    assert regions.sums(torch.tensor([[1.0, 2.0, 4.0]])).tolist() == [[3.0, 4.0]]


def test_a_new_fill_is_one_row(monkeypatch):
    """It then works in augmenters and in fidelity."""
    monkeypatch.setitem(FILLS, "doubled", NamedFill(lambda source: 2 * source.x))
    x = torch.randn(3, 2, 6, generator=seeded())
    assert torch.equal(fill_of("doubled", batch_source(x, 1, None, seeded())), 2 * x)
    assert Masking(fill="doubled").fill == "doubled"
    X = x.double().numpy()
    curves = perturbation_curves(lambda rows: rows.sum(axis=(1, 2))[:, None], X, X, fill="doubled", step=50)
    np.testing.assert_allclose(curves.mif[:, -1], 2 * X.sum(axis=(1, 2)))
