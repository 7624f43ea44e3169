"""Files of settings: what is read, and what is refused."""

from pathlib import Path

import pytest

from skaba import modules
from skaba.experiment import Settings, arms_of, read_settings

FILES = sorted((Path(__file__).resolve().parents[2] / "experiments").glob("*.toml"))


def test_there_are_all_four_experiments():
    assert {read_settings(file, "full").kind for file in FILES} == {"strength", "adjustments", "groups", "benchmark"}


FULL_ONLY = {"e2_mnist_tiny", "e3_mnist_tiny", "e4_mnist_medium", "e4_newsgroups_full"}
RUNS = [(file, scale) for file in FILES for scale in ("cpu", "full") if scale == "full" or file.stem not in FULL_ONLY]


@pytest.mark.parametrize(("file", "scale"), RUNS, ids=lambda value: getattr(value, "stem", value))
def test_every_committed_file_can_be_run(file, scale):
    settings = read_settings(file, scale)
    assert (settings.name, settings.scale) == (file.stem, scale)
    assert settings.module["name"] in modules.__all__
    arms = [arm.name for arm in arms_of(settings)]
    assert set(settings.published) <= set(arms)
    if settings.kind == "groups":
        single = read_settings(file.with_name(f"{settings.averages_from}.toml"), scale)
        own = settings.data, settings.module, settings.epochs, settings.strengths, settings.learning_rates
        assert own == (single.data, single.module, single.epochs, single.strengths, single.learning_rates)


def test_a_scale_goes_before_what_stands_outside(small):
    cpu, full = read_settings(small, "cpu"), read_settings(small, "full")
    assert (cpu.epochs, cpu.module) == (1, {"name": "ConvNet", "width": 2})
    assert (full.epochs, full.module) == (3, {"name": "ConvNet", "width": 4})


def test_settings_are_written_down_and_read_back(small):
    settings = read_settings(small)
    assert Settings(**settings.as_dict()) == settings


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 1", "epoch = 1", "no setting named 'epoch'. Did you mean 'epochs'"),
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
        ("attack = 0.1", "test_strengths = [-0.1]", "test_strengths must be a list of positive numbers"),
        ('title = "small"', "title = 3", "title must be a text, got 3"),
        ('["FastABA-CE"]', '"FastABA-CE"', "controls_of must be a list of texts, got 'FastABA-CE'"),
        ("n_attacked = 20", "k = 0", "k must be a whole number of at least 1, got 0"),
        ("n_attacked = 20", "optimizer = 3", "optimizer must be a table, got 3"),
        ("n_attacked = 20", "n_attacked = 0", "n_attacked must be a whole number of at least 1, got 0"),
        ("seeds = 2", "seeds = 1", "differences need at least 2 seeds"),
        ('"plain", "FastABA-CE"', '"FastABA-CE"', 'methods begin with "plain"'),
        ("strengths = [0.1, 0.3]", "strengths = [0.3, 0.1]", "strengths ascend"),
        ('kind = "benchmark"', 'kind = "benchmark"\ntarget = "lossy"', 'target is "class" or "loss"'),
        ('kind = "benchmark"', 'kind = "strength"', "needs test_strengths"),
        ('kind = "benchmark"', 'kind = "groups"', "needs averages_from"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(small, old, new, message):
    small.write_text(small.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        read_settings(small)


def test_a_missing_file_and_an_unknown_scale(small):
    with pytest.raises(FileNotFoundError, match=r"no file of settings .*nowhere.toml"):
        read_settings(small.with_name("nowhere.toml"))
    with pytest.raises(ValueError, match="no scale named 'huge'"):
        read_settings(small, "huge")
