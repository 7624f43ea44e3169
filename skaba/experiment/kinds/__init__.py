"""The kinds of experiments, by the name that a file of settings gives.

To add one, derive a class from :class:`skaba.experiment.Experiment` in a file beside these, and name it here.
"""

from skaba.experiment.kinds._adjustments import Adjustments
from skaba.experiment.kinds._auto import Auto
from skaba.experiment.kinds._benchmark import Benchmark
from skaba.experiment.kinds._demo import Demo
from skaba.experiment.kinds._groups import Groups
from skaba.experiment.kinds._strength import Strength
from skaba.experiment.kinds._variants import Variants

KINDS = {kind.kind: kind for kind in (Strength, Adjustments, Groups, Auto, Benchmark, Variants, Demo)}
