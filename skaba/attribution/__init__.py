"""Attribution: a model, an input and a target in; a signed map of the input's shape out."""

from skaba.attribution._asking import asking
from skaba.attribution._gradients import Gradient, InputXGradient, IntegratedGradients
from skaba.attribution._layers import FromLayer, WithArguments, rows_of
from skaba.attribution._method import AttributionMethod
from skaba.attribution._random_map import RandomMap
from skaba.attribution._smooth_grad import SmoothGrad
from skaba.attribution._targets import Loss, PredictedClass, RandomTopClass, TrueClass

__all__ = [
    "AttributionMethod",
    "FromLayer",
    "Gradient",
    "InputXGradient",
    "IntegratedGradients",
    "Loss",
    "PredictedClass",
    "RandomMap",
    "RandomTopClass",
    "SmoothGrad",
    "TrueClass",
    "WithArguments",
    "asking",
    "rows_of",
]
