"""The notebooks run from an empty folder without a network, and are committed as they came out of a run."""

import re
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))
# What a machine would give away of itself: a path below a usual root, of a user or of a drive.
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/])/(?:Users|dev|etc|home|mnt|opt|private|root|srv|tmp|usr|var|work)/|\b[A-Z]:\\")
WRITES = re.compile(r"^\s*print\(|^(?:Markdown|conclude)\(", re.MULTILINE)
COMPARED = {"plain", "label smoothing", "mixup", "random map"}
DRAWS = re.compile(r"Display\.from_|\.plot\(")
LARGEST = 600_000

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_there_is_one_a_domain_and_one_for_ones_own_data() -> None:
    assert {path.stem for path in NOTEBOOKS} >= {"images", "text", "ecg", "compare"}


@every_notebook
def test_cells_ran_once_from_top_to_bottom(path: Path) -> None:
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@every_notebook
def test_what_writes_or_draws_has_output(path: Path) -> None:
    drawn = 0
    for cell in code_cells(path):
        pictures = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        texts = [output for output in cell.outputs if output not in pictures]
        assert bool(texts) == bool(WRITES.search(cell.source)), cell.source
        assert len(pictures) == len(DRAWS.findall(cell.source)), cell.source
        drawn += len(pictures)
    assert drawn > 0


@every_notebook
def test_the_method_is_compared_with_free_rivals_and_its_random_map(path: Path) -> None:
    outputs = [output.get("data", {}) for cell in code_cells(path) for output in cell.outputs]
    (table,) = [data["text/markdown"] for data in outputs if "| plain |" in data.get("text/markdown", "")]
    assert {row.split("|")[1].strip() for row in table.splitlines() if row.startswith("|")} > COMPARED


@every_notebook
def test_there_are_no_errors_or_warnings(path: Path) -> None:
    outputs = [output for cell in code_cells(path) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]


@every_notebook
def test_nothing_tells_of_the_machine_it_ran_on(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.kernelspec.name == "python3"
    assert not [cell for cell in notebook.cells if "execution" in cell.metadata]
    for cell in code_cells(path):
        for output in cell.outputs:
            texts = {kind: text for kind, text in output.get("data", {}).items() if not kind.startswith("image/")}
            assert not ABSOLUTE_PATH.search(f"{output.get('text', '')} {texts}")
        assert not ABSOLUTE_PATH.search(cell.source)


@every_notebook
def test_it_is_small_enough_to_commit(path: Path) -> None:
    assert path.stat().st_size < LARGEST


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("read /home/me/data", True),
        ("in '/tmp/x'", True),
        (r"C:\data", True),
        ("https://host/tmp/x", False),
        ("mean/var/std", False),
        ("newsgroups/20news.tar.gz", False),
    ],
)
def test_absolute_paths_are_told_from_other_slashes(text: str, found: bool) -> None:
    assert bool(ABSOLUTE_PATH.search(text)) is found


@pytest.mark.slow
@every_notebook
def test_it_runs_from_an_empty_folder_without_a_network(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("SKABA_DATA", str(tmp_path / "data"))
    # A proxy that answers to nobody: no test may start a download of a gigabyte.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    notebook = nbformat.read(path, as_version=4)
    folder = tmp_path / "folder"
    folder.mkdir()
    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    assert not list(folder.iterdir())
    streams = [output for cell in notebook.cells for output in cell.get("outputs", []) if output.get("text")]
    reads_data = any("DatasetError" in cell.source for cell in notebook.cells)
    assert reads_data == any("in place of" in output.text for output in streams)
