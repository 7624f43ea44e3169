"""What an experiment found, as data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.utils import Bunch

if TYPE_CHECKING:
    import pandas as pd


class Results(Bunch):
    """Results of a finished experiment.

    Parameters
    ----------
    learning_rate : float
        Tuned on plain training.
    strengths : dict of str to float
        The strength of every arm; for noise, whose strength differs between fits, the median.
    fits : dict of str to list of dict
        The reported fits of every arm, in the order of their seeds. Each is flat: the fields of :class:`Fit`, then
        what was measured.

    Examples
    --------
    >>> from skaba.experiment import read_results
    >>> settings, results = read_results("experiments/results/e4_digits-cpu")
    >>> frame = results.to_frame()
    >>> scores = frame.groupby("arm")["test"].median()
    >>> print(f"{len(frame)} fits; plain {scores['plain']:.3f}, MendABA {scores['MendABA']:.3f}")
    110 fits; plain 0.902, MendABA 0.914
    """

    def to_frame(self) -> pd.DataFrame:
        """Return the reported fits as a table.

        Returns
        -------
        pandas.DataFrame
            One row per fit, with a column for each field of :class:`Fit` and for each thing measured. What was not
            measured on a fit is NaN.
        """
        import pandas as pd  # noqa: PLC0415 (only who asks for a frame should pay for it)

        return pd.DataFrame([fit for fits in self.fits.values() for fit in fits])
