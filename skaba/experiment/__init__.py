"""The papers' experiments, rerun from a file of settings; results are kept as data."""

from skaba.experiment._arms import Arm, arms_of
from skaba.experiment._data import Data, load_data
from skaba.experiment._engine import OutOfTimeError, Place, Progress, run
from skaba.experiment._fits import Fit, run_fit
from skaba.experiment._journal import Journal
from skaba.experiment._page import make_page
from skaba.experiment._report import read_results, report
from skaba.experiment._results import Results
from skaba.experiment._settings import Settings, read_settings

__all__ = [
    "Arm",
    "Data",
    "Fit",
    "Journal",
    "OutOfTimeError",
    "Place",
    "Progress",
    "Results",
    "Settings",
    "arms_of",
    "load_data",
    "make_page",
    "read_results",
    "read_settings",
    "report",
    "run",
    "run_fit",
]
