"""The demo: its protocol against scikit-learn's, and what its report claims."""

import json
import re
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from skaba import ABAClassifier
from skaba.augmenters import GaussianNoise, mend_aba
from skaba.datasets import load_digits
from skaba.experiment import Resources, Results, read_experiment, report, run
from skaba.experiment.kinds._demo import CAPTION, HEADER
from skaba.modules import ConvNet

mpl.use("Agg")
METHODS = ["plain", "Challenger", "MendABA", "FastABA", "Gaussian noise", "random map"]
PRESETS = {
    "plain": None,
    "Challenger": "challenger",
    "MendABA": "mend_aba",
    "FastABA": "fast_aba",
    "Gaussian noise": GaussianNoise(),
    "random map": mend_aba().random_map(),
}
DEMO = replace(read_experiment("demo"), seeds=2, epochs=2, folds=2, timed_epochs=1, strengths=[0.03, 0.3])


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Two short seeds, and the folder that they are in."""
    folder = tmp_path_factory.mktemp("demo")
    results = run(DEMO, folder, Resources(n_jobs=1))
    return results, folder, report(folder)


@pytest.fixture(scope="module")
def results(done) -> Results:
    return done[0]


def plain_net(seed):
    """Return the network that every method starts from, made by hand."""
    return ABAClassifier(
        ConvNet,
        augmenter=None,
        max_epochs=2,
        optimizer=torch.optim.Adam,
        lr=0.003,
        batch_size=50,
        iterator_train__shuffle=False,
        train_split=None,
        random_state=seed,
        verbose=0,
    )


def made_up(gains):
    """Return results in which methods differ from plain training by so many points, one list per method."""
    n_seeds = len(next(iter(gains.values())))
    fits = {
        name: [
            {"test": 0.5 + gain / 100, "value": 0.5, "epoch": 2.0, "plain epoch": 1.0}
            for gain in gains.get(name, [0] * n_seeds)
        ]
        for name in METHODS
    }
    return Results(learning_rate=0.003, chosen={}, tuned=dict.fromkeys(METHODS, 0.5), fits=fits)


def rows(results):
    lines = DEMO.table(results, None).splitlines()[2:8]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_arm_has_a_fit_per_seed(results):
    assert sorted(results.fits) == sorted(METHODS)
    assert all([fit["seed"] for fit in fits] == [0, 1] for fits in results.fits.values())
    assert all(fit["epoch"] > 0 and fit["plain epoch"] > 0 for fits in results.fits.values() for fit in fits)


def test_strengths_and_accuracies_are_those_of_a_grid_search(results):
    """Over the same folds, on data that are split anew for each seed."""
    for seed in (0, 1):
        digits = load_digits("tiny", random_state=seed)
        folds = StratifiedKFold(2, shuffle=True, random_state=seed)
        for name, preset in PRESETS.items():
            grid = {"augmenter": [preset], "strength": DEMO.strengths if preset is not None else [0.0]}
            search = GridSearchCV(plain_net(seed), grid, cv=folds).fit(digits.X_train, digits.y_train)
            fit = results.fits[name][seed]
            assert fit["value"] == search.best_params_["strength"]
            assert fit["test"] == search.score(digits.X_test, digits.y_test)


def test_seeds_have_training_and_test_images_of_their_own():
    first, second = (DEMO.load(fit) for fit in DEMO.test_fits(DEMO.arm("plain"), 0.003, [0.0, 0.0]))
    assert first.bunch.X_train.shape == (100, 1, 8, 8)
    assert not np.array_equal(first.bunch.X_train, second.bunch.X_train)
    assert not np.array_equal(first.bunch.X_test, second.bunch.X_test)


def test_rows_are_computed_from_the_fits(results):
    plain = results.scores("plain")
    for name, cells in zip(METHODS, rows(results), strict=True):
        accuracy, gain = results.scores(name), (results.scores(name) - plain).round(6)
        assert len(cells) == len(HEADER)
        assert cells[0] == name
        assert cells[1].startswith(f"{accuracy.mean():.1f}")
        assert cells[3] == f"{np.mean([fit['epoch'] / fit['plain epoch'] for fit in results.fits[name]]):.2f}"
        if accuracy.min() < accuracy.max():
            assert cells[1].endswith(f" ({accuracy.min():.1f}-{accuracy.max():.1f})")
        if name != "plain" and gain.min() < gain.max():
            assert cells[2] == f"{gain.mean():+.1f} ({gain.min():+.1f}, {gain.max():+.1f})"


def test_a_row_adds_up_where_a_median_would_not():
    plain, _, mend = rows(made_up({"plain": [0, 1, 8], "MendABA": [3, 3, 3]}))[:3]
    assert float(mend[1].split()[0]) - float(plain[1].split()[0]) == pytest.approx(float(mend[2].split()[0]), abs=0.11)


def test_plain_has_no_difference_and_no_strength(results):
    cells = dict(zip(HEADER, rows(results)[0], strict=True))
    assert cells["vs plain, points"] == cells["strength"] == ""


def test_a_strength_that_differs_between_seeds_shows_its_range():
    results = made_up({"MendABA": [1, 2]})
    results.fits["MendABA"][1]["value"] = 1.0
    assert rows(results)[2][-1] == "0.75 (0.5-1)"


def test_conclusion_claims_only_what_every_seed_shows():
    assert "so this run shows that" in DEMO.conclusion(made_up({"MendABA": [1, 2, 1, 3, 1]}))
    assert "does not show" in DEMO.conclusion(made_up({"MendABA": [1, 2, 1, 3]}))  # too few seeds
    assert "does not show" in DEMO.conclusion(made_up({"MendABA": [1, 2, 1, 3, 0]}))
    beaten = DEMO.conclusion(made_up({"MendABA": [1, 2, 1, 3, 1], "random map": [0, 0, 2, 0, 0]}))
    assert "does not show" in beaten
    assert "better than the random map on 4 of 5" in beaten
    assert "+1.6 points with MendABA (better on 5 of 5)" in beaten
    assert len(re.findall(r"\.(?!\d)", beaten)) == 1  # one sentence


def test_equal_accuracies_are_no_win():
    conclusion = DEMO.conclusion(made_up({"MendABA": [1, 1], "random map": [1, 1]}))
    assert "better than the random map on 0 of 2" in conclusion


def test_the_report_is_a_table_a_conclusion_and_two_pictures(done):
    results, folder, table = done
    lines = table.splitlines()
    assert lines[0] == f"| {' | '.join(HEADER)} |"
    assert (lines[-3], lines[-1]) == (CAPTION, DEMO.conclusion(results))
    assert (folder / "table.md").read_text().endswith(table)
    for name in ("augmentation.png", "strength.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "results.json").read_text()) == results


def test_the_picture_of_strengths_has_the_mean_of_all_folds(done):
    _, folder, _ = done
    curves = {line.get_label(): line for line in DEMO.figures(done[0], folder)["strength.png"].axes[0].lines}
    lines = [json.loads(line) for line in (folder / "fits.jsonl").read_text().splitlines()]
    for name in ("Challenger", "MendABA", "FastABA"):
        tried = [fit for fit in lines if fit["arm"] == name and fit["stage"].startswith("fold ")]
        assert len(tried) == 2 * 2 * 2  # strengths, folds, seeds
        means = [np.mean([fit["valid"] for fit in tried if fit["value"] == s]) for s in DEMO.strengths]
        np.testing.assert_allclose(curves[name].get_ydata(), means)


def test_a_failure_keeps_the_earlier_results(tmp_path, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("out of memory")

    (tmp_path / "results.json").write_text("earlier")
    monkeypatch.setattr("skaba.experiment._engine.run_fit", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        run(DEMO, tmp_path, Resources(n_jobs=1))
    assert (tmp_path / "results.json").read_text() == "earlier"
