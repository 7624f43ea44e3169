"""matplotlib is optional: it is imported when something is drawn, and one error says what to install."""

import subprocess
import sys

import numpy as np
import pytest

from skaba.attribution import Gradient
from skaba.plotting import (
    AdjustmentDisplay,
    AttributionDisplay,
    AugmentationDisplay,
    FidelityDisplay,
    ReliabilityDisplay,
)


def test_importing_plotting_does_not_import_matplotlib():
    code = "import sys, skaba.plotting; print({'matplotlib', 'gensim'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    assert result.stdout.strip() == "set()"


@pytest.fixture
def _without_matplotlib(monkeypatch):
    for module in [module for module in sys.modules if module.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)


MISSING = r'Plots need matplotlib: pip install "skaba\[plotting\]"'


@pytest.mark.usefixtures("_without_matplotlib")
@pytest.mark.parametrize(
    "display",
    [
        AdjustmentDisplay({0: [0.5]}),
        AttributionDisplay(np.ones((1, 4)), np.ones((1, 4))),
        AugmentationDisplay(samples=np.ones((1, 1, 4, 4)), augmented=np.ones((1, 1, 4, 4))),
    ],
)
def test_plot_says_what_to_install(display):
    with pytest.raises(ImportError, match=MISSING):
        display.plot()


@pytest.mark.usefixtures("_without_matplotlib")
def test_text_needs_matplotlib_for_its_colours():
    with pytest.raises(ImportError, match=MISSING):
        AttributionDisplay(np.ones((1, 1, 4, 4)), np.ones((1, 1, 4, 4))).to_text()


@pytest.mark.usefixtures("_without_matplotlib")
@pytest.mark.parametrize("display", [AttributionDisplay, AugmentationDisplay])
def test_the_error_comes_before_any_work(display):
    with pytest.raises(ImportError, match=MISSING):
        display.from_estimator(None, None)


@pytest.mark.usefixtures("_without_matplotlib")
def test_nothing_is_measured_without_matplotlib():
    with pytest.raises(ImportError, match=MISSING):
        FidelityDisplay.from_estimator(None, None, {"gradient": Gradient()})
    with pytest.raises(ImportError, match=MISSING):
        ReliabilityDisplay.from_predictions([0, 1], [[0.9, 0.1], [0.2, 0.8]])
