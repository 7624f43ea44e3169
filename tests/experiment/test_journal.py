"""The journal: nothing finished is lost, and nothing unfinished is believed."""

from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skaba.experiment import Fit, Journal

RESULTS = {Fit("test", "FastABA", 0.01, 0.1 * i, 60, seed=i): {"valid": i / 7, "Delta at 0.1": i} for i in range(5)}


def written(folder: Path) -> Path:
    journal = Journal(folder / "fits.jsonl")
    for fit, result in RESULTS.items():
        journal.add(fit, result)
    return journal.file


def test_what_was_added_is_there_when_the_file_is_opened_again(tmp_path):
    assert Journal(written(tmp_path)).results == RESULTS


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 700))
def test_cut_off_anywhere_it_holds_the_lines_that_are_complete(tmp_path, length):
    (tmp_path / "fits.jsonl").unlink(missing_ok=True)
    file = written(tmp_path)
    content = file.read_bytes()[:length]
    file.write_bytes(content)
    journal = Journal(file)
    assert list(journal.results.items()) == list(RESULTS.items())[: content.count(b"\n")]
    journal.add(Fit("test", "plain", 0.01, 0.0, 60, 0), {"valid": 1.0})
    assert Journal(file).results == journal.results


def test_a_damaged_line_in_the_middle_is_an_error(tmp_path):
    file = written(tmp_path)
    lines = file.read_bytes().splitlines(keepends=True)
    for damaged in (lines[2][1:], b'{"valid": 0.3}\n', b"3\n"):
        file.write_bytes(b"".join([*lines[:2], damaged, *lines[3:]]))
        with pytest.raises(ValueError, match=r"line 3 of .*fits.jsonl is damaged"):
            Journal(file)


def test_a_journal_is_a_table(tmp_path):
    """One flat object per line: what pandas reads as a table without further ado."""
    frame = pd.read_json(written(tmp_path), lines=True, precise_float=True)
    assert list(frame.columns) == [*(field.name for field in fields(Fit)), "valid", "Delta at 0.1"]
    assert frame.seed.tolist() == [0, 1, 2, 3, 4]
    assert frame.valid.tolist() == pytest.approx([i / 7 for i in range(5)])
