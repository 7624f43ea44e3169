"""scikit-learn's own estimator checks, with the reason for each one that cannot hold."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import Tensor, nn

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor
from skaba.augmenters import fast_aba

# Warm-ups and column vectors are the checks' own; they say nothing about us.
pytestmark = pytest.mark.filterwarnings("ignore")


class Tabular(nn.Module):
    """A small network for any number of features."""

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.LazyLinear(32), nn.ReLU(), nn.Linear(32, n_outputs))

    def forward(self, X: Tensor) -> Tensor:
        return self.net(X)


class Classifier(ABAClassifier):
    """Fits its network to the number of classes, as the checks' data sets differ in it."""

    def initialize_module(self) -> Any:
        self.module_ = Tabular(len(self.classes_))
        return self


class MultiLabelClassifier(ABAMultiLabelClassifier):
    def initialize_module(self) -> Any:
        self.module_ = Tabular(self.n_labels_)
        return self


class Regressor(ABARegressor):
    def initialize_module(self) -> Any:
        self.module_ = Tabular(int(np.prod(self.target_shape_)))
        return self


INTEGERS = "integers are refused: they are images that nobody scaled, or word ids"
SKORCH = {
    "check_no_attributes_set_in_init": "skorch keeps history_, initialized_ and virtual_params_ from the start",
    "check_set_params": "skorch lists its bookkeeping _params_to_validate among the parameters",
    "check_estimators_dtypes": INTEGERS,
    "check_sample_weights_pandas_series": INTEGERS,
    "check_sample_weights_not_an_array": INTEGERS,
    "check_sample_weights_shape": INTEGERS,
    "check_sample_weight_equivalence_on_dense_data": "copies of a sample come in other batches than the sample",
}
MULTI_LABEL = {
    "check_classifiers_one_label": "the check's labels are classes, not zeros and ones",
    "check_sample_weights_not_overwritten": "the check's labels are classes, not zeros and ones",
    "check_classifiers_one_label_sample_weights": "the check's labels are classes, not zeros and ones",
    "check_class_weight_classifiers": "the check's labels are one class per sample",
    "check_classifiers_classes": "the check's labels are one class a sample",
    "check_classifiers_train": "the check's labels are classes, not zeros and ones",
    "check_classifier_not_supporting_multiclass": "a multi-label classifier is not a binary one either",
    "check_fit2d_1feature": "the check's labels are classes, not zeros and ones",
    "check_classifier_data_not_an_array": "the check's X holds integers",
}
REASONS = {
    Classifier: {
        **SKORCH,
        "check_classifier_data_not_an_array": "the check's X holds integers",
    },
    MultiLabelClassifier: {**SKORCH, **MULTI_LABEL},
    Regressor: {
        **SKORCH,
        "check_regressor_multioutput": "the network's own precision, float32, is kept",
        "check_regressors_no_decision_function": "skorch's regressors have predict_proba",
    },
}


def _estimator(cls: type, **parameters: Any) -> Any:
    return cls(
        Tabular,
        random_state=0,
        verbose=0,
        max_epochs=25,
        lr=0.05,
        batch_size=16,
        train_split=None,
        optimizer=torch.optim.Adam,
        **parameters,
    )


@pytest.mark.slow
@parametrize_with_checks(
    [
        _estimator(Classifier, augmenter=fast_aba(k=1)),
        _estimator(MultiLabelClassifier),
        _estimator(Regressor),
    ],
    expected_failed_checks=lambda estimator: REASONS[type(estimator)],
)
def test_scikit_learn_check(estimator: Any, check: Any) -> None:
    check(estimator)
