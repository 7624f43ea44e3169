"""The experiment of ``skaba demo``: what attribution is worth to a network that sees 100 images."""

from skaba.demo._experiment import CONTROLS, GRIDS, Comparison, Run, compare, count_fits, make_net
from skaba.demo._report import CAPTION, HEADER, Report, draw_augmentation, draw_strength

__all__ = [
    "CAPTION",
    "CONTROLS",
    "GRIDS",
    "HEADER",
    "Comparison",
    "Report",
    "Run",
    "compare",
    "count_fits",
    "draw_augmentation",
    "draw_strength",
    "make_net",
]
