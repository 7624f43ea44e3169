"""The journal: nothing finished is lost, and nothing unfinished is believed."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skaba.experiment import Journal

RESULTS = {f"fit {i}": {"valid": i / 7, "curve": {"Delta": [0.1, i]}} for i in range(5)}


def written(folder: Path) -> Path:
    journal = Journal(folder / "fits.jsonl")
    for key, result in RESULTS.items():
        journal.add(key, result)
    return journal.file


def test_what_was_added_is_there_when_the_file_is_opened_again(tmp_path):
    assert Journal(written(tmp_path)).results == RESULTS


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 400))
def test_cut_off_anywhere_it_holds_the_lines_that_are_complete(tmp_path, length):
    (tmp_path / "fits.jsonl").unlink(missing_ok=True)
    file = written(tmp_path)
    content = file.read_bytes()[:length]
    file.write_bytes(content)
    journal = Journal(file)
    assert list(journal.results.items()) == list(RESULTS.items())[: content.count(b"\n")]
    journal.add("another", {"valid": 1.0})
    assert Journal(file).results == journal.results


def test_a_damaged_line_in_the_middle_is_an_error(tmp_path):
    file = written(tmp_path)
    file.write_bytes(file.read_bytes().replace(b'"fit 2"', b'"fit', 1))
    with pytest.raises(ValueError, match=r"line 3 of .*fits.jsonl is damaged"):
        Journal(file)
