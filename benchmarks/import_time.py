"""The time of ``from skaba import ABAClassifier``, divided by that of importing torch, skorch and scikit-learn.

    python benchmarks/import_time.py [--repeats 9]

New processes run the two imports in turn. The ratio is the median over neighbouring pairs, so that a busy
machine slows both alike; it should be at most 1.15.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from statistics import median

BASE = "import torch, skorch, sklearn"
OURS = "from skaba import ABAClassifier"
TIMED = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def seconds(statement: str) -> float:
    """Return how long a fresh process takes for one import."""
    run = subprocess.run([sys.executable, "-c", TIMED.format(statement)], capture_output=True, text=True, check=True)  # noqa: S603
    return float(run.stdout)


def main() -> None:
    """Print both medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9, help="processes per statement (default: 9)")
    repeats = parser.parse_args().repeats
    pairs = [(seconds(BASE), seconds(OURS)) for _ in range(repeats + 1)][1:]  # the first pair warms the disk's cache
    base, ours = (median(times) for times in zip(*pairs, strict=True))
    ratio = median(after / before for before, after in pairs)
    print(f"{BASE}: {base:.2f} s\n{OURS}: {ours:.2f} s\nratio: {ratio:.2f}")


if __name__ == "__main__":
    main()
