"""Networks and augmenters of one's own, named as module:function."""

from dataclasses import replace

import pytest

from skaba.experiment import Resources, read_experiment, run

RESOURCES = Resources(n_jobs=1)
NETS = """
import torch
from skaba.augmenters import free_aba, mend_aba

def net(n_classes, hidden=8):
    return torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, n_classes)
    )

def any_net(**settings):
    return net(**settings)

def narrow(n_classes):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(63, n_classes))

def two_logits(n_classes):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))

def gentle():
    return mend_aba(k=2)

class Shift:
    def __call__(self, model, x, y, *, strength, criterion, generator):
        return x + strength

def shift():
    return Shift()

def move_all(model, x, y, *, strength, criterion, generator):
    return x + strength

def function():
    return move_all

def five():
    return 5

def nothing():
    pass

number = 3
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with a module of the user's; every test has another module's name."""
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return name


@pytest.fixture
def settings(small, here):
    return replace(
        read_experiment(small),
        module={"name": f"{here}:net", "hidden": 16},
        methods=["plain", f"{here}:gentle", f"{here}:shift", f"{here}:function"],
        controls_of=[f"{here}:gentle"],
        published={},
        attack=0.0,
        learning_rates=[0.01],
        strengths=[0.1],
    )


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_own_network_and_augmenters_run_in_every_process(settings, here, tmp_path, n_jobs):
    results = run(settings, tmp_path / "out", Resources(n_jobs=n_jobs))
    assert list(results.fits) == [
        "plain",
        *(f"{here}:{name}" for name in ("gentle", "shift", "function")),
        "plain, longer",
        f"{here}:gentle, random map",
        f"noise as {here}:gentle",
    ]
    assert results.fits[f"{here}:gentle"][0]["test"] != results.fits["plain"][0]["test"]


def test_a_network_that_takes_any_keyword(settings, here, tmp_path):
    settings = replace(settings, module={"name": f"{here}:any_net", "hidden": 4}, methods=["plain"], controls_of=[])
    assert run(settings, tmp_path / "out", RESOURCES).fits["plain"]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ({"name": "own:nowhere"}, "own:nowhere cannot be imported"),
        ({"name": "{}:number"}, "is a int, not a function that makes a network"),
        ({"name": "{}:net", "hiden": 3}, r"no setting of the network own_.*:net named 'hiden'. Did you mean 'hidden'"),
        ({"name": "{}:net", "n_classes": 3}, "n_classes is decided by the experiment: leave it out"),
        ({"name": "{}:shift"}, r"cannot be made with .*unexpected keyword argument 'n_classes'"),
        ({"name": "{}:narrow"}, r"cannot read samples of shape \(1, 8, 8\): mat1 and mat2"),
        ({"name": "{}:two_logits"}, r"returns shape \(2, 2\) for 2 samples; .* one logit per class, \(2, 10\)"),
    ],
)
def test_what_a_network_of_ones_own_cannot_be(settings, here, tmp_path, module, message):
    module = {**module, "name": module["name"].format(here)}
    with pytest.raises(ValueError, match=message):
        run(replace(settings, module=module), tmp_path / "out", RESOURCES)
    assert not (tmp_path / "out").exists()


def test_what_an_augmenter_of_ones_own_cannot_be(settings, here):
    with pytest.raises(ValueError, match="is a int, not a function that makes an augmenter"):
        replace(settings, methods=["plain", f"{here}:number"], controls_of=[]).arms()
    with pytest.raises(ValueError, match=r"controls_of: .*:shift is not attribution-based, so it has no map"):
        replace(settings, controls_of=[f"{here}:shift"]).arms()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("five", r":five\(\)=5 must be an augmenter, such as mend_aba\(\)"),
        ("nothing", r":nothing\(\)=None must be an augmenter"),
        ("move_all", r":move_all must return an augmenter when called without arguments: .*missing"),
    ],
)
def test_a_function_that_makes_no_augmenter_is_named_before_any_work(settings, here, tmp_path, function, message):
    with pytest.raises(ValueError, match=here + message):
        run(replace(settings, methods=["plain", f"{here}:{function}"], controls_of=[]), tmp_path / "out", RESOURCES)
    assert not (tmp_path / "out").exists()
