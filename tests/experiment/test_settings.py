"""Files of settings: what is read, and what is refused."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from skaba import modules
from skaba.experiment import list_experiments, read_experiment
from skaba.experiment._settings import recorded_experiment
from skaba.experiment.kinds import KINDS

ROOT = Path(__file__).resolve().parents[2]
FULL_ONLY = {"e2_mnist_tiny", "e3_mnist_tiny", "e4_mnist_medium", "e4_newsgroups_full"}
CPU_ONLY = {"e4_mnist_vgg", "e4_newsgroups_gru", "e4_newsgroups_pool", "e5_newsgroups"}
RUNS = [(name, "full") for name in list_experiments() if name not in CPU_ONLY]
RUNS += [(name, scale) for name in list_experiments() if name not in FULL_ONLY for scale in ("quick", "cpu")]


def test_every_kind_has_a_file_of_settings():
    assert {read_experiment(name, scale).kind for name, scale in RUNS} == set(KINDS)


def test_experiments_are_listed_by_name_with_their_titles():
    names = list_experiments()
    assert list(names) == sorted(names)
    assert names["e4_digits"] == "E4, digits: 100 training images of 8 x 8"


def test_files_of_settings_travel_with_the_package():
    """Each is inside the package, of which a wheel holds every file that git does not ignore."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["skaba"]
    names = {file.stem for file in (ROOT / "skaba" / "experiment" / "settings").glob("*.toml")}
    assert names == set(list_experiments())


@pytest.mark.parametrize(("name", "scale"), RUNS)
def test_every_experiment_can_be_run(name, scale):
    settings = read_experiment(name, scale)
    assert (settings.name, settings.scale) == (name, scale)
    assert settings.module["name"] in modules.__all__
    arms = [arm.name for arm in settings.arms()]
    assert set(settings.published) <= set(arms)
    if settings.kind == "groups":
        single = read_experiment(settings.averages_from, scale)
        own = settings.data, settings.module, settings.epochs, settings.strengths, settings.learning_rates
        assert own == (single.data, single.module, single.epochs, single.strengths, single.learning_rates)


def test_a_scale_goes_before_what_stands_outside(small):
    cpu, full = read_experiment(small, "cpu"), read_experiment(small, "full")
    assert (cpu.epochs, cpu.module) == (1, {"name": "ConvNet", "width": 2})
    assert (full.epochs, full.module) == (3, {"name": "ConvNet", "width": 4})


def test_a_quick_run_differs_from_cpu_only_in_its_size(small):
    small.write_text(small.read_text() + "[cpu]\nbatch_size = 20\n[quick]\nmodule.width = 1\n")
    cpu, quick = read_experiment(small, "cpu"), read_experiment(small, "quick")
    size = {"learning_rates": [0.001], "strengths": [0.1], "longer": [2.0], "epochs": 2, "seeds": 2, "tuning_seeds": 1}
    module = {"name": "ConvNet", "width": 1}
    assert quick == replace(cpu, scale="quick", module=module, published={}, n_scored=200, n_attacked=20, **size)
    small.write_text(small.read_text() + "epochs = 7\n")
    assert read_experiment(small, "quick").epochs == 7


def test_settings_are_written_down_and_read_back(small):
    settings = read_experiment(small)
    assert recorded_experiment(settings.as_dict()) == settings


def test_settings_of_other_kinds_that_were_recorded_are_left_out(small):
    """Earlier versions recorded the settings of all kinds."""
    settings = read_experiment(small)
    assert recorded_experiment(settings.as_dict() | {"averages_from": "", "test_strengths": []}) == settings


def test_an_experiment_is_checked_however_it_is_made(small):
    with pytest.raises(ValueError, match="epochs must be a whole number of at least 1, got 0"):
        replace(read_experiment(small), epochs=0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 1", "epoch = 1", "no setting of the kind benchmark named 'epoch'. Did you mean 'epochs'"),
        ("epochs = 1\n", "", "at scale cpu these settings are missing: epochs"),
        ("epochs = 1", "epochs = 0", "epochs must be a whole number of at least 1, got 0"),
        ('kind = "benchmark"', 'kind = "bench"', "no kind named 'bench'"),
        ("strengths = [0.1, 0.3]", "strengths = [0.1, -1]", "strengths must be a list of positive numbers"),
        ('name = "digits"\n', "", r"\[data\] needs a name"),
        ("per_class = 2", "per_clas = 2", r"small.toml: There is no setting of the data digits named 'per_clas'"),
        (
            'name = "digits"',
            'name = "arrays"',
            r"small.toml: The data arrays need more settings: file, n_valid, n_test",
        ),
        ("epochs = 1", "epochs =", "is not TOML"),
        ("epochs = 1", "epochs = true", "epochs must be a whole number"),
        ("attack = 0.1", "attack = -0.1", "attack must be a number of at least 0, got -0.1"),
        ("attack = 0.1", "attack = nan", "attack must be a number of at least 0, got nan"),
        ("attack = 0.1", "test_strengths = [0.1]", "no setting of the kind benchmark named 'test_strengths'"),
        ("[published]", "[pubished]", "no setting of the kind benchmark named 'pubished'. Did you mean 'published'"),
        ('title = "small"', "title = 3", "title must be a text, got 3"),
        ('["FastABA-CE"]', '"FastABA-CE"', "controls_of must be a list of texts, got 'FastABA-CE'"),
        ("n_attacked = 20", "k = 0", "k must be a whole number of at least 1, got 0"),
        ("n_attacked = 20", "optimizer = 3", "optimizer must be a table, got 3"),
        ("n_attacked = 20", "n_attacked = 0", "n_attacked must be a whole number of at least 1, got 0"),
        ("seeds = 2", "seeds = 1", "differences need at least 2 seeds"),
        ('"plain", "FastABA-CE"', '"FastABA-CE"', 'methods must begin with "plain"'),
        ("strengths = [0.1, 0.3]", "strengths = [0.3, 0.1]", "strengths must ascend"),
        ('kind = "benchmark"', 'kind = "benchmark"\ntarget = "lossy"', 'target must be "class" or "loss", got'),
        ("attack = 0.1", "grids = { mixup = [0.1] }", "grids must give candidates of rivals"),
        ("longer = [1, 2]", "longer = [0]", "longer must be a list of positive numbers"),
        ('kind = "benchmark"', 'kind = "strength"', "no setting of the kind strength named 'controls_of'"),
        (
            'kind = "benchmark"\n',
            "",
            "no kind named None. Known: adjustments, auto, benchmark, demo, groups, strength, variants",
        ),
    ],
)
def test_what_is_wrong_is_said_before_any_work(small, old, new, message):
    small.write_text(small.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        read_experiment(small)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("strength", {"methods": ["plain"], "test_strengths": []}, "test_strengths must be a list of positive numbers"),
        ("strength", {"methods": ["plain"], "test_strengths": [-0.1]}, "test_strengths must be a list of positive"),
        ("demo", {"methods": ["plain"], "subject": "x", "seeds": 2}, "methods must hold a method after plain training"),
        ("demo", {"methods": ["plain", "FastABA"], "subject": "x", "seeds": 2}, "rivals must hold a rival"),
    ],
)
def test_each_kind_has_rules_of_its_own(make, kind, settings, message):
    with pytest.raises(ValueError, match=message):
        make(kind, **settings)


def test_a_missing_file_and_an_unknown_scale(small):
    with pytest.raises(FileNotFoundError, match=r"no file of settings .*nowhere.toml"):
        read_experiment(small.with_name("nowhere.toml"))
    with pytest.raises(ValueError, match=r"no experiment named 'e4_digit'. Did you mean 'e4_digits'.*ends in .toml"):
        read_experiment("e4_digit")
    with pytest.raises(ValueError, match="no scale named 'huge'"):
        read_experiment(small, "huge")
