"""The benchmark: on a network made by hand, whose maps are known, and on trained ones."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from skaba import ABAClassifier, ABARegressor
from skaba.attribution import (
    IBA,
    Gradient,
    HillClimbing,
    InputXGradient,
    IntegratedGradients,
    Loss,
    Occlusion,
    RandomMap,
    SmoothGrad,
)
from skaba.evaluation.ground_truth import (
    Absolute,
    GroundTruthComparison,
    GroundTruthScores,
    XORBenchmark,
    dimensional_difference,
    ideal_map,
    masked_dimension_correlation,
    unit_grid,
)

STEEP = 30.0
# One step without effect in place of training.
QUICK = {"n_samples": 1000, "min_accuracy": 0.95, "random_state": 0}
NO_TRAINING = {"augmenter": None, "lr": 1e-12, "max_epochs": 1, "batch_size": 10_000, "train_split": None, "verbose": 0}


class Solved(nn.Module):
    """Solves XOR: the logit of class 1 is ``-30 (x1 - 0.5) (x2 - 0.5)``."""

    def __init__(self, output="probability"):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(-STEEP))
        self.output = output

    def forward(self, x):
        logit = self.scale * (x - 0.5).prod(dim=1, keepdim=True)
        return {
            "probability": logit.sigmoid(),
            "logits": torch.cat([-logit, logit], dim=1),
            "halved": 0.5 + 0 * logit,
            "beyond": 1.2 * logit.sigmoid() - 0.1,
        }[self.output]


def solved(**parameters):
    return ABARegressor(Solved, **NO_TRAINING, **parameters)


@pytest.fixture(scope="module")
def benchmark():
    return XORBenchmark(solved(), grid_size=30, n_seeds=3, **QUICK).fit()


def constant_zero(model, x, y, **_):
    return torch.zeros_like(x)


def ideal(model, x, y, **_):
    return ideal_map(x)


# ---------------------------------------------------------------------------------- by hand


def test_the_networks_and_their_probabilities(benchmark):
    first, second = np.moveaxis(unit_grid(30) - 0.5, -1, 0)
    assert len(benchmark.estimators_) == len(benchmark.accuracies_) == 3
    assert np.allclose(benchmark.probabilities_, 1 / (1 + np.exp(STEEP * first * second)), atol=1e-5)
    assert ((benchmark.accuracies_ > 0.97) & (benchmark.accuracies_ < 1)).all()
    assert len(set(benchmark.accuracies_)) == 3, "each seed has samples of its own"


def test_the_score_is_that_of_the_measures_on_the_known_maps(benchmark):
    first, second = np.moveaxis(unit_grid(30).astype(np.float64) - 0.5, -1, 0)
    P = 1 / (1 + np.exp(STEEP * first * second))
    A = (-STEEP * P * (1 - P))[..., None] * np.stack([second, first], axis=-1)
    scores = benchmark.score(Gradient())
    expected = masked_dimension_correlation(A, P)
    assert scores.r_C == pytest.approx([expected.r_C] * 3, abs=1e-3)
    assert scores.r_DB == pytest.approx([expected.r_DB] * 3, abs=1e-3)
    assert scores.nonzero_C == pytest.approx([expected.nonzero_C] * 3, abs=0.01)
    assert scores.d == pytest.approx([dimensional_difference(A) / 30] * 3, rel=1e-2)


def test_the_ideal_map_is_right_at_the_boundary(benchmark):
    assert (benchmark.score(ideal).r_DB > 0.99).all()


def test_predictions_beyond_0_and_1_are_as_sure_as_can_be():
    beyond = XORBenchmark(solved(module__output="beyond"), grid_size=10, n_seeds=1, **QUICK).fit()
    assert beyond.probabilities_.min() < 0
    assert beyond.probabilities_.max() > 1
    clipped = masked_dimension_correlation(ideal_map(unit_grid(10)), beyond.probabilities_[0].clip(0, 1))
    assert beyond.score(ideal).r_DB == pytest.approx(clipped.r_DB)


def test_equal_maps_have_no_difference(benchmark):
    scores = benchmark.score(lambda model, x, y, **_: x.sum(dim=1, keepdim=True).expand_as(x))
    assert (scores.d == 0).all()
    assert scores.r_C == pytest.approx(1)


def test_a_constant_map_has_scores_that_are_not_defined(benchmark):
    scores = benchmark.score(constant_zero)
    assert np.isnan(scores.r_C).all()
    assert np.isnan(scores.r_DB).all()
    assert (scores.nonzero_C == 0).all()
    assert scores.summary()["r_DB"] == "not defined"


def test_a_method_is_called_once_a_network_with_the_protocols_arguments(benchmark):
    calls = []

    def method(model, x, y, *, target, criterion, generator):
        calls.append((model, x, y, target, criterion, generator))
        return Gradient()(model, x, y, target=target)

    benchmark.score(method)
    assert len(calls) == 3
    model, x, y, target, criterion, generator = calls[0]
    assert isinstance(model, nn.Module)
    assert isinstance(criterion, nn.MSELoss)
    assert isinstance(generator, torch.Generator)
    assert np.array_equal(x.numpy(), unit_grid(30).reshape(-1, 2))
    assert y.tolist() == [float((a > 0.5) != (b > 0.5)) for a, b in x.tolist()]
    outputs = model(x)
    assert torch.equal(target(outputs, y)(outputs), outputs[:, 0])
    assert len({id(call[0]) for call in calls}) == 3


def test_the_logit_of_class_1_is_explained_everywhere():
    clf = ABAClassifier(Solved, module__output="logits", **NO_TRAINING)
    fitted = XORBenchmark(clf, grid_size=10, n_seeds=1, **QUICK).fit()
    assert fitted.accuracies_[0] > 0.97
    seen = []

    def method(model, x, y, *, target, **_):
        logits = model(x)
        seen.append(torch.equal(target(logits, y)(logits), logits[:, 1]))
        return Gradient()(model, x, y, target=target)

    assert (fitted.score(method).r_DB > 0.5).all()
    assert seen == [True]


def test_methods_that_search_are_asked_for_what_speaks_for_the_points_own_label(benchmark):
    """Class 1's output alone would have them explain class 1 at the points of class 0 too."""

    def of_the_loss(model, x, y, *, target, criterion, generator):
        return IBA(beta=1e-9)(model, x, y, target=Loss(), criterion=criterion, generator=generator)

    own, by_hand = benchmark.score(IBA(beta=1e-9)), benchmark.score(of_the_loss)
    for measure in ("d", "r_C", "r_DB", "r_ideal"):
        assert getattr(own, measure) == pytest.approx(getattr(by_hand, measure))


@pytest.mark.parametrize("wrap", [lambda method: method, Absolute, SmoothGrad])
@pytest.mark.parametrize("kind", [IBA, HillClimbing])
def test_the_target_of_a_search_is_the_same_within_another_method(benchmark, kind, wrap, monkeypatch):
    told = []

    def attribute(self, model, x, fix, generator):
        score, outputs = fix(model(x)), torch.tensor([[0.25]]).expand(len(x), 1)
        told.append(torch.unique(score(outputs)).tolist())
        return x.clone()

    monkeypatch.setattr(kind, "_attribute", attribute)
    benchmark.score(wrap(kind()))
    assert all(values == [-0.5625, -0.0625] for values in told), "minus the squared distance to the labels 1 and 0"
    assert len(told) >= 3


def test_a_pipeline_is_asked_at_its_network():
    halves = FunctionTransformer(lambda X: X / 2)
    double = ABARegressor(lambda: nn.Sequential(Doubled(), Solved()), **NO_TRAINING)
    piped = XORBenchmark(make_pipeline(halves, double), grid_size=10, n_seeds=1, **QUICK).fit()
    plain = XORBenchmark(solved(), grid_size=10, n_seeds=1, **QUICK).fit()
    assert piped.accuracies_ == pytest.approx(plain.accuracies_)
    assert piped.score(Gradient()).r_DB == pytest.approx(plain.score(Gradient()).r_DB)


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x


def test_the_random_state_decides_everything():
    first, again, other = (
        XORBenchmark(solved(), grid_size=8, n_seeds=2, **{**QUICK, "random_state": seed}).fit().score(RandomMap())
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first.r_C, again.r_C)
    assert not np.array_equal(first.r_C, other.r_C)
    assert first.r_C[0] != first.r_C[1], "each network's draws are its own"


def test_nothing_is_left_behind(benchmark):
    net = benchmark.estimators_[0]
    before = net.get_params()
    state, global_state = [p.clone() for p in net.module_.parameters()], torch.get_rng_state()
    assert np.array_equal(benchmark.score(RandomMap()).r_C, benchmark.score(RandomMap()).r_C)
    assert net.get_params().keys() == before.keys()
    assert all(map(torch.equal, state, net.module_.parameters()))
    assert torch.equal(torch.get_rng_state(), global_state)


def test_absolute_maps(benchmark):
    net = benchmark.estimators_[0]
    X = unit_grid(5).reshape(-1, 2)
    signed, absolute = (net.attribute(X, attribution=method) for method in (Gradient(), Absolute()))
    assert np.array_equal(absolute, np.abs(signed))
    assert signed.min() < 0
    with pytest.raises(ValueError, match="'method' parameter of Absolute"):
        net.attribute(X, attribution=Absolute("gradient"))


# ------------------------------------------------------------------------------------ tables


def test_the_table_tells_median_and_range_and_what_is_missing(benchmark):
    comparison = benchmark.compare({"gradient": Gradient(), "nothing": constant_zero})
    assert isinstance(comparison, GroundTruthComparison)
    gradient, nothing = (line.split(" | ") for line in comparison.table().splitlines()[2:])
    values = comparison.scores["gradient"].r_DB
    assert gradient[3] == f"{np.median(values):.2f} [{values.min():.2f}, {values.max():.2f}]"
    assert nothing[2:4] == ["not defined", "not defined"]


def test_seeds_without_a_value_are_counted():
    r = np.array([0.5, np.nan, -0.001])
    scores = GroundTruthScores(np.zeros(3), r, np.full(3, np.nan), r, r, r)
    assert scores.summary()["r_C"] == "0.25 [0.00, 0.50] (2 of 3)"
    assert scores.summary()["r_DB"] == "not defined"
    single = GroundTruthScores(*np.array([[0.1], [0.2], [0.3], [0.4], [0.5], [0.6]]))
    assert single.summary()["r_C"] == "0.20"


# ---------------------------------------------------------------------------------- bad input


def test_a_network_that_has_not_learned_is_not_scored():
    net = ABARegressor(Solved, module__output="halved", **NO_TRAINING)
    unlearned = XORBenchmark(net, grid_size=5, n_seeds=2, **QUICK).fit()
    assert unlearned.tries_.tolist() == [5, 5]
    for ask in (unlearned.score, lambda method: unlearned.compare({"gradient": method})):
        with pytest.raises(ValueError, match=r"2 of 2 networks .* 0\.500, 0\.500 are below min_accuracy=0\.95"):
            ask(Gradient())
    unlearned.set_params(min_accuracy=0.4)
    assert np.isnan(unlearned.score(Gradient()).r_C).all()


class SolvedLater(Solved):
    """Answers 0.5 until the third network of its kind is made."""

    made = 0

    def __init__(self):
        SolvedLater.made += 1
        super().__init__("halved" if SolvedLater.made < 3 else "probability")


def test_a_network_that_falls_short_is_trained_again_and_counted(monkeypatch):
    monkeypatch.setattr(SolvedLater, "made", 0)
    fitted = XORBenchmark(ABARegressor(SolvedLater, **NO_TRAINING), grid_size=5, n_seeds=2, **QUICK).fit()
    assert fitted.tries_.tolist() == [3, 1]
    assert (fitted.accuracies_ > 0.97).all()


def test_it_is_fitted_first():
    with pytest.raises(NotFittedError):
        XORBenchmark().score(Gradient())


def test_only_skabas_estimators_can_be_asked():
    with pytest.raises(TypeError, match=r"LogisticRegression.*is not a skaba estimator"):
        XORBenchmark(LogisticRegression()).fit()


@pytest.mark.parametrize(
    "parameter",
    [
        {"grid_size": 1},
        {"min_accuracy": 1.5},
        {"n_seeds": 0},
        {"n_samples": 3},
        {"random_state": -1},
        {"random_state": "a"},
    ],
)
def test_parameters_are_checked_before_any_work(parameter):
    with pytest.raises(ValueError, match=f"'{next(iter(parameter))}' parameter of XORBenchmark"):
        XORBenchmark(**parameter).fit()


@pytest.mark.parametrize("methods", [{}, [Gradient()], None])
def test_there_is_something_to_compare(benchmark, methods):
    with pytest.raises(ValueError, match="must map names to at least one method"):
        benchmark.compare(methods)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (Gradient, "must be an instance or a function"),
        ("gradient", "no attribution method named 'gradient'. Did you mean 'Gradient'"),
        (lambda model, x, y, **_: x[:, 0], r"of shape \(900,\) for a batch of shape \(900, 2\)"),
        (lambda model, x, y, **_: x * torch.nan, "NaN or infinity for 900 of 900 samples"),
    ],
)
def test_maps_that_are_none_are_refused(benchmark, method, message):
    with pytest.raises(ValueError, match=message):
        benchmark.score(method)


# ------------------------------------------------------------------------------------ trained


@pytest.mark.slow
def test_what_the_benchmark_promises_of_trained_networks():
    trained = XORBenchmark(n_seeds=2, grid_size=100, random_state=0).fit()
    assert (trained.accuracies_ > 0.98).all()
    methods = {
        "saliency": Absolute(Gradient()),
        "input x gradient": InputXGradient(),
        "IG 0.5": IntegratedGradients(baseline=0.5),
        "IG 0": IntegratedGradients(baseline=0.0),
        "occlusion": Occlusion(baseline=0.5),
        "ideal": ideal,
        "noise": RandomMap(),
        "IBA": IBA(beta=1e-9),
    }
    scores = trained.compare(methods).scores
    others = [values.r_C for name, values in scores.items() if name != "occlusion"]
    assert (scores["occlusion"].r_C > np.max(others, axis=0)).all()
    assert (scores["saliency"].r_DB > 0.6).all()
    assert (scores["ideal"].r_DB > 0.99).all()
    assert (scores["ideal"].r_ideal > 0.99).all()
    assert np.abs([scores["noise"].r_C, scores["noise"].r_DB]).max() < 0.1
    # Asked about class 1 everywhere, the bottleneck has an r_C of about 0.67.
    assert (np.abs(scores["IBA"].r_C) < 0.3).all()
