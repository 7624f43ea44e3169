"""The package's public face."""

from __future__ import annotations

import subprocess
import sys

from skaba import datasets


def test_every_public_name_is_there_and_documented() -> None:
    for name in datasets.__all__:
        assert getattr(datasets, name).__doc__


def test_heavy_libraries_are_imported_only_when_needed() -> None:
    code = "import sys, skaba.datasets; print({'wfdb', 'gensim', 'requests'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert run.stdout.strip() == "set()"
