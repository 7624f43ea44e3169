"""Fixed strengths against auto: what is fitted, and what the table says."""

import pytest

from skaba.experiment import Results, load_data
from skaba.experiment._fit import Fit
from skaba.experiment._fits import make_net
from skaba.training import FlipRate


@pytest.fixture
def settings(make):
    return make("auto", methods=["plain", "MendABA"], strengths=[0.1, 0.3], seeds=1, tuning_seeds=2)


def test_each_strength_and_auto_are_fitted_and_no_test_set_is_looked_at(settings):
    made = []

    def fit_all(fits):
        made.extend(fits)
        return [{"valid": 0.5} for _ in fits]

    fits = settings.reported(fit_all).fits
    assert list(fits) == ["plain", "MendABA, s = 0.1", "MendABA, s = 0.3", "MendABA, auto"]
    assert {fit.stage for fit in made} == {"tuning"}
    assert {fit.seed for fit in made} == {1000, 1001}


def test_auto_is_the_rule(settings):
    net = make_net(settings, load_data(settings.data), Fit("tuning", "MendABA, auto", 0.01, 0.0, 1, 0))
    assert isinstance(net.initialize().strength_, FlipRate)


def test_auto_is_compared_with_the_best_strength(settings, tmp_path):
    scores = {
        "plain": [0.5, 0.6],
        "MendABA, s = 0.1": [0.6, 0.7],
        "MendABA, s = 0.3": [0.7, 0.8],
        "MendABA, auto": [0.65, 0.8],
    }
    fits = {name: [{"valid": one, "strength": 0.2} for one in own] for name, own in scores.items()}
    table = settings.table(Results(learning_rate=0.01, tuned={}, fits=fits, chosen={}), tmp_path)
    assert "| MendABA, auto | 72.5 | +17.5" in table
    assert "| MendABA | 0.3 | 0.2 to 0.2 | -2.5" in table
