"""The command, through typer's runner."""

import json
import re
import resource
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from typer.testing import CliRunner

import skaba
from skaba.attribution import DESCRIPTIONS, METHODS
from skaba.cli import app
from skaba.experiment import list_experiments, read_experiment

mpl.use("Agg")
run = CliRunner().invoke


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A demo of two short seeds, and where its results are."""
    folder = tmp_path_factory.mktemp("demo") / "new" / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skaba.experiment.read_experiment", lambda name: read_experiment(name, "quick"))
        # tests/experiment/test_demo.py draws them; once is slow enough.
        patch.setattr("skaba.experiment.kinds.Demo.figures", lambda *arguments: {})
        result = run(app, ["demo", "--seeds", "2", "--epochs", "1", "--jobs", "1", "--out", str(folder)])
    return result, folder


@pytest.mark.parametrize("case", ["digits", "messages"])
def test_demo_writes_its_files_and_says_where(done, case):
    result, folder = done
    assert result.exit_code == 0, result.output
    assert {file.name for file in (folder / case).iterdir()} >= {
        *("fits.jsonl", "results.json", "settings.json", "table.md"),
    }
    assert f"Results are in {folder / case}" in result.output


@pytest.mark.parametrize("case", ["digits", "messages"])
def test_the_demo_prints_its_table_and_conclusion(done, case):
    result, folder = done
    assert (folder / case / "table.md").read_text().removeprefix("# ") in result.output
    fits = json.loads((folder / case / "results.json").read_text())["fits"]
    assert {(fit["seed"], fit["epochs"]) for own in fits.values() for fit in own} == {(0, 1), (1, 1)}
    for name, own in fits.items():
        scores = f"{100 * sum(fit['test'] for fit in own) / 2:.1f}"
        assert re.search(rf"^\| {re.escape(name)} \|[^|]*\| {scores} \(", result.output, re.MULTILINE)


def test_version():
    result = run(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"skaba {skaba.__version__}\n")


def test_help_lists_the_demo():
    assert "demo" in run(app, []).output


@pytest.mark.parametrize(("option", "value"), [("--seeds", "1"), ("--epochs", "0")])
def test_the_demo_needs_two_seeds_and_an_epoch(option, value, tmp_path):
    result = run(app, ["demo", option, value, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert option in result.output
    assert not (tmp_path / "out").exists()


def test_out_must_not_be_a_file(tmp_path):
    (tmp_path / "file").write_text("precious")
    result = run(app, ["demo", "--out", str(tmp_path / "file")])
    assert result.exit_code == 2
    assert "--out" in result.output
    assert (tmp_path / "file").read_text() == "precious"


def test_out_must_be_writable(tmp_path):
    (tmp_path / "file").write_text("precious")
    result = run(app, ["demo", "--out", str(tmp_path / "file" / "inside")], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "cannot be written into" in result.output
    assert "Traceback" not in result.output


def test_an_error_that_is_not_the_users_is_not_hidden(tmp_path, monkeypatch):
    def fail(*arguments, **settings):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("skaba.experiment.run", fail)
    result = run(app, ["demo", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert isinstance(result.exception, RuntimeError)


@pytest.mark.parametrize("options", [[], ["--wide"]])
@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_methods_says_in_a_line_what_each_is(options, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    result = run(app, ["methods", *options])
    assert result.exit_code == 0
    rows = [re.split(" {2,}", line.strip()) for line in result.stdout.splitlines()]
    said = {row[0].rstrip("*"): row[1] for row in rows if row[0].rstrip("*") in METHODS}
    assert said == {name: DESCRIPTIONS[name] for name in METHODS}  # in their order, one line each
    assert "LRP*" in result.stdout
    assert "skaba[attribution]" in result.stdout
    assert ("target - mean target of the background, in expectation" in result.stdout) == bool(options)
    if not options:
        assert max(map(len, result.stdout.splitlines())) <= 80


HEAVY = {"torch", "numpy", "scipy", "sklearn", "skorch", "pandas", "matplotlib", "gensim", "wfdb", "joblib", "captum"}
HEAVY |= {"tqdm", "pooch"}


def test_the_command_imports_nothing_heavy():
    """So help comes at once: what a verb needs is imported when it is called."""
    code = f"import sys, skaba.cli; print(sorted({HEAVY} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "verb",
    [
        (),
        ("demo",),
        ("methods",),
        ("judge",),
        ("worth",),
        ("experiment",),
        *(("experiment", v) for v in ("list", "run", "report")),
    ],
)
def test_help_answers_in_under_a_second(verb):
    """Of the processor's time, which other processes do not lengthen: a quarter of a second where this was written."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "skaba", *verb, "--help"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Usage" in found.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


def test_what_the_package_offers_is_there_without_further_imports():
    code = "import skaba; print(skaba.ABAClassifier.__name__, skaba.augmenters.mend_aba.__name__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert found.stdout.strip() == "ABAClassifier mend_aba"
    assert {"ABAClassifier", "augmenters", "__version__"} <= set(dir(skaba))
    with pytest.raises(AttributeError, match="module 'skaba' has no attribute 'ABAClasifier'"):
        skaba.ABAClasifier  # noqa: B018


# --- skaba experiment

EXPERIMENT = """
title = "small"
kind = "strength"
epochs = 1
batch_size = 50
learning_rates = [0.01]
strengths = [0.3]
methods = ["plain"]
test_strengths = [0.1]
n_attacked = 20
seeds = 1
tuning_seeds = 1
data = { name = "digits", per_class = 1 }
module = { name = "ConvNet", width = 2 }
"""


def experiment(tmp_path, *arguments):
    (tmp_path / "small.toml").write_text(EXPERIMENT)
    out = tmp_path / "out"
    return run(app, ["experiment", *(str(a).format(tmp_path) for a in arguments)], env={"COLUMNS": "200"}), out


def test_an_experiment_is_run_and_reported(tmp_path):
    result, out = experiment(tmp_path, "run", "{}/small.toml", "--out", "{}/out", "--jobs", 1)
    assert result.exit_code == 0, result.output
    table = (out / "table.md").read_text()
    assert "| plain | Delta |" in table
    assert table.split("\n", 2)[2] in result.output
    again, _ = experiment(tmp_path, "report", "{}/out")
    assert table.split("\n", 2)[2].strip() == again.output.strip()


def test_experiments_are_listed_with_their_titles():
    result = run(app, ["experiment", "list"])
    assert result.exit_code == 0
    said = dict(re.split(" {2,}", line, maxsplit=1) for line in result.output.splitlines()[2:])
    assert said == list_experiments()


def test_an_experiment_of_the_package_is_run_by_its_name(tmp_path, monkeypatch):
    """From any folder, as a user of an installed package does."""
    monkeypatch.chdir(tmp_path)
    result = run(app, ["experiment", "run", "e4_digits", "--minutes", "0", "--jobs", "1"])
    assert result.exit_code == 3
    recorded = json.loads((tmp_path / "experiments" / "results" / "e4_digits-cpu" / "settings.json").read_text())
    assert recorded["settings"]["name"] == "e4_digits"


def test_the_log_says_what_was_done_to_the_users_data(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "own.npz", X=rng.integers(0, 256, (60, 1, 8, 8)).astype(np.uint8), y=np.arange(60) % 2 + 1)
    own = '{ name = "arrays", file = "own.npz", n_valid = 10, n_test = 10 }'
    file = tmp_path / "own.toml"
    file.write_text(EXPERIMENT.replace('{ name = "digits", per_class = 1 }', own))
    options = ["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--jobs", "1"]
    result = run(app, ["experiment", "run", str(file), *options], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert "60 samples of shape (1, 8, 8), uint8 divided by 255; 2 classes: 1, 2." in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "{}/nowhere.toml"), "There is no file of settings"),
        (("run", "{}/small.toml", "--scale", "huge"), "no scale named 'huge'"),
        (("report", "{}"), "holds no finished run"),
        (("run", "e4_digit"), "There is no experiment named 'e4_digit'. Did you mean 'e4_digits'?"),
    ],
)
def test_what_an_experiment_cannot_do_is_said(tmp_path, arguments, message):
    result, _ = experiment(tmp_path, *arguments)
    assert result.exit_code == 2
    assert message in re.sub(r"[\s│]+", " ", result.output)
    assert "Traceback" not in result.output


def test_an_experiment_that_runs_out_of_time_has_a_status_of_its_own(tmp_path):
    result, _ = experiment(tmp_path, "run", "{}/small.toml", "--out", "{}/out", "--minutes", 0, "--jobs", 1)
    assert result.exit_code == 3
    assert "Time is over: 0 of the 1 fits" in result.output


# --- skaba worth


def worth_of(tmp_path, *arguments):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    np.savez(tmp_path / "own.npz", X=rng.normal(size=(60, 4)) + y[:, None], y=y)
    return run(app, ["worth", str(tmp_path / "own.npz"), "--epochs", "1", *arguments], env={"COLUMNS": "200"})


def test_worth_prints_its_table_and_writes_it_with_the_picture(tmp_path, monkeypatch):
    from skaba.evaluation.worth import _repeating

    monkeypatch.setattr(_repeating, "MOST", 3)
    result = worth_of(tmp_path, "--minutes", "1", "--seed", "4", "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    table = (tmp_path / "out" / "worth.md").read_text()
    assert table in result.output
    assert "| ABA | random map |" in table
    assert "Means over 3 random splits" in table
    assert (tmp_path / "out" / "worth.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--minutes", "0.000001"), "is too short"),
        (("--layer", "embedding"), "holds float64, but with layer="),
        (("--module", "nowhere:Net"), "nowhere:Net cannot be imported"),
    ],
)
def test_what_worth_cannot_do_is_said(tmp_path, arguments, message):
    result = worth_of(tmp_path, *arguments)
    assert result.exit_code == 2
    assert message in re.sub(r"[\s│]+", " ", result.output)
    assert "Traceback" not in result.output
