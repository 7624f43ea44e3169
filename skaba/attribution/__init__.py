"""Attribution: a model, an input and a target in; a signed map of the input's shape out."""

from skaba.attribution._captum import ThroughCaptum
from skaba.attribution._catalogue import DESCRIPTIONS, METHODS, TARGETS, Trial, Trials, available
from skaba.attribution._checking import BoundTarget, Target, as_labels
from skaba.attribution._deep_lift import DeepLift
from skaba.attribution._grad_cam import GradCAM
from skaba.attribution._gradients import Gradient, InputXGradient
from skaba.attribution._hill_climbing import HillClimbing
from skaba.attribution._iba import IBA
from skaba.attribution._loss import Loss
from skaba.attribution._lrp import LRP
from skaba.attribution._method import About, AttributionMethod, attributed, protected
from skaba.attribution._micro_batches import MicroBatches
from skaba.attribution._noise import SmoothGrad, SquaredSmoothGrad, VarGrad
from skaba.attribution._paths import ExpectedGradients, IntegratedGradients
from skaba.attribution._perturbation import FeatureAblation, GradientShap, KernelShap, Lime, Occlusion
from skaba.attribution._random_map import RandomMap
from skaba.attribution._rectifiers import DeconvNet, GuidedBackprop, GuidedGradCAM
from skaba.attribution._targets import (
    ClassScore,
    Criterion,
    FixedClass,
    PredictedClass,
    RandomTopClass,
    Score,
    TrueClass,
)
from skaba.attribution._times_input import TimesInput

__all__ = [
    "DESCRIPTIONS",
    "IBA",
    "LRP",
    "METHODS",
    "TARGETS",
    "About",
    "AttributionMethod",
    "BoundTarget",
    "ClassScore",
    "Criterion",
    "DeconvNet",
    "DeepLift",
    "ExpectedGradients",
    "FeatureAblation",
    "FixedClass",
    "GradCAM",
    "Gradient",
    "GradientShap",
    "GuidedBackprop",
    "GuidedGradCAM",
    "HillClimbing",
    "InputXGradient",
    "IntegratedGradients",
    "KernelShap",
    "Lime",
    "Loss",
    "MicroBatches",
    "Occlusion",
    "PredictedClass",
    "RandomMap",
    "RandomTopClass",
    "Score",
    "SmoothGrad",
    "SquaredSmoothGrad",
    "Target",
    "ThroughCaptum",
    "TimesInput",
    "Trial",
    "Trials",
    "TrueClass",
    "VarGrad",
    "as_labels",
    "attributed",
    "available",
    "protected",
]
