"""Every experiment of the package at its quick scale, from its settings to its figures."""

import tarfile
from pathlib import Path

import matplotlib as mpl
import pytest

from skaba.experiment import Resources, list_experiments, read_experiment, read_results, report, run

mpl.use("Agg")
pytestmark = pytest.mark.slow

FULL_ONLY = {"e2_mnist_tiny", "e3_mnist_tiny", "e4_mnist_medium", "e4_newsgroups_full"}
NAMES = [name for name in list_experiments() if name not in FULL_ONLY]


@pytest.fixture(scope="module")
def data(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as --data takes it: the real data, with the records of PTB-XL unpacked."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("cifar10", "mnist", "newsgroups", "vectors"):
        (folder / name).symlink_to(real_data / name)
    with tarfile.open(real_data / "ptbxl" / "ptbxl-first500-100hz.tar.gz") as archive:
        archive.extractall(folder / "ptbxl", filter="data")
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_runs_quickly(name: str, data: Path, tmp_path: Path) -> None:
    experiment = read_experiment(name, "quick")
    if experiment.kind == "groups":  # its table shows the results of the single adjustments too
        single = experiment.averages_from  # type: ignore[attr-defined]
        run(read_experiment(single, "quick"), tmp_path / f"{single}-quick", Resources(data, n_jobs=1))
    out = tmp_path / f"{name}-quick"
    results = run(experiment, out, Resources(data, n_jobs=1))
    table = report(out)
    assert all(f"| {arm} |" in table for arm in results.fits)
    tuned = [arm.name for arm in read_results(out)[0].arms() if arm.is_tuned]
    assert all(any(name.startswith(arm) for name in results.fits) for arm in tuned)
    assert list(out.glob("*.png"))
