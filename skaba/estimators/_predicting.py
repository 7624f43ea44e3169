"""Predicting: samples are checked against those of ``fit``, outputs against the samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import validate_data
from skorch.dataset import get_len
from skorch.utils import is_dataset
from torch import Tensor
from torch.utils.data import IterableDataset, Subset

from skaba._random_state import holding_random_state, random_state_kept
from skaba._samples import check_samples, is_floating
from skaba._targets import as_array
from skaba.estimators._checks import cannot_read, check_like_fitted, check_rows
from skaba.estimators._data import check_inside
from skaba.network import first_output

if TYPE_CHECKING:
    # For the type checker only: skorch's net follows the mixins in the bases.
    from skorch import NeuralNet as _Net
else:
    _Net = object


class PredictingNet(_Net):
    """Predicts for samples like those of ``fit``."""

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the module's output for X, after the task's nonlinearity.

        Parameters
        ----------
        X : array-like, Tensor, Dataset or mapping
            As for ``fit``.

        Returns
        -------
        ndarray of shape (n, n_outputs)
        """
        self.check_is_fitted()
        X = self._check_known(X)
        nonlinearity = self._get_predict_nonlinearity()
        try:
            # A DataLoader draws a seed for its workers even if it does not shuffle. With random_state that leaves no
            # trace; without, the global state advances as it does in skorch.
            with holding_random_state() if self.random_state is None else random_state_kept():
                answers = [nonlinearity(first_output(answer)) for answer in self.forward_iter(X)]
        except RuntimeError as error:
            if not isinstance(X, (np.ndarray, Tensor)) or hasattr(self, "sample_shape_"):
                raise
            raise ValueError(cannot_read(X, error)) from error
        outputs = np.concatenate([as_array(answer) for answer in answers])
        if not isinstance(X, IterableDataset):
            check_rows(outputs, get_len(X))
        return outputs

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of a classifier or the R2 of a regressor, as scikit-learn does.

        Parameters
        ----------
        X : array-like, Tensor or Dataset of n samples
        y : array-like of shape (n, ...)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If ``fit`` would refuse y. Labels that ``fit`` has not seen are allowed, and count as wrong predictions.
        """
        return float(super().score(X, self._read_targets(y), sample_weight=sample_weight))

    def _check_known(self, X: Any, *, floats: bool = False) -> Any:
        """Check X as ``fit`` does, and check that its samples are like those of ``fit``."""
        given, X = X, check_samples(X, floats=floats)
        # The samples of a Subset would have to be copied; those of a validation split were checked by fit.
        if is_dataset(X) and not isinstance(X, Subset):
            check_inside(X)
        self._check_names(given, learn=False)
        check_like_fitted(self, X)
        return X

    def _check_names(self, X: Any, *, learn: bool) -> None:
        """Learn or check the columns' names of a data frame, as scikit-learn does."""
        if not is_dataset(X) and not isinstance(X, Mapping):
            # skip_check_array: check_array refuses images and series, which have more than two axes.
            validate_data(self, X, reset=learn, skip_check_array=True, ensure_2d=False)

    def _learn_shape(self, X: Any) -> None:
        if isinstance(X, (np.ndarray, Tensor)):
            self.sample_shape_ = tuple(X.shape[1:])
            self.floats_in_ = is_floating(X)
            self.n_features_in_ = X.shape[1]
