"""The demo: its fits against estimators made by hand, and what its report claims."""

import itertools
import json
import re
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
import torch

from skaba import ABAClassifier
from skaba.augmenters import Mixup, fast_aba, free_aba
from skaba.datasets import load_digits
from skaba.experiment import Resources, Results, load_data, read_experiment, report, run
from skaba.modules import ConvNet

mpl.use("Agg")
CASES = ("demo_digits", "demo_messages")
ARMS = [
    *("plain", "FastABA", "FreeABA", "FastABA, random map", "label smoothing", "mixup"),
    "label smoothing + FastABA",
]
DEMO = read_experiment("demo_digits")
WORDS = {1: "better than", -1: "worse than", 0: "not shown to differ from"}


@pytest.fixture(scope="module", params=CASES)
def done(request, tmp_path_factory):
    """Two short seeds of a case: the demo, its results, its folder and its report."""
    demo = read_experiment(request.param, "quick")
    folder = tmp_path_factory.mktemp(request.param)
    return demo, run(demo, folder, Resources(n_jobs=1)), folder, report(folder)


@pytest.fixture(scope="module")
def digits_done(tmp_path_factory):
    demo = read_experiment("demo_digits", "quick")
    return demo, run(demo, tmp_path_factory.mktemp("digits"), Resources(n_jobs=1))


def made_up(differences):
    """Return results in which arms differ from plain training by so many points; two lists per arm are two seeds."""
    n_seeds = len(next(iter(differences.values())))
    fits = {
        name: [
            {
                "test": 0.5 + points / 100,
                "ece": 0.1,
                "value": 0.5,
                "rival_value": 0.0,
                "seconds": 1.0 + (name != "plain"),
            }
            for points in differences.get(name, [0] * n_seeds)
        ]
        for name in ARMS
    }
    return Results(learning_rate=0.001, chosen={}, tuned=dict.fromkeys(ARMS, 0.5), fits=fits)


def cells(demo, results, name):
    """Return the cells of an arm's row, by the header of their column."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in demo.table(results, None).splitlines()]
    (row,) = [line for line in lines if line[0] == name]
    return dict(zip(lines[0], row, strict=True))


def test_nothing_is_tuned_and_every_arm_has_a_test_fit_per_seed(done):
    demo, results, folder, _ = done
    assert list(results.fits) == ARMS
    fits = [json.loads(line) for line in (folder / "fits.jsonl").read_text().splitlines()]
    assert {fit["stage"] for fit in fits} == {"test"}
    assert len(fits) == len(ARMS) * demo.seeds
    for name, own in results.fits.items():
        assert [fit["seed"] for fit in own] == [0, 1]
        assert {fit["value"] for fit in own} == {demo.values.get(name.split(" + ")[-1], 0.0)}
    assert {fit["rival_value"] for fit in results.fits[ARMS[-1]]} == {demo.values["label smoothing"]}


SMOOTHING = DEMO.values["label smoothing"]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("plain", {"augmenter": None}),
        ("FastABA", {"augmenter": fast_aba()}),
        ("FreeABA", {"augmenter": free_aba()}),
        ("FastABA, random map", {"augmenter": fast_aba().random_map()}),
        ("label smoothing", {"augmenter": None, "criterion__label_smoothing": SMOOTHING}),
        ("mixup", {"augmenter": Mixup()}),
        ("label smoothing + FastABA", {"augmenter": fast_aba(), "criterion__label_smoothing": SMOOTHING}),
    ],
)
def test_scores_are_those_of_estimators_made_by_hand(digits_done, name, settings):
    demo, results = digits_done
    fit = results.fits[name][1]
    X, y = load_data(demo.data).train(seed=1)
    net = ABAClassifier(
        ConvNet,
        module__n_classes=10,
        module__width=demo.module["width"],
        strength=fit["value"],
        max_epochs=demo.epochs,
        optimizer=torch.optim.Adam,
        lr=0.001,
        batch_size=demo.batch_size,
        train_split=None,
        random_state=1,
        verbose=0,
        **settings,
    ).fit(X, y)
    digits = load_digits()
    assert fit["test"] == net.score(digits.X_test[: demo.n_scored], digits.y_test[: demo.n_scored])


@pytest.mark.parametrize("case", CASES)
def test_each_seed_has_training_samples_of_its_own(case):
    data = load_data(read_experiment(case).data)
    (first, y), (second, _) = data.train(0), data.train(1)
    assert not np.array_equal(first, second)
    assert len(set(np.bincount(y))) == 1


def test_a_row_holds_means_and_paired_differences():
    results = made_up({"plain": [0, 2, 4], "FastABA": [3, 6, 6], "label smoothing": [1, 2, 3]})
    row = cells(DEMO, results, "FastABA")
    assert row["accuracy, %"] == "55.0 (1.4)"
    assert row["vs plain training"].startswith("+3.0 [")
    assert row["vs label smoothing"].startswith("+3.0 [")
    assert row["vs its random map"].startswith("+5.0 [")
    assert row["value"] == "0.5"


def test_each_arm_is_compared_with_what_it_is_to_beat(done):
    demo, results, _, _ = done
    filled = {name: {key for key, cell in cells(demo, results, name).items() if cell} for name in ARMS}
    columns = {
        name: {key.removeprefix("vs ") for key in keys if key.startswith("vs ")} for name, keys in filled.items()
    }
    plain, rival = {"plain training"}, {"plain training", "label smoothing"}
    assert columns == {
        "plain": set(),
        "FastABA": rival | {"its random map"},
        "FreeABA": rival,
        "FastABA, random map": plain,
        "label smoothing": plain,
        "mixup": plain,
        "label smoothing + FastABA": rival,
    }


CLEAR, UNCLEAR = [2.9, 3.0, 3.1], [-3.0, 0.1, 3.0]


@pytest.mark.parametrize("signs", list(itertools.product((1, 0, -1), repeat=3)))
def test_the_conclusion_says_what_the_intervals_show(signs):
    """Whatever FastABA's differences from plain training, label smoothing and the random map are."""
    fast = np.array([10.0, 20.0, 40.0])
    others = ("plain", "label smoothing", "FastABA, random map")
    differences = {
        name: fast - (np.array(CLEAR) * sign if sign else UNCLEAR) for name, sign in zip(others, signs, strict=True)
    }
    results = made_up(differences | {"FastABA": fast, "FreeABA": differences["plain"]})
    conclusion = DEMO.conclusion(results)
    about, free, rival, mixup = conclusion.split("; ")
    assert about.startswith("On the digits, FastABA is ")
    assert len(re.findall(r"\.(?!\d)", conclusion)) == 1  # one sentence
    labels = ("plain training", "label smoothing", "its random map")
    for label, sign in zip(labels, signs, strict=True):
        # The verdict that stands before the label is the last one before it.
        before = about[: about.index(label)]
        last = max(WORDS.values(), key=before.rfind)
        assert last == WORDS[sign]
    assert re.search(r"plain training \([+-]\d.\d \[[+-]\d.\d, [+-]\d.\d\] points\)", about)
    assert free.startswith("FreeABA is not shown to differ from plain training (+0.0 [+0.0, +0.0] points)")
    assert rival.startswith("label smoothing is ")
    assert mixup.startswith("mixup is ")


@pytest.mark.parametrize(("points", "word"), [(CLEAR, 1), (UNCLEAR, 0), ([-x for x in CLEAR], -1), ([3, 3, 3], 0)])
def test_the_conclusion_says_what_the_rival_does_for_nothing(points, word):
    """Three equal differences have an interval of no width, which shows nothing about other seeds."""
    conclusion = DEMO.conclusion(made_up({"label smoothing": points}))
    assert f"; label smoothing is {WORDS[word]} plain training (" in conclusion


def test_an_interval_that_includes_zero_claims_nothing():
    conclusion = DEMO.conclusion(made_up({"FastABA": UNCLEAR, "FreeABA": UNCLEAR, "label smoothing": UNCLEAR}))
    assert "better" not in conclusion
    assert "worse" not in conclusion


def test_the_report_is_a_table_a_conclusion_and_two_pictures(done):
    demo, results, folder, table = done
    assert table.splitlines()[-1] == demo.conclusion(results)
    assert (folder / "table.md").read_text().endswith(table)
    for name in ("augmentation.png", "figure.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "results.json").read_text()) == results


def test_other_values_go_on_in_the_same_folder(done):
    """A value is part of each fit, so finished fits of other values are not taken for new ones."""
    demo, _, folder, _ = done
    changed = replace(demo, values=demo.values | {"mixup": 0.4})
    fits = run(changed, folder, Resources(n_jobs=1)).fits["mixup"]
    assert {fit["value"] for fit in fits} == {0.4}
    lines = (folder / "fits.jsonl").read_text().splitlines()
    assert len(lines) == (len(ARMS) + 1) * demo.seeds


@pytest.mark.parametrize("name", ["mixup", "FreeABA", "FastABA, random map"])
def test_each_arm_needs_a_value(name):
    values = {key: value for key, value in DEMO.values.items() if key != name}
    with pytest.raises(ValueError, match=rf"\[values\] must give the values of .*{name}"):
        replace(DEMO, values=values)


def test_a_failure_keeps_the_earlier_results(tmp_path, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("out of memory")

    (tmp_path / "results.json").write_text("earlier")
    monkeypatch.setattr("skaba.experiment._engine.run_fit", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        run(DEMO, tmp_path, Resources(n_jobs=1))
    assert (tmp_path / "results.json").read_text() == "earlier"
