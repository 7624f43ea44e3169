"""The examples of docs/training_loops.md run as they stand, section by section."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "training_loops.md").read_text(encoding="utf-8")
SETUP, *SECTIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
LIBRARIES = {"accelerate": "accelerate", "Lightning": "lightning", "Hugging Face's Trainer": "transformers"}


@pytest.mark.usefixtures("fresh_accelerator")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.splitlines()[0])
def test_the_examples_run(section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    title = section.splitlines()[0]
    monkeypatch.chdir(tmp_path)
    if title in LIBRARIES:
        pytest.importorskip(LIBRARIES[title])
    if LIBRARIES.get(title) == "transformers":  # which takes this repository's folder for the library datasets
        monkeypatch.setattr("transformers.trainer.is_datasets_available", lambda: False)
    names: dict[str, Any] = {}
    exec("\n".join(_blocks(SETUP)), names)  # noqa: S102
    before = {name: value.clone() for name, value in names["model"].state_dict().items()}
    for block in _blocks(section):
        exec(block, names)  # noqa: S102
    trained = names.get("bert", names["model"])
    assert trained is not names["model"] or any(
        (before[name] != new).any() for name, new in trained.state_dict().items()
    )


def _blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def test_every_example_is_found() -> None:
    assert len(SECTIONS) == 4
    assert sum(len(_blocks(section)) for section in [SETUP, *SECTIONS]) == PAGE.count("```") / 2
