"""The papers' experiments, rerun from a file of settings. Results are kept as data."""

from skaba.experiment._arms import Arm
from skaba.experiment._data import Data, load_data
from skaba.experiment._engine import OutOfTimeError, Progress, Resources, run
from skaba.experiment._experiment import Experiment
from skaba.experiment._fit import Fit
from skaba.experiment._fits import run_fit
from skaba.experiment._gains import Gain, draw_gains, find_gains
from skaba.experiment._journal import Journal
from skaba.experiment._report import read_results, report
from skaba.experiment._results import Difference, Results
from skaba.experiment._settings import list_experiments, read_experiment
from skaba.experiment._tables import markdown, with_interval
from skaba.experiment._worth import Network, worth_of_file, write_worth

__all__ = [
    "Arm",
    "Data",
    "Difference",
    "Experiment",
    "Fit",
    "Gain",
    "Journal",
    "Network",
    "OutOfTimeError",
    "Progress",
    "Resources",
    "Results",
    "draw_gains",
    "find_gains",
    "list_experiments",
    "load_data",
    "markdown",
    "read_experiment",
    "read_results",
    "report",
    "run",
    "run_fit",
    "with_interval",
    "worth_of_file",
    "write_worth",
]
