"""What is compared: methods with their settings, and controls that differ from them in one thing."""

from dataclasses import replace

import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from skaba.attribution import Loss, RandomTopClass
from skaba.augmenters import Compose, FreeABA, GaussianNoise, RandomMapABA, mend_aba
from skaba.evaluation import find_rivals
from skaba.experiment import Fit, load_data, read_experiment
from skaba.experiment._arms import Augmented
from skaba.experiment._fits import make_net
from skaba.experiment.kinds._groups import members_of

PLAIN = Fit("test", "plain", 0.01, 0.0, 1, 0)


@pytest.fixture
def settings(small):
    methods = ["plain", "Challenger", "MendABA", "FastABA", "FastABA-CE", "FreeABA", "FGSM"]
    return replace(read_experiment(small), methods=methods, controls_of=["MendABA"], k=6)


def test_methods_come_with_their_settings(settings):
    arms = {arm.name: arm.augmenter for arm in settings.arms() if isinstance(arm, Augmented)}
    assert "plain" not in arms
    assert repr(arms["MendABA"]) == repr(mend_aba(k=6))
    assert repr(arms["FastABA"].target) == repr(RandomTopClass(k=6))
    assert all(isinstance(arms[name].target, Loss) for name in ("FastABA-CE", "FGSM"))
    assert isinstance(arms["FreeABA"], FreeABA)


def test_multi_label_data_explain_the_loss(settings):
    arms = {arm.name: arm.augmenter for arm in replace(settings, target="loss").arms() if isinstance(arm, Augmented)}
    assert all(isinstance(arms[name].target, Loss) for name in ("Challenger", "MendABA", "FastABA"))


def test_a_random_map_is_the_only_thing_that_its_control_changes(settings):
    arms = {arm.name: arm for arm in settings.arms()}
    own, control = arms["MendABA"].augmenter.get_params(deep=False), arms["MendABA, random map"]
    other = control.augmenter.get_params(deep=False)
    assert {name for name in other if repr(own[name]) != repr(other[name])} == set()
    assert isinstance(control.augmenter, RandomMapABA)
    assert isinstance(arms["noise as MendABA"].augmenter, GaussianNoise)


def test_controls_are_tuned_like_their_method(settings):
    arms = {arm.name: arm for arm in settings.arms()}
    for name in ("MendABA", "MendABA, random map", "noise as MendABA"):
        assert arms[name].candidates == (0.1, 0.3)
    assert arms["plain, longer"].candidates == (1, 2)
    assert [arms["plain, longer"].epochs(60, factor) for factor in arms["plain, longer"].candidates] == [60, 120]


def test_an_automatic_strength_is_not_tuned(settings):
    settings = replace(settings, auto=["MendABA", "FreeABA"])
    net = make_net(settings, load_data(settings.data), Fit("test", "MendABA, auto", 0.01, 0.0, 1, 0))
    assert net.strength == "auto"
    assert repr(net.augmenter) == repr(mend_aba(k=6))
    assert settings.arm("FreeABA, auto").candidates == ()


def test_rivals_and_combinations_are_what_the_evaluation_makes(settings):
    """The estimator of a rival's fit, also together with a method, is that of the rival itself."""
    settings = replace(settings, rivals=["label smoothing", "mixup"])
    data = load_data(settings.data)
    plain = make_net(settings, data, Fit("test", "plain", 0.01, 0.0, 1, 0))
    net = make_net(settings, data, Fit("test", "label smoothing", 0.01, 0.2, 1, 0))
    assert net.get_params()["criterion__label_smoothing"] == 0.2
    assert (net.augmenter, net.lr, net.random_state) == (None, plain.lr, plain.random_state)
    both = make_net(settings, data, Fit("test", "label smoothing + MendABA", 0.01, 0.3, 1, 0, rival_value=0.2))
    assert both.get_params()["criterion__label_smoothing"] == 0.2
    assert (both.strength, repr(both.augmenter)) == (0.3, repr(mend_aba(k=6)))
    both = make_net(settings, data, Fit("test", "mixup + MendABA", 0.01, 0.3, 1, 0, rival_value=0.4))
    assert isinstance(both.augmenter, Compose)
    assert (both.strength, list(both.augmenter.strengths)) == (0.3, [None, 0.4])


def test_rivals_bring_their_own_candidates_unless_the_settings_give_some(settings):
    data = load_data(settings.data)
    own = {rival.name: rival.values for rival in find_rivals(make_net(settings, data, PLAIN), *data.train(0))}
    made = replace(settings, rivals=["label smoothing", "mixup"], grids={"mixup": [0.7]}).for_data(data)
    assert made.arm("label smoothing").candidates == own["label smoothing"]
    assert made.arm("mixup").candidates == (0.7,)


def test_an_outsider_takes_the_best_value_on_the_validation_set(settings):
    settings = replace(settings, outsiders=["nearest neighbours"])
    data = load_data(settings.data)
    (X, y), bunch = data.train(0), data.bunch
    outsider = make_net(settings, data, replace(PLAIN, arm="nearest neighbours")).fit(X, y)
    scaler = StandardScaler().fit(X.reshape(len(X), -1))

    def score(n, part):
        model = KNeighborsClassifier(n).fit(scaler.transform(X.reshape(len(X), -1)), y)
        return model.score(scaler.transform(bunch[f"X_{part}"].reshape(-1, 64)), bunch[f"y_{part}"])

    chosen = max((1, 3, 5, 9), key=lambda n: score(n, "valid"))
    assert outsider.score(bunch.X_test, bunch.y_test) == score(chosen, "test")


def test_rivals_and_outsiders_that_do_not_suit(settings):
    data = load_data(settings.data)
    with pytest.raises(ValueError, match="no rival that suits this network and these data named 'word dropout'"):
        replace(settings, rivals=["word dropout"]).for_data(data)
    with pytest.raises(
        ValueError, match=r"no outsider .* named 'nearest neighbour'. Did you mean 'nearest neighbours'"
    ):
        replace(settings, outsiders=["nearest neighbour"]).for_data(data)


def test_every_adjustment_moves_by_its_own_vector(make):
    arms = make("adjustments").arms()
    assert [arm.name for arm in arms] == [str(index) for index in range(27)]
    draws = [arm.augmenter.adjustments.draw(4, 3, torch.Generator()) for arm in arms]
    assert len({tuple(draw[0].tolist()) for draw in draws}) == 27
    assert all((draw == draw[0]).all() for draw in draws)


def test_sets_are_the_sums_of_their_groups():
    sizes = {name: len(members_of(name)) for name in ("Neutral", "Delta", "Epsilon", "Eps.&Neu.", "Eps.&Del.", "All")}
    assert sizes == {"Neutral": 9, "Delta": 9, "Epsilon": 9, "Eps.&Neu.": 18, "Eps.&Del.": 18, "All": 27}
    assert sorted(members_of("All")) == list(range(27))


def test_unknown_methods(settings):
    with pytest.raises(ValueError, match=r"no method named 'MendABBA'. Did you mean 'MendABA'"):
        replace(settings, methods=["plain", "MendABBA"]).arms()
    with pytest.raises(ValueError, match="no method to control named 'FGSM'"):
        replace(settings, methods=["plain", "MendABA"], controls_of=["FGSM"]).arms()
