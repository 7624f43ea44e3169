"""Attribution: a model, an input and a target in; a signed map of the input's shape out."""

from skaba.attribution._asking import asking, first_output
from skaba.attribution._gradients import Gradient, InputXGradient, IntegratedGradients
from skaba.attribution._layers import FromLayer, WithArguments, find_layer, rows_of
from skaba.attribution._method import AttributionMethod, normal_like
from skaba.attribution._noise import SmoothGrad
from skaba.attribution._random_map import RandomMap
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
    "find_layer",
    "first_output",
    "normal_like",
    "rows_of",
]
