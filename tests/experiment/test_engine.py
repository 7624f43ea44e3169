"""The engine: the protocol, going on after a stop, and what it refuses."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from skaba.experiment import (
    Fit,
    Journal,
    OutOfTimeError,
    Resources,
    Results,
    read_experiment,
    read_results,
    report,
    run,
)
from skaba.experiment import _engine as engine
from skaba.experiment._folder import claimed

RESOURCES = Resources(n_jobs=1)
KEPT = Path(__file__).resolve().parents[2] / "experiments" / "results"


@pytest.fixture
def fits(monkeypatch) -> list[Fit]:
    """Record which fits are run, and give them scores that only their settings decide."""
    seen = []

    def run_fit(experiment, fit, folder, device):
        seen.append(fit)
        score = fit.learning_rate + fit.value + fit.seed / 100
        return {"valid": score, "test": score / 2, "seconds": 0.0}

    monkeypatch.setattr(engine, "run_fit", run_fit)
    return seen


def test_the_protocol(small, tmp_path, fits):
    """Rate tuned on plain training, strengths on the validation set, the test set looked at once a reported fit."""
    results = run(read_experiment(small), tmp_path / "out", RESOURCES)
    assert (results["learning_rate"], results["tuned"]["FastABA-CE"]) == (0.01, 0.3)
    stages = {stage: [fit for fit in fits if fit.stage == stage] for stage in ("learning rate", "tuning", "test")}
    assert [(fit.arm, fit.learning_rate, fit.value) for fit in stages["learning rate"]] == [
        ("plain", 0.001, 0.0),
        ("plain", 0.01, 0.0),
    ]
    tuned = [("FastABA-CE", [0.1, 0.3]), ("plain, longer", [1.0, 2.0])]
    tuned += [(name, [0.1, 0.3]) for name in ("FastABA-CE, random map", "noise as FastABA-CE")]
    assert [(fit.arm, fit.learning_rate, fit.value) for fit in stages["tuning"]] == [
        (name, 0.01, value) for name, values in tuned for value in values
    ]
    tuning, reported = ({fit.seed for fit in fits if (fit.stage == "test") == last} for last in (False, True))
    assert (len(reported), tuning & reported) == (2, set())
    assert {fit.learning_rate for fit in stages["test"]} == {0.01}


def test_each_arm_is_tested_at_its_own_value(small, tmp_path, fits, monkeypatch):
    """Also rivals; the best rival is tested together with the best method, each at its value."""
    best = {"FastABA-CE, random map": 0.1, "noise as FastABA-CE": 0.3, "plain, longer": 2.0, "mixup": 0.2}

    def run_fit(experiment, fit, folder, device):
        fits.append(fit)
        return {"valid": float(fit.value == best.get(fit.arm, 0.3)) / (1 + (fit.arm == "label smoothing"))}

    monkeypatch.setattr(engine, "run_fit", run_fit)
    settings = replace(
        read_experiment(small), rivals=["label smoothing", "mixup"], grids={"label smoothing": [0.3], "mixup": [0.2, 1]}
    )
    results = run(settings, tmp_path / "out", RESOURCES)
    final = {(fit.arm, fit.seed): fit for fit in fits if fit.stage == "test"}
    both = "mixup + FastABA-CE"
    expected = best | {"plain": 0.0, "FastABA-CE": 0.3, "label smoothing": 0.3, both: 0.3}
    assert {name: final[name, 1].value for name, _ in final} == expected == results.tuned
    assert {fit.rival_value for (name, _), fit in final.items() if name != both} == {0.0}
    assert final[both, 0].rival_value == 0.2
    assert results.chosen == {
        "rival": "mixup",
        "method": "FastABA-CE",
        "combined method": "FastABA-CE",
        "both": both,
    }
    assert final["plain, longer", 0].epochs == 2
    assert {fit.epochs for (name, _), fit in final.items() if name != "plain, longer"} == {1}


def test_controls_of_the_best_method_follow_its_choice(small, tmp_path, fits, monkeypatch):
    best = {"MendABA": 0.1, "MendABA, random map": 0.3}

    def run_fit(experiment, fit, folder, device):
        fits.append(fit)
        return {"valid": float(fit.value == best.get(fit.arm))}

    monkeypatch.setattr(engine, "run_fit", run_fit)
    settings = replace(read_experiment(small), methods=["plain", "FastABA-CE", "MendABA"], controls_of=["best"])
    results = run(settings, tmp_path / "out", RESOURCES)
    assert (results.chosen["method"], results.tuned["MendABA, random map"]) == ("MendABA", 0.3)
    arms = {stage: {fit.arm for fit in fits if fit.stage == stage} for stage in ("tuning", "test")}
    expected = {"MendABA", "FastABA-CE", "plain, longer", "MendABA, random map", "noise as MendABA"}
    assert arms == {"tuning": expected, "test": expected | {"plain"}}
    assert list(settings.differences(results_with_scores(results), "MendABA")) == [
        *("plain", "plain, longer", "its random map", "its noise"),
    ]


def results_with_scores(results):
    fits = {name: [{"test": 0.5}] * 2 for name in results.fits}
    return Results(**{**results, "fits": fits})


def test_free_aba_is_not_combined_with_a_rival(small, tmp_path, fits):
    settings = replace(
        read_experiment(small),
        methods=["plain", "FastABA-CE", "FreeABA"],
        controls_of=["FreeABA"],
        rivals=["mixup"],
        grids={"mixup": [0.2]},
    )
    chosen = run(settings, tmp_path / "out", RESOURCES).chosen
    assert (chosen["method"], chosen["both"]) == ("FastABA-CE", "mixup + FastABA-CE")  # the first of equals
    assert not [fit for fit in fits if fit.arm == "mixup + FreeABA"]


def test_new_arms_go_on_in_the_same_folder(small, tmp_path, fits):
    settings = read_experiment(small)
    run(settings, tmp_path / "out", RESOURCES)
    first = list(fits)
    more = {"methods": ["plain", "FastABA-CE", "FreeABA"], "auto": ["FastABA-CE"], "rivals": ["label smoothing"]}
    run(replace(settings, **more, grids={"label smoothing": [0.1]}), tmp_path / "out", RESOURCES)
    assert len(set(fits)) == len(fits)
    new = {fit.arm for fit in fits[len(first) :]}
    assert new == {"FreeABA", "FastABA-CE, auto", "label smoothing", "label smoothing + FastABA-CE"}


def test_a_variant_may_be_added_but_not_changed(make, tmp_path, fits):
    settings = make("variants", varied="MendABA", methods=["plain", "MendABA"], seeds=2, variants={"a": {"k": 1}})
    run(settings, tmp_path / "out", RESOURCES)
    n_fits = len(fits)
    run(replace(settings, variants={"b": {"k": 2}, "a": {"k": 1}}), tmp_path / "out", RESOURCES)
    assert {fit.arm for fit in fits[n_fits:]} == {"MendABA, b"}
    with pytest.raises(ValueError, match=r"results of other settings \(variants differ\)"):
        run(replace(settings, variants={"a": {"k": 3}}), tmp_path / "out", RESOURCES)


def test_what_is_finished_is_not_run_again(small, tmp_path, fits):
    settings = read_experiment(small)
    first = run(settings, tmp_path / "out", RESOURCES)
    n_fits = len(fits)
    assert len(set(fits)) == n_fits
    assert run(settings, tmp_path / "out", RESOURCES) == first
    assert len(fits) == n_fits


@pytest.mark.parametrize("n_lines", [0, 1, 3, 7])
def test_a_run_that_was_stopped_goes_on(small, tmp_path, fits, n_lines):
    settings = read_experiment(small)
    whole = run(settings, tmp_path / "whole", RESOURCES)
    journal = tmp_path / "whole" / "fits.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    (tmp_path / "whole" / "results.json").unlink()
    journal.write_text("".join(lines[:n_lines]) + lines[n_lines][:9])  # killed in the middle of a line
    del fits[:]
    assert run(settings, tmp_path / "whole", RESOURCES) == whole
    assert len(fits) == len(lines) - n_lines
    assert sorted(journal.read_text().splitlines(keepends=True)) == sorted(lines)


def test_a_failing_fit_leaves_what_is_finished(small, tmp_path, fits, monkeypatch):
    works = engine.run_fit

    def fails(experiment, fit, folder, device):
        if fit.stage == "test":
            raise ZeroDivisionError
        return works(experiment, fit, folder, device)

    monkeypatch.setattr(engine, "run_fit", fails)
    with pytest.raises(ZeroDivisionError):
        run(read_experiment(small), tmp_path / "out", RESOURCES)
    assert len((tmp_path / "out" / "fits.jsonl").read_text().splitlines()) == 10
    with pytest.raises(ValueError, match=r"no finished run: results.json is missing"):
        report(tmp_path / "out")


def test_no_fit_is_begun_when_the_time_is_over(small, tmp_path, fits):
    with pytest.raises(OutOfTimeError, match=r"0 of the 2 fits of this stage \(learning rate\) are finished"):
        run(read_experiment(small), tmp_path / "out", replace(RESOURCES, minutes=0))
    assert not fits


def test_another_experiments_folder_is_refused(small, tmp_path, fits):
    run(read_experiment(small), tmp_path / "out", RESOURCES)
    n_fits = len(fits)
    with pytest.raises(ValueError, match=r"results of other settings \(scale, module differ\)"):
        run(read_experiment(small, "full"), tmp_path / "out", RESOURCES)
    assert len(fits) == n_fits


@pytest.mark.parametrize("cut_off", ["", '{"stage": "lear'])
def test_a_failed_run_without_a_fit_does_not_block_its_folder(small, tmp_path, fits, monkeypatch, cut_off):
    settings = read_experiment(small)

    def fails(*arguments):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(engine, "run_fit", fails)
        with pytest.raises(ZeroDivisionError):
            run(replace(settings, batch_size=7), tmp_path / "out", RESOURCES)
    if cut_off:
        (tmp_path / "out" / "fits.jsonl").write_text(cut_off)
    results = run(settings, tmp_path / "out", RESOURCES)
    assert read_results(tmp_path / "out") == (replace(settings, k=4), results)


def test_a_file_of_somebody_elses_is_left_alone(small, tmp_path, fits):
    for content in ("{}", "[1]", "not JSON", '{"settings": {}}'):
        (tmp_path / "settings.json").write_text(content)
        with pytest.raises(ValueError, match=r"settings.json was not written by an experiment"):
            run(read_experiment(small), tmp_path, RESOURCES)
        assert (tmp_path / "settings.json").read_text() == content


def test_results_are_a_table_of_flat_rows(small, tmp_path, fits):
    results = run(read_experiment(small), tmp_path / "out", RESOURCES)
    frame = results.to_frame()
    assert list(frame.columns) == [
        *("stage", "arm", "learning_rate", "value", "epochs", "seed", "rival_value"),
        *("valid", "test", "seconds"),
    ]
    assert frame.groupby("arm", sort=False).size().to_dict() == dict.fromkeys(results.fits, 2)
    assert frame[frame.arm == "noise as FastABA-CE"].value.tolist() == [0.3, 0.3]
    written = pd.read_json(tmp_path / "out" / "fits.jsonl", lines=True, precise_float=True)
    assert written.merge(frame, how="right", indicator=True)["_merge"].eq("both").all()


def test_more_seeds_and_corrected_published_figures_go_on_in_the_same_folder(small, tmp_path, fits):
    settings = read_experiment(small)
    run(settings, tmp_path / "out", RESOURCES)
    n_fits = len(fits)
    run(replace(settings, seeds=3, published={"plain": "99.9"}), tmp_path / "out", RESOURCES)
    assert len(fits) == n_fits + 5  # one more of each arm
    assert "99.9" in (tmp_path / "out" / "settings.json").read_text()


@pytest.mark.parametrize("folder", sorted(KEPT.glob("*/results.json")), ids=lambda file: file.parent.name)
def test_kept_results_hold_all_of_their_fits(folder):
    """Each reported fit is a line of the journal beside it."""
    _, results = read_results(folder.parent)
    journal = Journal(folder.with_name("fits.jsonl")).results
    for fits in results.fits.values():
        for fit in map(dict, fits):
            assert journal[Fit.taken_from(fit)] == fit
    assert set(results.tuned) == set(results.fits)


def test_the_log_says_that_finished_fits_are_not_run_again(small, tmp_path, fits, caplog):
    run(read_experiment(small), tmp_path / "out", RESOURCES)
    with caplog.at_level(logging.INFO, logger="skaba.experiment"):
        run(read_experiment(small), tmp_path / "out", RESOURCES)
    assert "out holds 20 finished fits, which are not run again." in caplog.text


def test_a_folder_that_cannot_be_made_is_an_error_before_any_fit(small, tmp_path, fits):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ValueError, match=r"Results cannot be written into .*inside: Not a directory"):
        run(read_experiment(small), tmp_path / "file" / "inside", RESOURCES)
    assert not fits


def test_two_runs_do_not_work_in_one_folder(small, tmp_path, fits):
    settings = read_experiment(small)
    with (
        claimed(tmp_path / "out", settings, "cpu"),
        pytest.raises(ValueError, match=r"Another run is working in .*out"),
    ):
        run(settings, tmp_path / "out", RESOURCES)
    run(settings, tmp_path / "out", RESOURCES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"module": {"name": "ConvNet", "widht": 2}},
            "no setting of the network ConvNet named 'widht'. Did you mean 'width'",
        ),
        ({"data": {"name": "digits", "per_class": 1000}}, "takes 1000 training samples of each class"),
        ({"methods": ["plain", "Mend"]}, "no method named 'Mend'"),
        ({"published": {"Mendaba": "1"}}, r"named 'Mendaba'.*Known: FastABA-CE, plain"),
        (
            {"optimizer": {"weight_decai": 1}},
            "no setting of the optimizer named 'weight_decai'. Did you mean 'weight_d",
        ),
        ({"optimizer": {"lr": 1}}, "optimizer lr is decided by the experiment"),
        (
            {"module": {"name": "ConvNet", "channels": 3}},
            r"images of shape \(n, 3, height, width\), got \(2, 1, 8, 8\)",
        ),
    ],
)
def test_what_is_wrong_shows_before_the_folder_is_touched(small, tmp_path, fits, change, message):
    with pytest.raises(ValueError, match=message):
        run(replace(read_experiment(small), controls_of=[], **change), tmp_path / "out", RESOURCES)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="on cudda"):
        run(read_experiment(small), tmp_path / "out", replace(RESOURCES, device="cudda"))


def test_seeds_versions_and_settings_are_recorded(small, tmp_path, fits):
    settings = read_experiment(small)
    results = run(settings, tmp_path / "out", RESOURCES)
    assert read_results(tmp_path / "out") == (replace(settings, k=4), results)
    recorded = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert {"skaba", "torch", "skorch", "python", "device"} <= set(recorded["versions"][0])
    lines = [json.loads(line) for line in (tmp_path / "out" / "fits.jsonl").read_text().splitlines()]
    assert sorted({line["seed"] for line in lines}) == [0, 1, 1000]
    assert not any(isinstance(value, dict | list) for line in lines for value in line.values())


def test_progress_counts_every_fit(small, tmp_path, fits):
    told = []
    run(read_experiment(small), tmp_path / "out", RESOURCES, lambda *told_now: told.append(told_now))
    assert told[:4] == [("learning rate", 1, 2), ("learning rate", 2, 2), ("tuning", 1, 8), ("tuning", 2, 8)]
    assert told[-1] == ("test", 10, 10)


@pytest.mark.slow
def test_two_real_runs_are_equal_in_processes_too(small, tmp_path):
    """Nothing but the seeds decides: one process, two processes."""
    settings = replace(read_experiment(small), learning_rates=[0.01], strengths=[0.3])
    runs = [run(settings, tmp_path / str(n_jobs), Resources(n_jobs=n_jobs)) for n_jobs in (1, 2)]
    assert _without_times(runs[0]) == _without_times(runs[1])


def _without_times(results):
    fits = {name: [{**fit, "seconds": 0} for fit in own] for name, own in results["fits"].items()}
    return {**results, "fits": fits}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "moments"),
    [(("{}/small.toml",), ((1, 1), (5, 2), (9, 1))), (("e4_wine", "--scale", "quick"), ((20, 1),))],
    ids=["small", "e4_wine"],
)
def test_killed_at_any_moment_it_ends_with_the_same_table(small, tmp_path, arguments, moments):
    """SIGKILL, to the whole group of processes, once a few fits are written; then the same command again."""
    own = [argument.format(small.parent) for argument in arguments]
    command = [sys.executable, "-m", "skaba", "experiment", "run", *own]
    whole = [*command, "--jobs", "1", "--out", str(tmp_path / "whole")]
    subprocess.run(whole, check=True, capture_output=True, timeout=300)  # noqa: S603
    for n_fits, n_jobs in moments:
        out = tmp_path / f"killed-{n_fits}"
        again = [*command, "--jobs", str(n_jobs), "--out", str(out)]
        _run_and_kill(again, out / "fits.jsonl", n_fits)
        assert not (out / "results.json").exists()
        subprocess.run(again, check=True, capture_output=True, timeout=300)  # noqa: S603
        assert (out / "table.md").read_text() == (tmp_path / "whole" / "table.md").read_text()


def _run_and_kill(command: list[str], journal: Path, n_fits: int) -> None:
    process = subprocess.Popen(  # noqa: S603
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 200
    while not journal.exists() or len(journal.read_bytes().splitlines()) < n_fits:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
