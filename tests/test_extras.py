"""What happens where an optional library is missing, and what an import of skaba loads."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from skaba.__main__ import main
from skaba._extras import require
from skaba._validation import validate_parameters
from skaba.attribution import LRP
from skaba.datasets import fetch_mnist, fetch_tiny_imagenet

from .conftest import ROOT

OPTIONAL = {"gensim", "wfdb", "kornia", "pytorch_optimizer", "matplotlib", "pooch", "typer", "rich", "captum", "PIL"}


@pytest.mark.parametrize(("library", "fetch"), [("pooch", fetch_mnist), ("PIL", fetch_tiny_imagenet)])
def test_a_download_names_its_extra(monkeypatch: pytest.MonkeyPatch, library: str, fetch: Callable[[], Any]) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf'needs {library}; install it with: pip install "skaba\[datasets\]"$'):
        fetch()


def test_a_method_that_needs_captum_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ImportError, match=r'needs captum.*pip install "skaba\[attribution\]"'):
        validate_parameters(LRP())


@pytest.mark.parametrize("library", ["typer", "rich", "matplotlib"])
def test_the_command_says_in_one_line_what_to_install(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(sys, "argv", ["skaba", "--help"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == f'The skaba command needs {library}; install it with: pip install "skaba[command]"'


def test_several_missing_libraries_are_named_together(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("typer", "rich"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="needs typer and rich; install them with"):
        require("command", "The command", "typer", "json", "rich")


def test_every_extra_that_a_message_names_exists() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    sources = [file.read_text(encoding="utf-8") for file in (ROOT / "skaba").rglob("*.py")]
    named = {part.partition("]")[0] for source in sources for part in source.split('install "skaba[')[1:]}
    required = {part.partition('"')[0] for source in sources for part in source.split('require("')[1:]}
    assert {"attribution", "command", "datasets"} <= named - {"{extra}"} | required <= set(declared)


def test_an_estimator_loads_nothing_optional() -> None:
    """Compared with what torch, skorch and scikit-learn load: some versions of these load rich themselves."""
    code = (
        "import sys, torch, skorch, sklearn; before = set(sys.modules)\n"
        "from skaba import ABAClassifier; ABAClassifier(torch.nn.Linear).get_params()\n"
        "import skaba.datasets, skaba.preprocessing\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    loaded = set(run.stdout.split())
    assert "skaba" in loaded
    assert not OPTIONAL & loaded
