"""Checks for custom attribution methods and augmenters."""

from skaba.testing._attribution import check_attribution_method
from skaba.testing._augmenter import check_augmenter
from skaba.testing._traces import trace_of, traceless

__all__ = ["check_attribution_method", "check_augmenter", "trace_of", "traceless"]
