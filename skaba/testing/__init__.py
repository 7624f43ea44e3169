"""Checks for your own extensions: what every attribution method must do."""

from skaba.testing._attribution import check_attribution_method
from skaba.testing._traces import trace_of, traceless

__all__ = ["check_attribution_method", "trace_of", "traceless"]
