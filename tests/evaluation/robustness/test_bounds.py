"""What rounding does to a value at its bound is let through, more is not."""

from typing import Any

import numpy as np
import pytest
import torch

from skaba.evaluation.robustness._bounds import as_bounds, check_inside


@pytest.mark.parametrize(
    ("bounds", "inside", "outside"),
    [
        ((0, 1), [-1e-9, 1 + 1e-6], [-1e-3, 1.001]),
        ((-2, 0), [1e-9], [1e-3]),
        ((0, np.inf), [1e6], [-1e-3]),
        ((100, np.inf), [100 - 1e-4], [99.9]),
        ((1000, 1001), [1000 - 1e-4], [999.9]),
    ],
)
def test_values_beyond_a_bound(bounds: Any, inside: list[float], outside: list[float]) -> None:
    low, high = as_bounds(bounds)
    check_inside(np.array([inside]), low, high)
    check_inside(torch.tensor([inside], dtype=torch.float64), torch.as_tensor(low), torch.as_tensor(high))
    for value in outside:
        with pytest.raises(ValueError, match="outside bounds"):
            check_inside(np.array([[value]]), low, high)
        with pytest.raises(ValueError, match="outside bounds"):
            check_inside(torch.tensor([[value]]), torch.as_tensor(low), torch.as_tensor(high))


def test_a_feature_that_is_held_still_has_rounding_too() -> None:
    low, high = as_bounds(([0.3, 0], [0.3, 1]))
    check_inside(np.array([[0.3, 0.5]], dtype=np.float32), low, high)
