"""The demo's experiment and report, on two short seeds."""

import json
import re
from dataclasses import replace

import joblib
import matplotlib as mpl
import numpy as np
import pytest
from skaba.demo import CONTROLS, GRIDS, HEADER, Comparison, Report, Run, compare, count_fits, make_net
from sklearn.base import clone

from skaba.augmenters import GaussianNoise, RandomMapABA
from skaba.datasets import load_digits

mpl.use("Agg")
METHODS = ["plain", "Challenger", "MendABA", "FastABA", "Gaussian noise", "random map"]


@pytest.fixture(scope="module")
def small():
    """Two strengths in place of four and two folds in place of three, in this process."""
    with pytest.MonkeyPatch.context() as patch, joblib.parallel_config(backend="sequential"):
        patch.setattr("skaba.demo._experiment.FOLDS", 2)
        patch.setattr("skaba.demo._experiment.TIMED_EPOCHS", 1)
        for name, grid in GRIDS.items():
            patch.setitem(GRIDS, name, {**grid, "strength": grid["strength"][:2]})
        yield


@pytest.fixture(scope="module")
def comparisons(small):
    return [compare(seed, epochs=1) for seed in range(2)]


@pytest.fixture(scope="module")
def report(comparisons):
    return Report(comparisons, {"seeds": [0, 1], "epochs": 1, "threads": 1})


def made_up(gains):
    """A report whose methods differ from plain training by so many points, one list a method."""
    n_seeds = len(next(iter(gains.values())))
    comparisons = []
    for seed in range(n_seeds):
        accuracies = {method: 0.5 + gains.get(method, [0] * n_seeds)[seed] / 100 for method in METHODS}
        runs = [Run(method, seed, 0.5, accuracy, 2.0, 1.0) for method, accuracy in accuracies.items()]
        comparisons.append(Comparison(None, runs=runs))
    return Report(comparisons, {})


def test_every_method_has_a_run_and_a_net(comparisons):
    for seed, comparison in enumerate(comparisons):
        assert [run.method for run in comparison.runs] == list(comparison.nets) == METHODS
        assert {run.seed for run in comparison.runs} == {seed}
        assert list(comparison.searches) == list(GRIDS)
        assert [*GRIDS, *CONTROLS] == METHODS
        assert all(run.time_ratio == run.epoch_seconds / run.plain_epoch_seconds > 0 for run in comparison.runs)


def test_seeds_decide_the_training_images(comparisons):
    assert not np.array_equal(comparisons[0].digits.X_train, comparisons[1].digits.X_train)


def test_accuracies_are_those_of_the_nets_on_the_test_images(comparisons):
    for comparison in comparisons[:1]:
        digits = comparison.digits
        for run in comparison.runs:
            net = clone(comparison.nets[run.method]).fit(digits.X_train, digits.y_train)
            assert run.accuracy == net.score(digits.X_test, digits.y_test)


def test_strengths_are_those_that_the_search_found(comparisons):
    for comparison in comparisons:
        by_method = {run.method: run.strength for run in comparison.runs}
        for method, search in comparison.searches.items():
            assert by_method[method] == search.best_params_["strength"]
            assert len(search.cv_results_["params"]) == len(GRIDS[method]["strength"])
        assert by_method["random map"] == by_method["MendABA"]


def test_controls_change_as_much_as_mend_aba(comparisons):
    nets, digits = comparisons[0].nets, comparisons[0].digits
    assert isinstance(nets["Gaussian noise"].augmenter, GaussianNoise)
    assert isinstance(nets["random map"].augmenter, RandomMapABA)
    X, y = digits.X_train.repeat(30, axis=0), digits.y_train.repeat(30)
    sizes = [np.sqrt(np.mean((nets[name].augment(X, y) - X) ** 2)) for name in ["MendABA", *CONTROLS]]
    # A tenth, a tenth or eight tenths of the pixels move: a third on average.
    np.testing.assert_allclose(sizes, nets["MendABA"].strength / np.sqrt(3), rtol=0.1)


def test_accuracies_repeat_and_progress_counts_every_fit(small, comparisons):
    counted = []
    again = compare(1, epochs=1, progress=lambda text, n_fits: counted.append(n_fits))
    assert sum(counted) == count_fits() == 2 * (1 + 3 * 2) + 6
    assert [replace(run, epoch_seconds=0, plain_epoch_seconds=0) for run in again.runs] == [
        replace(run, epoch_seconds=0, plain_epoch_seconds=0) for run in comparisons[1].runs
    ]


def test_plain_net_augments_nothing():
    net = make_net(seed=3, epochs=7)
    assert (net.augmenter, net.random_state, net.max_epochs) == (None, 3, 7)
    assert load_digits("tiny", random_state=3).X_train.shape == (100, 1, 8, 8)


def test_rows_are_computed_from_the_runs(report):
    plain = np.array([run.accuracy for run in report.runs if run.method == "plain"])
    for method, cells in zip(METHODS, report.rows(), strict=True):
        runs = [run for run in report.runs if run.method == method]
        accuracy = 100 * np.array([run.accuracy for run in runs])
        gain = (accuracy - 100 * plain).round(6)
        assert len(cells) == len(HEADER)
        assert cells[0] == method
        assert cells[1].startswith(f"{accuracy.mean():.1f}")
        assert cells[3] == f"{np.mean([run.epoch_seconds / run.plain_epoch_seconds for run in runs]):.2f}"
        if accuracy.min() < accuracy.max():
            assert cells[1].endswith(f" ({accuracy.min():.1f}-{accuracy.max():.1f})")
        if method != "plain" and gain.min() < gain.max():
            assert cells[2] == f"{gain.mean():+.1f} ({gain.min():+.1f}, {gain.max():+.1f})"


def test_a_row_adds_up_where_a_median_would_not():
    plain, mend = (rows for rows in made_up({"plain": [0, 1, 8], "MendABA": [3, 3, 3]}).rows()[:3:2])
    accuracies = [float(cells[1].split()[0]) for cells in (plain, mend)]
    assert accuracies[1] - accuracies[0] == pytest.approx(float(mend[2].split()[0]), abs=0.11)


def test_plain_has_no_difference_and_no_strength(report):
    cells = dict(zip(HEADER, report.rows()[0], strict=True))
    assert cells["vs plain, points"] == cells["strength"] == ""


def test_a_strength_that_differs_between_seeds_shows_its_range():
    report = made_up({"MendABA": [1, 2]})
    runs = report.comparisons[1].runs
    runs[:] = [replace(run, strength=1.0) for run in runs]
    assert report.rows()[2][-1] == "0.75 (0.5-1)"


def test_conclusion_claims_only_what_every_seed_shows():
    assert "so this run shows that" in made_up({"MendABA": [1, 2, 1, 3, 1]}).conclusion()
    assert "does not show" in made_up({"MendABA": [1, 2, 1, 3]}).conclusion()  # too few seeds
    assert "does not show" in made_up({"MendABA": [1, 2, 1, 3, 0]}).conclusion()
    beaten = made_up({"MendABA": [1, 2, 1, 3, 1], "random map": [0, 0, 2, 0, 0]}).conclusion()
    assert "does not show" in beaten
    assert "better than the random map on 4 of 5" in beaten
    assert "+1.6 points with MendABA (better on 5 of 5)" in beaten
    assert len(re.findall(r"\.(?!\d)", beaten)) == 1  # one sentence


def test_equal_accuracies_are_no_win():
    conclusion = made_up({"MendABA": [1, 1], "random map": [1, 1]}).conclusion()
    assert "better than the random map on 0 of 2" in conclusion


def test_files(report, tmp_path):
    (tmp_path / "results.json").write_text("earlier")
    files = report.write(tmp_path)
    assert [file.name for file in files] == ["augmentation.png", "results.json", "strength.png", "table.md"]
    assert sorted(tmp_path.iterdir()) == files
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files if file.suffix == ".png")
    results = json.loads((tmp_path / "results.json").read_text())
    assert [run["accuracy"] for run in results["runs"]] == [run.accuracy for run in report.runs]
    assert {"seeds": [0, 1], "epochs": 1, "threads": 1, "lr": 0.003}.items() <= results["settings"].items()
    assert {"python", "torch", "skaba"} <= set(results["versions"])
    assert len(results["tuning"]) == 2 * (1 + 3 * 2)
    assert all(len(candidate["scores"]) == 2 for candidate in results["tuning"])
    by_seed = {run["seed"]: run["accuracy"] for run in results["runs"] if run["method"] == "plain"}
    for run in results["runs"]:
        assert run["difference"] == run["accuracy"] - by_seed[run["seed"]]


def test_markdown(report):
    lines = report.markdown().splitlines()
    assert lines[0] == f"| {' | '.join(HEADER)} |"
    assert [line.split("|")[1].strip() for line in lines[2:8]] == METHODS
    assert lines[-1] == report.conclusion()


def test_a_failure_keeps_the_earlier_results(report, tmp_path, monkeypatch):
    (tmp_path / "results.json").write_text("earlier")

    def fail(*arguments):
        raise RuntimeError("disk full")

    monkeypatch.setattr("skaba.demo._report.draw_augmentation", fail)
    with pytest.raises(RuntimeError, match="disk full"):
        report.write(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]
    assert (tmp_path / "results.json").read_text() == "earlier"
