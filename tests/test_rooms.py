"""The check of rooms: the package passes, and each kind of violation is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT

GOOD = {
    "__init__.py": "from tiny.estimators import Net",
    "_samples.py": "def check(x): return _inner(x)\ndef _inner(x): return x",
    "attribution/__init__.py": "from tiny.attribution._maps import Map",
    "attribution/_maps.py": "from tiny._samples import check\nclass Map:\n    _weight = 1",
    "attribution/_use.py": "from tiny.attribution._maps import Map\ndef use(m): return m._weight + m.base._buffers",
    "estimators/__init__.py": "from tiny.estimators._net import Net",
    "estimators/_net.py": "import torch\nclass Net:\n    def fit(self): return self._fit() + super()._fit()",
    "plotting/__init__.py": "from tiny import Net\nfrom tiny.attribution import Map",
}


def check(folder: Path, files: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the check on a package of these files."""
    for name, content in files.items():
        (folder / "tiny" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "tiny" / name).write_text(content)
    command = [sys.executable, ROOT / ".ci" / "check_rooms.py", folder / "tiny"]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


def test_a_tidy_package_passes(tmp_path: Path) -> None:
    run = check(tmp_path, GOOD)
    assert (run.returncode, run.stdout[:8]) == (0, "7 files:")


@pytest.mark.parametrize(
    ("file", "line", "problem"),
    [
        ("attribution/_maps.py", "import tiny.estimators", "attribution may not import estimators"),
        ("attribution/_maps.py", "def f():\n    from tiny.plotting import x", "attribution may not import plotting"),
        ("attribution/_maps.py", "if TYPE_CHECKING:\n    from tiny import Net", "attribution may not import est"),
        ("datasets/__init__.py", "from tiny.preprocessing import x", "datasets may not import preprocessing"),
        ("_samples.py", "from tiny.attribution import Map", "root may not import attribution"),
        ("evaluation/__init__.py", "from tiny.testing import check_augmenter", "evaluation may not import testing"),
        ("estimators/_net.py", "from tiny.attribution._maps import Map", "attribution._maps.Map is private"),
        ("estimators/_net.py", "import tiny.attribution._maps", "attribution._maps is private to attribution"),
        ("estimators/_net.py", "from tiny.attribution import _maps", "attribution._maps is private to attribution"),
        ("estimators/_net.py", "from tiny._samples import _inner", "_samples._inner is private to root"),
        ("estimators/_net.py", "def f(m): return m.first()._weight", "m.first()._weight is private to another room"),
        ("estimators/_net.py", "from ..attribution import Map", "tiny. is not a room"),
        ("cellar/__init__.py", "import tiny._samples", "cellar may not import root, which is not below it in ORDER"),
        ("estimators/_net.py", "from tiny.cellar import wine", "tiny.cellar is not a room"),
    ],
)  # fmt: skip
def test_each_kind_of_violation_is_found(tmp_path: Path, file: str, line: str, problem: str) -> None:
    run = check(tmp_path, {**GOOD, file: f"{line}\n{GOOD.get(file, '')}"})
    where = len(line.splitlines())
    assert run.returncode == 1
    assert [found.partition(": ")[2].startswith((problem, f"tiny.{problem}")) for found in run.stdout.splitlines()] == [
        True
    ]
    assert f"{file}:{where}: " in run.stdout
