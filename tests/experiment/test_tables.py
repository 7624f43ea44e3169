"""Tables and figures of results that are made up."""

import json
import runpy
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from skaba.augmenters import ADJUSTMENTS, group_of
from skaba.evaluation import paired_interval
from skaba.experiment import Difference, draw_gains, find_gains, read_experiment, report


def fits(*scores, **more):
    common = {"value": 0.3, "rival_value": 0.0, "train": 1.0, "seconds": 60}
    return [{**common, "valid": score, "valid at 3/4": score, "test": score, **more} for score in scores]


@pytest.fixture
def benchmark():
    """Plain training, FastABA-CE 10 and 6 points above, and its controls, of which noise is always 11 better."""
    more = {"ece": 0.05, "FGSM": 0.5, "PGD": 0.4}
    arms = {
        "plain": fits(0.5, 0.6, **more),
        "FastABA-CE": fits(0.6, 0.66, **more),
        "plain, longer": fits(0.5, 0.62, **more),
        "FastABA-CE, random map": fits(0.55, 0.7, **more),
        "noise as FastABA-CE": fits(0.71, 0.77, **more),
    }
    tuned = dict(zip(arms, (0.0, 0.3, 0.0, 0.3, 0.12), strict=True))
    chosen = {"method": "FastABA-CE"}
    return {"learning_rate": 0.01, "tuned": tuned, "fits": arms, "chosen": chosen}


def written(folder, settings, results):
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps({"settings": settings.as_dict(), "versions": {}}))
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def page(folder):
    """Return docs/pages.py's page of the runs in a folder."""
    script = runpy.run_path(Path(__file__).resolve().parents[2] / "docs" / "pages.py")
    return script["evidence"](folder / "results", "# Evidence", folder / "docs" / "evidence.md")


def cells(table, start):
    line = next(line for line in table.splitlines() if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_benchmark_has_means_paired_differences_and_published_figures(small, tmp_path, benchmark):
    table = report(written(tmp_path / "run", read_experiment(small), benchmark))
    low, high = paired_interval(np.array([10.0, 6.0]))
    row = cells(table, "FastABA-CE")
    assert row[1:4] == ["0.3", "63.0 (3.0)", f"+8.0 [{low:+.1f}, {high:+.1f}], p 0.5"]
    assert [cell.split()[0] for cell in row[4:7]] == ["+7.0", "+0.5", "-11.0"]
    assert row[7:10] == ["5.0", "50.0", "40.0"]
    assert cells(table, "plain")[-1] == "63.1"
    assert (tmp_path / "run" / "table.md").read_text().endswith(table)
    assert (tmp_path / "run" / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_row_adds_up_where_a_median_would_not(small, tmp_path, benchmark):
    more = {"ece": 0.05, "FGSM": 0.5, "PGD": 0.4}
    benchmark["fits"] = {"plain": fits(0.9, 0.91, 0.4, **more), "FastABA-CE": fits(0.914, 0.914, 0.3, **more)}
    table = report(written(tmp_path / "run", read_experiment(small), benchmark))
    plain, ours = cells(table, "plain"), cells(table, "FastABA-CE")
    gain = float(ours[2].split()[0]) - float(plain[2].split()[0])
    assert gain == pytest.approx(float(ours[3].split()[0]), abs=0.11)


def test_where_nothing_is_published_there_is_no_column_for_it(small, tmp_path, benchmark):
    settings = read_experiment(small)
    header = report(written(tmp_path / "with", settings, benchmark)).splitlines()[0]
    table = report(written(tmp_path / "without", replace(settings, published={}), benchmark))
    assert table.splitlines()[0] == header.removesuffix(" published, median (std) |")
    assert cells(table, "FastABA-CE")[-1] == "40.0"
    assert "published" not in table


def test_equal_differences_are_noted_under_the_table(small, tmp_path, benchmark):
    settings, note = read_experiment(small), "An interval of no width comes from seeds with equal differences."
    assert note in report(written(tmp_path / "equal", settings, benchmark))
    benchmark["fits"]["noise as FastABA-CE"] = fits(0.71, 0.7, ece=0.05, FGSM=0.5, PGD=0.4)
    assert note not in report(written(tmp_path / "other", settings, benchmark))


def test_one_seed_has_no_interval(small, tmp_path, benchmark):
    benchmark["fits"] = {name: own[:1] for name, own in benchmark["fits"].items()}
    row = cells(report(written(tmp_path / "results" / "run", read_experiment(small), benchmark)), "FastABA-CE")
    assert row[3:7] == ["+10.0", "+10.0", "+5.0", "-11.0"]
    assert cells(page(tmp_path), "small")[7:9] == ["not shown: +10.0", "not shown: +5.0"]


def test_the_evidence_page_is_that_of_the_kept_results():
    root = Path(__file__).resolve().parents[2]
    script = runpy.run_path(root / "docs" / "pages.py")
    kept, discussion = root / "experiments" / "results", (root / "experiments" / "discussion.md").read_text()
    assert (
        script["evidence"](kept, discussion, root / "docs" / "evidence.md")
        == (root / "docs" / "evidence.md").read_text()
    )


@pytest.fixture
def compared(small, benchmark):
    """A benchmark with a rival, its combination with the method, and a model without a network; and its settings."""
    more = {"ece": 0.05, "FGSM": 0.5, "PGD": 0.4}
    arms = benchmark["fits"]
    arms["plain"], arms["FastABA-CE"] = fits(0.5, 0.6, 0.55, **more), fits(0.6, 0.69, 0.64, **more)
    arms["mixup"] = fits(0.62, 0.69, 0.65, **more, value=0.2)
    arms["mixup + FastABA-CE"] = fits(0.72, 0.81, 0.75, **more, rival_value=0.2)
    arms["nearest neighbours"] = [{"value": 0.0, "rival_value": 0.0, "test": 0.8, "seconds": 1} for _ in range(3)]
    arms["FastABA-CE, random map"] = fits(0.7, 0.78, 0.72, **more)
    benchmark["fits"] = {name: own for name, own in arms.items() if len(own) == 3}
    benchmark["tuned"] = {name: own[0]["value"] for name, own in benchmark["fits"].items()}
    benchmark["chosen"] = {"rival": "mixup", "method": "FastABA-CE", "both": "mixup + FastABA-CE"}
    settings = replace(read_experiment(small), seeds=3, rivals=["mixup"], outsiders=["nearest neighbours"])
    return benchmark, settings


def test_the_page_answers_yes_only_where_the_interval_says_so(tmp_path, compared):
    results, settings = compared
    written(tmp_path / "results" / "one-cpu", settings, results)
    text = page(tmp_path)
    row = cells(text, "small")
    assert row[1:6] == [
        "plain: 55.0",
        "mixup: 65.3",
        "FastABA-CE: 64.3",
        "FastABA-CE, random map: 73.3",
        "mixup + FastABA-CE: 76.0",
    ]
    assert row[6] == "nearest neighbours: 80.0"
    assert [cell.split(":")[0] for cell in row[7:]] == ["yes", "no, it is worse", "not shown", "yes"]
    assert "](../results/one-cpu/figure.png)" in text
    assert "ConvNet (width 2), 1 epochs" in text
    assert "`skaba experiment run one --scale cpu`" in text


def test_the_gain_stands_beside_the_gap_of_plain_training(tmp_path, compared):
    results, settings = compared
    folders = [written(tmp_path / "results" / "one-cpu", settings, results)]
    (gain,) = find_gains(folders)
    assert (gain.title, gain.method, gain.gap) == ("small", "FastABA-CE", pytest.approx(45.0))  # 100 - 55
    assert gain.gain == pytest.approx(Difference.of(np.array([10.0, 9.0, 9.0])))
    (line,) = draw_gains([gain]).axes[0].containers
    assert line.lines[0].get_xydata().tolist() == [[gain.gap, gain.gain.mean]]
    assert "| small | 45.0 | FastABA-CE | +9.3 [" in page(tmp_path)


def test_a_combination_is_compared_with_both_of_its_parts(tmp_path, compared):
    results, settings = compared
    table = report(written(tmp_path / "one-cpu", settings, results))
    header, both = cells(table, "")[:], cells(table, "mixup + FastABA-CE")
    row = dict(zip(header, both, strict=True))
    assert row["tuned value"] == "0.2 + 0.3"
    assert row["vs its rival"].startswith("+10.7 [")
    assert row["vs its method"].startswith("+11.7 [")
    assert cells(table, "nearest neighbours")[1:3] == ["", "80.0 (0.0)"]
    assert cells(table, "nearest neighbours")[-4:-1] == ["", "", ""]  # neither calibration nor attacks


def test_arms_that_were_still_learning_are_named(tmp_path, small, benchmark):
    settings = read_experiment(small)
    assert "last quarter" not in report(written(tmp_path / "done", settings, benchmark))
    for fit in benchmark["fits"]["FastABA-CE"]:
        fit["valid at 3/4"] = fit["valid"] - 0.006
    for fit in benchmark["fits"]["plain"]:
        fit["valid at 3/4"] = fit["valid"] - 0.004
    assert "in the last quarter: FastABA-CE (+0.6)." in report(written(tmp_path / "early", settings, benchmark))


@pytest.mark.parametrize("paired", [[1.0, 2.0, -0.5, 3.0, 4.0], [1.0, 1.0, -1.0, 2.0, 3.0], [0.0, 1.0, 2.0, -3.0, 0.0]])
def test_differences_have_the_p_value_of_wilcoxon(paired):
    """By counting: the share of the signs for which the sum of positive ranks is as far from its mean."""
    found = Difference.of(np.array(paired))
    assert found[:3] == (np.mean(paired), *paired_interval(paired))
    changed = np.array([one for one in paired if one])
    ranks = rankdata(np.abs(changed))
    sums = np.array([np.dot(ranks, signs) for signs in product([0, 1], repeat=len(ranks))])
    far = np.abs(sums - sums.mean()) >= np.abs(ranks[changed > 0].sum() - sums.mean()) - 1e-9
    assert found.p == pytest.approx(far.mean(), abs=1e-9 if len(set(np.abs(changed))) == len(changed) else 0.15)


def test_equal_scores_are_no_evidence():
    assert Difference.of(np.zeros(4)) == (0, 0, 0, 1)


def test_a_page_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no finished run"):
        page(tmp_path)


@pytest.fixture
def single(make, tmp_path):
    """E2 in which an Epsilon adjustment scores .8, a Delta one .2, a Neutral one .5."""
    value = {"epsilon": 0.8, "delta": 0.2, "neutral": 0.5}
    arms = {str(i): fits(value[group_of(a)] - 0.1, value[group_of(a)] + 0.1) for i, a in enumerate(ADJUSTMENTS)}
    results = {"learning_rate": 0.01, "tuned": dict.fromkeys(arms, 0.1), "fits": arms}
    settings = make("adjustments", published={"3": 50.0, "8": 60.0})
    return written(tmp_path / "singles-cpu", settings, results)


def test_single_adjustments_by_group(single):
    table = report(single)
    assert cells(table, "17")[1:] == ["-, 0, +", "epsilon", "0.1", "90.0", "80.0", ""]
    means = {group: cells(table, group)[1:] for group in ("epsilon", "delta", "neutral")}
    assert means == {"epsilon": ["80.0", "55.0"], "delta": ["20.0", ""], "neutral": ["50.0", ""]}


def test_single_adjustments_of_which_nothing_is_published(single):
    file = single / "settings.json"
    own = json.loads(file.read_text())
    own["settings"]["published"] = {}
    file.write_text(json.dumps(own))
    table = report(single)
    assert "published" not in table
    assert cells(table, "epsilon")[1:] == ["80.0"]


def test_a_set_is_compared_with_its_members(make, tmp_path, single):
    names = ["Neutral", "Delta", "Epsilon", "Eps.&Neu.", "Eps.&Del.", "All"]
    arms = {name: fits(0.6, 0.8) for name in names}
    results = {"learning_rate": 0.01, "tuned": dict.fromkeys(arms, 0.1), "fits": arms}
    settings = make("groups", averages_from="singles", published={"All": "1 / 2"})
    table = report(written(tmp_path / "sets-cpu", settings, results))
    assert cells(table, "All")[1:] == ["0.1", "70.0 (10.0)", "50.0", "1 / 2"]
    assert [cells(table, name)[3] for name in names] == ["50.0", "20.0", "80.0", "65.0", "50.0", "50.0"]


def test_sets_without_single_ones_say_what_is_missing(make, tmp_path):
    settings = make("groups", averages_from="singles")
    results = {"learning_rate": 0.01, "tuned": {}, "fits": {}}
    with pytest.raises(ValueError, match=r"singles-cpu holds no finished run"):
        report(written(tmp_path / "sets-cpu", settings, results))


def test_strengths_at_test_time(make, tmp_path):
    names = [f"{adjustment} at {strength}" for adjustment in ("Delta", "Epsilon") for strength in ("0", "0.1", "0.4")]
    curves = [[0.5, 0.7, 0.9, 0.5, 0.4, 0.2], [0.7, 0.9, 0.9, 0.7, 0.2, 0.0]]
    arms = {
        "plain": [
            {**fit, **dict(zip(names, curve, strict=True))} for fit, curve in zip(fits(0.5, 0.7), curves, strict=True)
        ]
    }
    results = {"learning_rate": 0.01, "tuned": {"plain": 0.0}, "fits": arms}
    settings = make("strength", methods=["plain"], test_strengths=[0.1, 0.4])
    table = report(written(tmp_path / "run", settings, results))
    assert cells(table, "plain | Delta")[2:] == ["60.0", "80.0", "90.0"]
    assert cells(table, "plain | Epsilon")[2:] == ["60.0", "30.0", "10.0"]
