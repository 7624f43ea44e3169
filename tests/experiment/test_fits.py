"""One fit: what is trained, what is measured, and on which data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from skaba.augmenters import fgsm
from skaba.evaluation import expected_calibration_error, score_under_attack
from skaba.experiment import Fit, Resources, load_data, read_experiment, run, run_fit
from skaba.experiment._fits import make_net
from skaba.experiment._milestones import HALF, LATE, MILESTONES, valid_score
from skaba.experiment.kinds._adjustments import group_mean

FIT = Fit("test", "FastABA-CE", 0.01, 0.3, 2, 0)


@pytest.fixture
def settings(small):
    return read_experiment(small)


def test_a_reported_fit_measures_what_the_public_functions_do(settings):
    data = load_data(settings.data)
    result = run_fit(settings, FIT)
    net = make_net(settings, data, FIT).fit(*data.train(0))
    X, y = data.bunch.X_test, data.bunch.y_test
    assert result["valid"] == net.score(data.bunch.X_valid, data.bunch.y_valid)
    assert result["test"] == net.score(X, y)
    assert result["ece"] == expected_calibration_error(y, net.predict_proba(X))
    assert result["FGSM"] == score_under_attack(net, X[:20], y[:20], fgsm(), 0.1)
    assert result["PGD"] <= result["FGSM"]


def test_a_fit_states_its_settings_and_takes_none_from_the_estimators_defaults(settings):
    """So kept results stay what they are when a default changes: these are the values that they were made with."""
    net = make_net(settings, load_data(settings.data), FIT)
    stated = (net.optimizer, net.lr, net.max_epochs, net.batch_size, net.train_split, net.strength, net.random_state)
    assert stated == (torch.optim.Adam, 0.01, 2, 50, None, 0.3, 0)
    assert net.get_params()["iterator_train__shuffle"] is True


def test_the_test_set_is_not_looked_at_while_tuning(settings):
    assert set(run_fit(settings, replace(FIT, stage="tuning"))) == {"valid", "train", *MILESTONES, "seconds"}


def test_frozen_networks_are_moved_at_test_time(make):
    settings = make("strength", methods=["plain"], test_strengths=[0.1, 0.3], n_attacked=20)
    result = run_fit(settings, replace(FIT, arm="plain", value=0.0, epochs=20))
    assert "FGSM" not in result
    delta, epsilon = ([result[f"{name} at {s}"] for s in ("0", "0.1", "0.3")] for name in ("Delta", "Epsilon"))
    assert delta[0] == epsilon[0]
    assert min(delta[1:]) > epsilon[1] >= epsilon[2]


def test_a_network_that_diverged_is_the_worst_of_all_candidates(settings):
    class Diverged:
        def predict_proba(self, X):
            return np.full((len(X), 10), np.nan)

    bunch = load_data(settings.data).bunch
    assert valid_score(Diverged(), bunch.X_valid, bunch.y_valid) == 0


def test_rivals_and_combinations_are_measured_as_the_methods_are(settings):
    settings = replace(
        settings, rivals=["mixup"], outsiders=["nearest neighbours"], methods=["plain", "MendABA"], controls_of=[]
    )
    method = set(run_fit(settings, replace(FIT, arm="MendABA")))
    assert {"ece", "FGSM", "PGD", *MILESTONES} < method
    assert set(run_fit(settings, replace(FIT, arm="mixup"))) == method
    assert set(run_fit(settings, replace(FIT, arm="mixup + MendABA", rival_value=0.2))) == method
    outside = {"seconds", "valid", "train", "test"}
    assert set(run_fit(settings, replace(FIT, arm="nearest neighbours", value=0.0))) == outside


def test_scores_on_the_way_are_those_of_shorter_trainings(settings):
    """Measuring them leaves no trace in the training."""
    fit = replace(FIT, epochs=7)
    data = load_data(settings.data)
    result = run_fit(settings, replace(fit, stage="tuning"))
    for name, epochs in ((HALF, 4), (LATE, 6), ("valid", 7)):
        net = make_net(settings, data, replace(fit, epochs=epochs)).set_params(callbacks=None).fit(*data.train(0))
        assert result[name] == net.score(data.bunch.X_valid, data.bunch.y_valid)
    assert result["train"] == net.score(*data.train(0))


def test_an_unknown_network_is_refused(settings):
    settings = replace(settings, module={"name": "ConfNet"})
    with pytest.raises(ValueError, match=r"no network of skaba.modules named 'ConfNet'. Did you mean 'ConvNet'"):
        run_fit(settings, FIT)


@pytest.mark.slow
def test_e1_shows_what_the_paper_found(tmp_path: Path):
    """Delta raises accuracy, Epsilon drops it, and training with ABA or FGSM resists Epsilon.

    On 5 seeds of the kept results the medians at strength 0.2 are 99.0 and 29.0 against 90.4, and 49.3 (MendABA) and
    56.7 (FGSM) against plain training's 29.0: the margins here are half of that.
    """
    size = {"epochs": 60, "seeds": 2, "tuning_seeds": 1, "learning_rates": [0.003]}
    settings = replace(read_experiment("e1_digits"), strengths=[0.3], test_strengths=[0.2], **size)
    fits = run(settings, tmp_path / "e1", Resources(n_jobs=1))["fits"]

    def median(name, adjustment):
        return 100 * np.median([fit[f"{adjustment} at 0.2"] for fit in fits[name]])

    clean = 100 * np.median([fit["Delta at 0"] for fit in fits["plain"]])
    assert median("plain", "Delta") > clean + 4
    assert median("plain", "Epsilon") < clean - 30
    assert median("MendABA", "Epsilon") > median("plain", "Epsilon") + 5
    assert median("FGSM", "Epsilon") > median("plain", "Epsilon") + 10


@pytest.mark.slow
def test_e2_on_digits_ranks_the_groups_as_the_paper_did(tmp_path: Path):
    """The nine Epsilon adjustments train better networks than the nine Delta ones.

    The kept results, 3 seeds, have means of 92.3 and 86.2, and no adjustment of one group among those of the other. On
    20 Newsgroups at the scale of two cores it is the other way round, so nothing is asserted there.
    """
    size = {"epochs": 60, "tuning_seeds": 1, "learning_rates": [0.003]}
    settings = replace(read_experiment("e2_digits"), strengths=[0.1], **size)
    results = run(settings, tmp_path / "e2", Resources(n_jobs=1))
    assert group_mean(results, "epsilon") > group_mean(results, "delta") + 3
