"""Standardisation of electrocardiograms, separately per lead."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted


class ECGScaler(TransformerMixin, BaseEstimator):
    """Standardise each lead by its mean and standard deviation in the training records.

    The mean and the standard deviation of a lead are taken over records and time. A
    lead that is constant in the training records is only centred, as in
    :class:`sklearn.preprocessing.StandardScaler`.

    Attributes
    ----------
    mean_ : ndarray of shape (leads,), float64
        Mean of each lead, in the unit of the signals.
    scale_ : ndarray of shape (leads,), float64
        Standard deviation of each lead, or 1 where the lead is constant.

    Raises
    ------
    ValueError
        If the records are not of shape (n, leads, samples), hold NaN or infinity,
        or do not have as many leads as the records in ``fit``.

    Warns
    -----
    UserWarning
        If the training records have more leads than samples: the axes may be swapped.

    Notes
    -----
    Strodthoff et al. (2021, section III.A) standardise PTB-XL with one mean and one
    deviation for all leads; one pair per lead also equalises their amplitudes.

    References
    ----------
    N. Strodthoff, P. Wagner, T. Schaeffter, W. Samek. Deep learning for ECG analysis:
    benchmarks and insights from PTB-XL. IEEE J. Biomed. Health Inform. 25(5), 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.preprocessing import ECGScaler
    >>> X = np.array([[[1.0, 3.0], [5.0, 5.0]]])
    >>> scaler = ECGScaler().fit(X)
    >>> scaler.mean_, scaler.scale_
    (array([2., 5.]), array([1., 1.]))
    >>> scaler.transform(X)
    array([[[-1.,  1.],
            [ 0.,  0.]]], dtype=float32)
    """

    mean_: NDArray[np.float64]
    scale_: NDArray[np.float64]

    def fit(self, X: ArrayLike, y: Any = None) -> ECGScaler:
        """Compute the mean and standard deviation of each lead.

        Parameters
        ----------
        X : array-like of shape (n, leads, samples)
            Training records.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : ECGScaler
        """
        records = _check_records(X)
        if records.shape[1] > records.shape[2]:
            warnings.warn(
                f"X has {records.shape[1]} leads of {records.shape[2]} samples each. The shape is (n, leads, samples); "
                "if time is the middle axis, as in wfdb's records, pass X.transpose(0, 2, 1).",
                stacklevel=2,
            )
        # One lead at a time, because float64 temporaries of a whole data set may not fit into memory.
        leads = [records[:, lead] for lead in range(records.shape[1])]
        self.mean_ = np.array([lead.mean(dtype=np.float64) for lead in leads])
        scale = np.array([lead.std(dtype=np.float64) for lead in leads])
        # An exact comparison, because the deviation of a constant lead is often a rounding error instead of 0.
        constant = np.array([lead.min() == lead.max() for lead in leads])
        self.scale_ = np.where(constant | (scale == 0), 1.0, scale)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Standardise records.

        Parameters
        ----------
        X : array-like of shape (n, leads, samples)
            Records; not changed.

        Returns
        -------
        X_scaled : ndarray of shape (n, leads, samples), float32
        """
        records = self._check_fitted_records(X)
        scaled = records - self.mean_.astype(records.dtype)[:, np.newaxis]
        scaled /= self.scale_.astype(records.dtype)[:, np.newaxis]
        return scaled.astype(np.float32, copy=False)

    def inverse_transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Scale standardised records back to the unit of the signals.

        Parameters
        ----------
        X : array-like of shape (n, leads, samples)
            Standardised records; not changed.

        Returns
        -------
        X_original : ndarray of shape (n, leads, samples), float32
        """
        records = self._check_fitted_records(X)
        original = records * self.scale_.astype(records.dtype)[:, np.newaxis]
        original += self.mean_.astype(records.dtype)[:, np.newaxis]
        return original.astype(np.float32, copy=False)

    def _check_fitted_records(self, X: ArrayLike) -> NDArray[np.floating[Any]]:
        check_is_fitted(self)
        records = _check_records(X)
        if records.shape[1] != self.mean_.size:
            raise ValueError(
                f"X has {records.shape[1]} leads, but ECGScaler was fitted on {self.mean_.size}. The shape "
                "is (n, leads, samples); pass the same leads in the same order as in fit."
            )
        return records


def _check_records(X: ArrayLike) -> NDArray[np.floating[Any]]:
    """Return the records as a finite floating-point array with three axes."""
    records: NDArray[np.floating[Any]] = check_array(
        X, dtype=[np.float64, np.float32], ensure_2d=False, allow_nd=True, input_name="X"
    )
    if records.ndim != 3 or 0 in records.shape:
        raise ValueError(
            f"Expected records of shape (n, leads, samples), none of them 0, got shape {records.shape}. "
            "For a single record of shape (leads, samples), pass X[np.newaxis]."
        )
    return records
