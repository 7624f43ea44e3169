"""Judging all methods: as a function, and as the command."""

import re

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from skaba import ABAClassifier, ABAMultiLabelClassifier
from skaba.attribution import IBA, METHODS, Gradient, IntegratedGradients
from skaba.cli import app
from skaba.evaluation.fidelity import fidelity
from skaba.evaluation.ground_truth import XORBenchmark
from skaba.judge import judge
from tests.evaluation.ground_truth.test_xor import QUICK, solved

SPATIAL = {"GradCAM", "GuidedGradCAM"}
SLOW = {"KernelShap", "Lime", "HillClimbing"}


def make_classifier():
    network = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2))
    return ABAClassifier(
        network, augmenter=None, lr=0.1, batch_size=8, max_epochs=20, train_split=None, random_state=0, verbose=0
    )


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(16, 3)).astype(np.float32)
    return X, (X[:, 0] > 0).astype(np.int64)


@pytest.fixture(scope="module")
def fitted(data):
    torch.manual_seed(0)
    return make_classifier().fit(*data)


@pytest.fixture(scope="module")
def found(fitted, data):
    told = []
    judgement = judge(
        fitted,
        data[0],
        benchmark=XORBenchmark(solved(), grid_size=6, n_seeds=2, **QUICK),
        advance=lambda *done: told.append(done),
    )
    assert [finished for _, finished, _ in told] == list(range(told[0][2] + 1))
    return judgement


def test_every_method_is_measured_or_has_a_reason(found):
    assert found.fidelities.keys() | found.reasons.keys() == METHODS.keys()
    assert not found.fidelities.keys() & found.reasons.keys()
    assert found.reasons.keys() >= SPATIAL
    assert {"Gradient", "IBA", "Occlusion", "RandomMap"} <= found.fidelities.keys()


def test_fidelity_is_that_of_the_method_on_the_samples(found, fitted, data):
    alone = fidelity(fitted, data[0], Gradient(), random_state=0)
    assert found.fidelities["Gradient"].area == alone.area
    assert found.fidelities["Gradient"].interval == alone.interval


def test_ground_truth_is_that_of_the_method_on_xor_with_its_baseline_between_the_classes(found):
    benchmark = XORBenchmark(solved(), grid_size=6, n_seeds=2, **QUICK).fit()
    for name, method in {"Gradient": Gradient(), "IntegratedGradients": IntegratedGradients(baseline=0.5)}.items():
        assert np.array_equal(found.ground_truth[name].r_DB, benchmark.score(method).r_DB)
    assert not np.array_equal(benchmark.score(IntegratedGradients()).r_DB, benchmark.score(method).r_DB)


def test_on_xor_the_bottleneck_has_the_weight_of_its_source(found):
    benchmark = XORBenchmark(solved(), grid_size=6, n_seeds=2, **QUICK).fit()
    assert np.array_equal(found.ground_truth["IBA"].r_C, benchmark.score(IBA(beta=1e-9)).r_C)


def test_rows_go_from_the_largest_area_to_the_smallest(found):
    areas = [found.fidelities[row[0]].area for row in found.rows()]
    assert areas == sorted(areas, reverse=True)
    assert {len(row) for row in found.rows()} == {len(found.header)}
    gradient = next(row for row in found.rows() if row[0] == "Gradient")
    assert gradient[1].startswith(f"{found.fidelities['Gradient'].area:.1f} [")
    assert gradient[2:] == [found.ground_truth["Gradient"].summary()[name] for name in ("r_C", "r_DB", "r_ideal", "d")]


def test_images_have_methods_that_xor_has_not(monkeypatch):
    for slow in SLOW:
        monkeypatch.delitem(METHODS, slow)
    rng = np.random.default_rng(0)
    X, y = rng.random((6, 1, 5, 5), dtype=np.float32), np.arange(6) % 2
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 2))
    clf = ABAClassifier(network, augmenter=None, max_epochs=1, train_split=None, random_state=0, verbose=0).fit(X, y)
    found = judge(clf, X, benchmark=XORBenchmark(solved(), grid_size=5, n_seeds=1, **QUICK))
    assert found.fidelities.keys() >= SPATIAL
    assert not found.ground_truth.keys() & SPATIAL
    assert next(row for row in found.rows() if row[0] == "GradCAM")[2:] == ["", "", "", ""]


def test_figures_of_several_labels_are_readable(data, monkeypatch):
    """Shares of a logit close to 0 were in the thousands."""
    for slow in SLOW:
        monkeypatch.delitem(METHODS, slow)
    X = data[0]
    network = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2))
    clf = ABAMultiLabelClassifier(network, augmenter=None, max_epochs=1, random_state=0, verbose=0)
    benchmark = XORBenchmark(solved(), grid_size=5, n_seeds=1, **QUICK)
    found = judge(clf.fit(X, (X[:, :2] > 0).astype(int)), X, benchmark=benchmark)
    assert all(abs(value) < 200 for each in found.fidelities.values() for value in (each.area, *each.interval))
    assert len(found.fidelities) > 5


def test_a_method_without_ground_truth_keeps_its_fidelity(fitted, data, monkeypatch):
    for name in METHODS.keys() - {"Gradient", "RandomMap"}:
        monkeypatch.delitem(METHODS, name)
    score = XORBenchmark.score

    def broken(self, method):
        if isinstance(method, Gradient):
            raise ValueError("maps that are not finite")
        return score(self, method)

    monkeypatch.setattr(XORBenchmark, "score", broken)
    found = judge(fitted, data[0], benchmark=XORBenchmark(solved(), grid_size=5, n_seeds=1, **QUICK))
    assert found.warnings["no ground truth: maps that are not finite"] == ["Gradient"]
    assert found.fidelities.keys() == {"Gradient", "RandomMap"}
    assert found.ground_truth.keys() == {"RandomMap"}


# ------------------------------------------------------------------------------- the command


@pytest.fixture
def command(tmp_path, fitted, data, monkeypatch):
    """Runs ``skaba judge`` on files of the fitted classifier; XOR is solved by hand."""
    fitted.save_params(f_params=tmp_path / "weights.pt")
    np.savez(tmp_path / "data.npz", X=data[0], y=data[1])
    np.savez(tmp_path / "named.npz", X=data[0], y=np.array(["a", "b"])[data[1]])
    np.savez(tmp_path / "bare.npz", X=data[0])
    np.savez(tmp_path / "wide.npz", X=np.zeros((4, 7), dtype=np.float32))
    monkeypatch.setattr(
        "skaba.evaluation.ground_truth.XORBenchmark", lambda **settings: XORBenchmark(solved(), **{**QUICK, **settings})
    )
    for slow in SLOW:
        monkeypatch.delitem(METHODS, slow)

    def run(*arguments):
        files = [str(argument).format(tmp_path) for argument in arguments]
        return CliRunner().invoke(app, ["judge", *files], env={"COLUMNS": "160"})

    return run


NET, WEIGHTS = f"{__name__}:make_classifier", ("--weights", "{}/weights.pt")
SMALL = ("--grid", 6, "--seeds", 2)


def test_the_command_prints_the_table(command, found, fitted, data):
    result = command(NET, "{}/data.npz", *WEIGHTS, *SMALL)
    assert result.exit_code == 0, result.output
    lines = [re.split(" {2,}", line.strip()) for line in result.stdout.splitlines()]
    rows = {line[0]: line[1:] for line in lines if line[0] in METHODS}
    assert rows.keys() == found.fidelities.keys() - SLOW
    assert f"16 samples, score {fitted.score(*data):.3f}" in result.output
    assert rows["Gradient"] == next(row for row in found.rows() if row[0] == "Gradient")[1:]
    assert "not GradCAM: " in result.output
    assert found.caption() in " ".join(result.output.split())


def test_targets_are_not_needed_and_samples_are_limited(command):
    result = command(NET, "{}/bare.npz", *WEIGHTS, *SMALL, "--samples", 10)
    assert result.exit_code == 0, result.output
    assert "10 samples" in result.output
    assert ", score" not in result.output


def test_labels_that_weights_do_not_know_cost_the_score_alone(command):
    result = command(NET, "{}/named.npz", *WEIGHTS, *SMALL)
    assert result.exit_code == 0, result.output
    assert ", score" not in result.output
    assert "no score: y holds labels such as ['a', 'b']" in result.output
    assert "Gradient" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{}/weights.pt", "{}/data.npz"), "runs any code in it"),
        (("nowhere:make", "{}/data.npz"), "cannot be imported"),
        ((NET, "{}/data.npz"), "is not fitted"),
        ((NET, "{}/absent.npz", *WEIGHTS), "does not exist"),
        ((NET, "{}/weights.pt", *WEIGHTS), "but no array X"),
        ((NET, "{}/wide.npz", *WEIGHTS), "mat1 and mat2"),
        ((NET, "{}/data.npz", *WEIGHTS, "--samples", 1), "--samples"),
    ],
)
def test_what_the_command_cannot_do_is_said(command, arguments, message):
    result = command(*arguments)
    assert result.exit_code == 2, result.output
    assert message in re.sub(r"[\s│]+", " ", result.output)
    assert "Traceback" not in result.output
