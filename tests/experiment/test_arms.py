"""What is compared: methods with their settings, and controls that differ from them in one thing."""

from dataclasses import replace

import pytest
import torch

from skaba.attribution import Loss, RandomTopClass
from skaba.augmenters import FreeABA, GaussianNoise, RandomMapABA, mend_aba
from skaba.experiment import read_experiment
from skaba.experiment.kinds._groups import members_of


@pytest.fixture
def settings(small):
    methods = ["plain", "Challenger", "MendABA", "FastABA", "FastABA-CE", "FreeABA", "FGSM"]
    return replace(read_experiment(small), methods=methods, controls_of=["MendABA"], k=6)


def test_methods_come_with_their_settings(settings):
    arms = {arm.name: arm.augmenter for arm in settings.arms()}
    assert arms["plain"] is None
    assert repr(arms["MendABA"]) == repr(mend_aba(k=6))
    assert repr(arms["FastABA"].target) == repr(RandomTopClass(k=6))
    assert all(isinstance(arms[name].target, Loss) for name in ("FastABA-CE", "FGSM"))
    assert isinstance(arms["FreeABA"], FreeABA)


def test_multi_label_data_explain_the_loss(settings):
    arms = {arm.name: arm.augmenter for arm in replace(settings, target="loss").arms()}
    assert all(isinstance(arms[name].target, Loss) for name in ("Challenger", "MendABA", "FastABA"))


def test_a_random_map_is_the_only_thing_that_its_control_changes(settings):
    arms = {arm.name: arm for arm in settings.arms()}
    own, control = arms["MendABA"].augmenter.get_params(deep=False), arms["MendABA, random map"]
    other = control.augmenter.get_params(deep=False)
    assert {name for name in other if repr(own[name]) != repr(other[name])} == set()
    assert isinstance(control.augmenter, RandomMapABA)
    assert (control.like, arms["noise as MendABA"].like) == ("MendABA", "MendABA")
    assert isinstance(arms["noise as MendABA"].augmenter, GaussianNoise)
    assert arms["plain, longer"].augmenter is None


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
