"""Variants of one method: each differs from it in what the settings say, and has its own plain training."""

import pytest

from skaba.attribution import Gradient, SmoothGrad
from skaba.augmenters import mend_aba
from skaba.experiment import Fit, Results, load_data
from skaba.experiment._fits import make_net

VARIANTS = {
    "k = 1": {"k": 1},
    "hidden": {"layer": "features.3"},
    "SmoothGrad": {"attribution": {"name": "SmoothGrad", "samples": 3}},
    "norm": {"module": {"batch_norm": True}},
    "norm, train": {"module": {"batch_norm": True}, "attribution": {"name": "Gradient", "mode": "train"}},
}


@pytest.fixture
def settings(make):
    return make("variants", varied="MendABA", methods=["plain", "MendABA"], seeds=2, k=3, variants=VARIANTS)


def net_of(settings, arm):
    return make_net(settings, load_data(settings.data), Fit("test", arm, 0.01, 0.3, 1, 0))


def test_a_variant_is_the_method_with_its_changes(settings):
    own = net_of(settings, "MendABA").get_params()
    expected = {
        "k = 1": {"augmenter": mend_aba(k=1)},
        "hidden": {"layer": "features.3"},
        "SmoothGrad": {"augmenter": mend_aba(k=3, attribution=SmoothGrad(samples=3))},
        "norm": {"module__batch_norm": True},
        "norm, train": {
            "module__batch_norm": True,
            "augmenter": mend_aba(k=3, attribution=Gradient(mode="train")),
        },
    }
    for name, changes in expected.items():
        varied = net_of(settings, f"MendABA, {name}").get_params()
        different = {key for key in own | varied if repr(own.get(key)) != repr(varied.get(key))}
        kept = {key for key in different if not key.startswith(("augmenter__", "callbacks", "_"))}
        assert kept == set(changes)
        assert all(repr(varied[key]) == repr(value) for key, value in changes.items())


def test_variants_of_one_network_share_its_plain_training(settings):
    plain = [arm.name for arm in settings.arms() if not arm.is_tuned]
    assert plain == ["plain", "plain, norm"]
    assert net_of(settings, "plain, norm").get_params()["module__batch_norm"] is True
    assert net_of(settings, "plain, norm").augmenter is None


def test_a_variant_is_compared_with_its_method_and_its_plain_training(settings):
    scores = {"plain": 0.5, "MendABA": 0.6, "plain, norm": 0.7, "MendABA, norm, train": 0.75, "MendABA, k = 1": 0.55}
    fits = {name: [{"test": score}, {"test": score}] for name, score in scores.items()}
    results = Results(learning_rate=0.01, tuned={}, fits=fits, chosen={})
    found = {name: {what: one.mean for what, one in settings.differences(results, name).items()} for name in fits}
    assert found["MendABA, norm, train"] == pytest.approx({"plain": 5, "its method": 15})
    assert found["MendABA, k = 1"] == pytest.approx({"plain": 5, "its method": -5})
    assert found["plain, norm"] == pytest.approx({"plain": 20})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"varied": "FastABA"}, "methods must hold the varied one"),
        ({"varied": "plain"}, "methods must hold the varied one"),
        ({"variants": {"a": 3}}, r"each of \[variants\] must be a table"),
        ({"variants": {"auto": {"k": 1}}}, "a variant may be called neither auto nor random map"),
        ({"variants": {"a": {"kk": 1}}}, "no change of the variant a named 'kk'. Did you mean 'k'"),
        (
            {"variants": {"a": {"attribution": {"name": "SmothGrad"}}}},
            "no attribution method named 'SmothGrad'. Did you mean 'SmoothGrad'",
        ),
        (
            {"variants": {"a": {"attribution": {"name": "Gradient", "mod": "train"}}}},
            "no parameter of the attribution method Gradient named 'mod'. Did you mean 'mode'",
        ),
    ],
)
def test_variants_that_cannot_be_made(make, changes, message):
    with pytest.raises(ValueError, match=message):
        make("variants", **{"varied": "MendABA", "methods": ["plain", "MendABA"], "seeds": 2, **changes}).arms()
