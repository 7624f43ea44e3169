"""Controls change as much as the method does, and differ from it in one thing each."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skaba.augmenters import (
    ABA,
    AdjustmentSet,
    Cutoff,
    GaussianNoise,
    RandomMapABA,
    RandomMapFreeABA,
    challenger,
    free_aba,
    mend_aba,
)
from skaba.evaluation import controls, size_of_changes
from tests.evaluation.conftest import table_net

NAMES = ["random map", "Gaussian noise", "longer plain training"]


def size_of(changes: np.ndarray) -> float:
    return float(np.sqrt(np.mean(changes**2)))


def test_each_differs_from_the_method_in_one_thing(table: Any, classifier: Any) -> None:
    net = classifier(augmenter=challenger(k=2)).fit(*table)
    found = controls(net, *table, cost=2.5)
    assert list(found) == NAMES
    random_map, noise, longer = found.values()
    plain = {name: value for name, value in net.get_params(deep=False).items() if "callbacks" not in name}
    for control, changed in ((random_map, {"augmenter"}), (noise, {"augmenter", "strength"})):
        own = control.get_params(deep=False)
        assert {name for name, value in plain.items() if str(own[name]) != str(value)} == changed
        assert not control.initialized_
    assert isinstance(random_map.augmenter, RandomMapABA)
    own = net.augmenter.get_params(deep=False)
    assert all(str(own[name]) == str(value) for name, value in random_map.augmenter.get_params(deep=False).items())
    assert isinstance(noise.augmenter, GaussianNoise)
    assert longer.augmenter is None
    assert longer.max_epochs == 8  # 2.5 * 3, to the even neighbour


def test_the_size_of_changes_that_are_all_equal_is_the_strength(table: Any, classifier: Any) -> None:
    both_ways = ABA(
        selection=Cutoff(), adjustments=AdjustmentSet([(-1, 1)]), randomize=False, target=mend_aba(2).target
    )
    net = classifier(augmenter=both_ways, strength=0.3).fit(*table)
    assert controls(net, *table)["Gaussian noise"].strength == pytest.approx(0.3, rel=1e-5)


def test_the_size_of_changes_in_closed_form(table: Any, classifier: Any) -> None:
    """Half of the samples stay, the others move everywhere, by s times the absolute value of a normal draw."""
    half = ABA(selection=Cutoff(), adjustments=AdjustmentSet([(-1, 1), (0, 0)]), target=mend_aba(2).target)
    net = classifier(augmenter=half, strength=0.3).fit(*table)
    assert controls(net, *table)["Gaussian noise"].strength == pytest.approx(0.3 * np.sqrt(0.5), rel=0.1)


def test_noise_at_a_text_changes_as_much_as_the_method(texts: Any, text_classifier: Any) -> None:
    net = text_classifier(strength=0.4).fit(*texts)
    noise = controls(net, *texts)["Gaussian noise"].fit(*texts)
    X, y = np.repeat(texts[0], 30, axis=0), np.repeat(texts[1], 30)

    def change(fitted: Any) -> np.ndarray:
        embedded = fitted.module_.embedding.weight.detach().numpy()[X]
        return fitted.augment(X, y) - embedded

    assert (change(noise)[X == 0] == 0).all()
    assert size_of(change(noise)) == pytest.approx(size_of(change(net)), rel=0.05)


def test_random_state_decides_what_is_measured(table: Any, classifier: Any) -> None:
    net = classifier(augmenter=mend_aba(k=2)).fit(*table)
    sizes = [controls(net, *table, random_state=seed)["Gaussian noise"].strength for seed in (0, 0, 1)]
    assert sizes[0] == sizes[1] != sizes[2]


def test_what_was_set_for_the_augmenter_is_kept_by_the_random_map_alone(table: Any, classifier: Any) -> None:
    net = classifier(augmenter="mend_aba", augmenter__target__k=2, augmenter__share=0.5).fit(*table)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = controls(net, *table)
        for control in found.values():
            control.fit(*table)
    made = found["random map"].augmenter_
    assert isinstance(made, RandomMapABA)
    assert (made.share, made.target.k) == (0.5, 2)
    assert not any(name.startswith("augmenter__") for name in found["Gaussian noise"].get_params(deep=False))


def test_of_a_pipeline_all_steps_are_kept_and_it_is_measured_behind_them(table: Any, classifier: Any) -> None:
    X, y = table[0] * 100, table[1]
    pipeline = make_pipeline(StandardScaler(), make_pipeline(classifier(augmenter=mend_aba(k=2)))).fit(X, y)
    net = pipeline[-1][-1]
    expected = controls(net, pipeline[0].transform(X), y)["Gaussian noise"].strength
    found = controls(pipeline, X, y)
    assert found["Gaussian noise"][-1][-1].strength == pytest.approx(expected)
    for control in found.values():
        assert list(control.named_steps) == list(pipeline.named_steps)
        assert not hasattr(control[0], "mean_")
        assert not control[-1][-1].initialized_
    assert pipeline[-1][-1] is net
    assert found["random map"].fit(X, y).predict(X).shape == (60,)


@pytest.mark.parametrize("augmenter", [free_aba(), free_aba(renew=0.5)])
def test_of_free_aba_too(table: Any, classifier: Any, augmenter: ABA) -> None:
    net = classifier(augmenter=augmenter).fit(*table)
    control = controls(net, *table)["random map"].fit(*table)
    assert isinstance(control.augmenter_, RandomMapFreeABA)
    assert control.categories_.known.all()  # of its own, as the method has


@pytest.mark.parametrize(
    "parameters", [{"augmenter": None}, {"augmenter": GaussianNoise()}, {"augmenter": mend_aba(k=2), "strength": 0}]
)
def test_without_an_aba_there_is_nothing_to_control(table: Any, classifier: Any, parameters: Any) -> None:
    net = classifier(**parameters, max_epochs=1).fit(*table)
    with pytest.raises(ValueError, match="an ABA with a strength above 0"):
        controls(net, *table)


def test_a_module_given_as_instance_starts_from_its_own_weights(table: Any, classifier: Any) -> None:
    net = classifier(module=table_net(), augmenter=mend_aba(k=2), max_epochs=1)
    before = [weight.clone() for weight in net.module.parameters()]
    for control in controls(net.fit(*table), *table).values():
        assert all(map(torch.equal, before, control.module.parameters()))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cost": 0}, "cost"),
        ({"cost": "2"}, "cost"),
        ({"cost": "mesured"}, "'cost' parameter of controls must be a float in the range .* Got 'mesured'"),
        ({"random_state": -1}, "random_state"),
    ],
)
def test_refuses_parameters(table: Any, classifier: Any, parameters: Any, message: str) -> None:
    net = classifier(augmenter=mend_aba(k=2), max_epochs=1).fit(*table)
    with pytest.raises(ValueError, match=message):
        controls(net, *table, **parameters)


def test_samples_that_the_method_leaves_alone_tell_no_size(table: Any, classifier: Any) -> None:
    still = ABA(selection=Cutoff(), adjustments=AdjustmentSet([(0, 0)]))
    net = classifier(augmenter=still, max_epochs=1).fit(*table)
    with pytest.raises(ValueError, match="changed none"):
        controls(net, *table)


def test_changes_that_are_nan_have_no_size(table: Any, classifier: Any) -> None:
    net = classifier(augmenter=None).fit(*table).set_params(augmenter=lambda model, x, y, **_: x / 0 * 0)
    net.augmenter_ = net.augmenter
    with pytest.raises(ValueError, match="NaN or infinity"):
        size_of_changes(net, *table)


@pytest.mark.parametrize(("augmenter", "cost"), [(mend_aba(k=2), 1.67), (challenger(k=2), 1.33), (free_aba(), 1.0)])
def test_the_counted_cost_is_that_of_the_passes(classifier: Any, augmenter: Any, cost: float) -> None:
    """Of a net whose first layer is small, so that it is no matter whether the input needs a gradient."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 2)).astype("float32"), np.arange(400) % 3

    def net() -> nn.Sequential:
        return nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))

    fitted = classifier(module=net, augmenter=augmenter, max_epochs=1).fit(X, y).set_params(max_epochs=100)
    before = torch.get_rng_state()
    longer = controls(fitted, X, y, cost="counted")["longer plain training"]
    assert longer.max_epochs == pytest.approx(100 * cost, abs=8)  # Challenger augments about half of a batch
    assert torch.equal(torch.get_rng_state(), before)


def test_the_measured_cost_is_that_of_the_clock(table: Any, classifier: Any, monkeypatch: Any) -> None:
    """A clock that ticks once per pass through the network: two passes in a step, where plain training has one."""
    ticks = []

    class Ticking(nn.Linear):
        def forward(self, x: Any) -> Any:
            ticks.append(1)
            return super().forward(x)

    def net() -> nn.Module:
        return Ticking(4, 3)

    fitted = classifier(module=net, augmenter=challenger(k=2), max_epochs=10).fit(*table)
    monkeypatch.setattr("skaba.evaluation._cost.time.perf_counter", lambda: len(ticks))
    longer = controls(fitted, *table, cost="measured")["longer plain training"]
    assert longer.max_epochs == 20
    assert longer.augmenter is None


def test_the_measured_cost_of_a_pipeline_is_that_of_its_net(table: Any, classifier: Any) -> None:
    piped = make_pipeline(StandardScaler(), classifier(augmenter=challenger(k=2), max_epochs=4)).fit(*table)
    longer = controls(piped, *table, cost="measured")["longer plain training"]
    assert longer[-1].max_epochs >= 1
    assert not longer[-1].initialized_
