"""Curves, bands and labels of FidelityDisplay."""

from typing import Any

import numpy as np
import pytest

from skaba.evaluation.fidelity import Fidelity, PerturbationCurves, compare_fidelity
from skaba.plotting import FidelityDisplay

SHARES = np.array([0.0, 50, 100])
MIF = np.array([[2.0, 1, 0], [4, 0, 0], [-1, 0, 0]])
LIF = np.array([[2.0, 3, 0], [4, 4, 0], [-1, 0, 0]])
CURVES = PerturbationCurves(SHARES, MIF, LIF, np.zeros(3, dtype=int))
FOUND = Fidelity(50.0, (50.0, 50.0), 0.95, CURVES)


def total(rows: np.ndarray) -> np.ndarray:
    return rows.sum(axis=1, keepdims=True)


def test_lines_are_the_means_of_normalised_curves_and_bands_their_errors() -> None:
    display = FidelityDisplay.from_results({"ours": FOUND})
    lif, mif = display.lines_
    np.testing.assert_allclose(lif.get_xydata(), np.column_stack([SHARES, [1, 1.25, 0]]))
    np.testing.assert_allclose(mif.get_xydata(), np.column_stack([SHARES, [1, 0.25, 0]]))
    assert (lif.get_linestyle(), mif.get_linestyle()) == ("-", "--")
    # 1.96 standard errors of the values 0.5 and 0, whose standard deviation is 0.5 / sqrt(2)
    error = 1.959964 * (0.5 / np.sqrt(2)) / np.sqrt(2)
    np.testing.assert_allclose(display.curves[0].mif_error, [0, error, 0], rtol=1e-6)
    np.testing.assert_allclose(display.curves[0].lif_error, [0, error, 0], rtol=1e-6)


def test_legend_and_labels() -> None:
    ax = FidelityDisplay.from_results({"ours": FOUND}).ax_
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["LIF: least important first", "MIF: most important first", "ours: A = 50.0 [50.0, 50.0]"]
    assert ax.get_xlabel() == "masked units (%)"
    assert "95 %" in ax.get_ylabel()


def test_one_colour_per_method() -> None:
    X = np.abs(np.random.default_rng(0).normal(size=(10, 6)))
    maps: dict[str, Any] = {"right": X, "wrong": -X}
    display = FidelityDisplay.from_estimator(total, X, maps, step=25, level=0.5)
    assert len(display.lines_) == 4
    colours = [line.get_color() for line in display.lines_]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert "50 %" in display.ax_.get_ylabel()
    found = compare_fidelity(total, X, maps, step=25, level=0.5)
    assert [curve.area for curve in display.curves] == [each.area for each in found.values()]
    # Negated maps swap the two curves.
    np.testing.assert_allclose(display.curves[0].lif, display.curves[1].mif)


def test_results_are_drawn_into_given_axes() -> None:
    import matplotlib.pyplot as plt

    _, (left, right) = plt.subplots(1, 2)
    assert FidelityDisplay.from_results({"": FOUND}, ax=left).ax_ is left
    assert left.get_legend().get_texts()[-1].get_text() == "A = 50.0 [50.0, 50.0]"
    X = np.abs(np.random.default_rng(0).normal(size=(10, 6)))
    found = compare_fidelity(total, X, {"right": X})
    assert FidelityDisplay.from_results(found, ax=right).figure_ is right.figure


def test_empty_results_are_refused() -> None:
    with pytest.raises(ValueError, match="curves is empty"):
        FidelityDisplay.from_results({})
