"""Categories: how they move a batch on a CPU, piece by piece."""

import pytest
import torch

from skaba.augmenters import Categories, Cutoff, Percentiles
from skaba.augmenters.aba import _categories
from tests.tiny_nets import seeded


@pytest.mark.parametrize("name", ["all", "some", "padding"])
def test_a_batch_in_many_pieces_moves_as_in_one(monkeypatch, name):
    """7 samples of 12 features in pieces of 3, the last of them shorter."""
    attribution, x = (torch.randn(7, 4, 3, generator=seeded(seed)) for seed in range(2))
    steps = torch.randn(7, 3, generator=seeded(2)) * torch.tensor([[1.0], [1.0], [0.0], [1.0], [1.0], [1.0], [1.0]])
    rows = torch.tensor([6, 1, 8, 0, 2, 7, 4]) if name == "some" else None
    padding = torch.rand(7, 4, generator=seeded(3)) < 0.3 if name == "padding" else None
    batch = x if rows is None else torch.randn(9, 4, 3, generator=seeded(4))
    selection = Percentiles(0.2, 0.7)

    def moved(piece):
        monkeypatch.setattr(_categories, "PIECE", piece)
        return selection.sort(attribution).move(batch.clone(), steps, rows, padding)

    whole = moved(10**6)
    step = steps.gather(1, selection.categories(attribution).flatten(1)).reshape(7, 4, 3)
    step = step if padding is None else step.masked_fill(padding[..., None], 0)
    expected = batch + step if rows is None else batch.index_add(0, rows, step)
    torch.testing.assert_close(whole, expected)
    assert torch.equal(moved(40), whole)
    assert torch.equal(moved(12), whole)  # a sample a piece


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8])
def test_a_cutoff_of_whole_numbers_is_not_rounded(dtype):
    assert Cutoff(2.5).categories(torch.tensor([[1, 2, 3]], dtype=dtype)).tolist() == [[0, 0, 1]]
    assert Cutoff(-0.5).categories(torch.tensor([[0, 1]], dtype=dtype)).tolist() == [[1, 1]]


@pytest.mark.parametrize("n_features", [0, 1, 100, _categories.LONG - 1, _categories.LONG, 5000])
def test_counts_of_short_and_long_rows(n_features):
    below = [torch.rand(3, n_features, generator=seeded(seed)) < 0.4 for seed in range(2)]
    counts = Categories(below, n_features).counts()
    assert counts.dtype == torch.int64
    assert counts.tolist() == [[sum(mask[row].tolist()) for mask in below] for row in range(3)]
