"""The path of the strength is that of the history."""

import matplotlib as mpl
import numpy as np
import pytest
from torch import nn

from skaba import ABAClassifier
from skaba.plotting import StrengthPathDisplay
from skaba.training import FlipRate

mpl.use("Agg")
X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
y = (X[:, 0] > 0).astype(int)


def net(**parameters):
    return ABAClassifier(nn.Linear(4, 2), max_epochs=5, random_state=0, verbose=0, **parameters).fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_lines_are_the_history_and_the_target():
    fitted = net(strength=FlipRate(0.3, every=1))
    display = StrengthPathDisplay.from_estimator(fitted)
    (strength,) = display.ax_.lines
    np.testing.assert_array_equal(strength.get_ydata(), fitted.history[:, "strength"])
    fit, flips, target = display.ax_shares_.lines
    np.testing.assert_array_equal(fit.get_ydata(), fitted.history[:, "train_fit"])
    np.testing.assert_array_equal(flips.get_ydata(), fitted.history[:, "flip_rate"])
    assert set(target.get_ydata()) == {0.3}


def test_a_fixed_strength_has_no_path():
    with pytest.raises(ValueError, match="has no path"):
        StrengthPathDisplay.from_estimator(net(strength=0.1))
