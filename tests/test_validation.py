"""The one place where parameters are checked."""

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import InvalidParameterError

from skaba._validation import unknown_name, validate_parameters
from skaba.attribution import IntegratedGradients, SmoothGrad
from skaba.augmenters import ABA, AdjustmentSet, Cutoff, mend_aba


class Plain(BaseEstimator):
    def __init__(self, size=1, inner=None):
        self.size = size
        self.inner = inner


class Strict(Plain):
    _parameter_constraints = {"size": [int]}  # noqa: RUF012


class Picky(Plain):
    def _check_consistency(self):
        raise ValueError("inconsistent")


def test_good_parameters_pass():
    validate_parameters(Strict(size=2, inner=Strict(size=3)))
    validate_parameters(mend_aba())


@pytest.mark.parametrize("other", [3, "mend_aba", None, lambda x: x])
def test_what_has_no_parameters_passes(other):
    validate_parameters(other)


def test_an_estimator_without_constraints_passes():
    validate_parameters(Plain(size="anything"))


def test_the_message_says_what_is_allowed_and_what_was_given():
    message = "The 'size' parameter of Strict must be an instance of 'int'. Got 'big' instead."
    with pytest.raises(InvalidParameterError, match=message):
        validate_parameters(Strict(size="big"))


def test_constraints_may_be_given():
    validate_parameters(Strict(size="big"), constraints={"size": [str]})
    with pytest.raises(ValueError, match="'size' parameter of Plain"):
        validate_parameters(Plain(size=1), constraints={"size": [str]})


def test_nested_components_are_checked_however_deep():
    validate_parameters(Plain(inner=Plain(inner=Strict(1))))
    with pytest.raises(ValueError, match="'size' parameter of Strict"):
        validate_parameters(Plain(inner=Plain(inner=Strict(1.5))))
    with pytest.raises(ValueError, match="'steps' parameter of IntegratedGradients"):
        validate_parameters(mend_aba(attribution=SmoothGrad(IntegratedGradients(steps=-1))))
    with pytest.raises(ValueError, match="'k' parameter of RandomTopClass"):
        validate_parameters(mend_aba(k=0))


def test_consistency_between_parameters_is_checked():
    with pytest.raises(ValueError, match="inconsistent"):
        validate_parameters(Plain(inner=Picky()))
    with pytest.raises(ValueError, match="3 categories, but the selection makes 2"):
        validate_parameters(ABA(adjustments=AdjustmentSet([(1, 0, 1)]), selection=Cutoff()))


@pytest.mark.parametrize(
    ("name", "hint"),
    [("delt", "Did you mean 'delta'? "), ("Epsilon", "Did you mean 'epsilon'? "), ("zzz", "")],
)
def test_unknown_names_get_the_nearest(name, hint):
    message = f"There is no group named {name!r}. {hint}Known: delta, epsilon."
    assert unknown_name("group", name, ["epsilon", "delta"]) == message


def test_unknown_name_among_none():
    assert unknown_name("layer", "x", iter([])) == "There is no layer named 'x'. Known: none."
