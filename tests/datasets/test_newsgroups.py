"""20 Newsgroups, from the complete archive."""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skaba.datasets import DatasetError, _newsgroups, fetch_newsgroups

from .conftest import FileServer, sha256


@pytest.fixture(scope="session")
def messages(real_data: Path) -> list[tuple[str, str]]:
    return _newsgroups._read_archive(real_data / "newsgroups" / "20news-bydate.tar.gz")


@pytest.fixture
def parsed(messages: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare each test the second it takes to read the archive."""
    monkeypatch.setattr(_newsgroups, "fetch_file", lambda file, folder, progress: folder / file.name)
    monkeypatch.setattr(_newsgroups, "_read_archive", lambda path: messages)


def test_the_archive_is_complete_and_sorted(messages: list[tuple[str, str]]) -> None:
    assert len(messages) == 18_846
    counts = Counter(group for group, _ in messages)
    assert len(counts) == 20
    assert (counts["alt.atheism"], counts["talk.religion.misc"], counts["rec.sport.hockey"]) == (
        799,
        628,
        999,
    )
    assert messages[0][0] == "alt.atheism"


def test_the_archive_is_downloaded_and_read(
    real_data: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (real_data / "newsgroups" / "20news-bydate.tar.gz").read_bytes()
    server.files["5975967"] = content
    # The copy for tests was packed anew, so that its hash is another.
    archive = replace(_newsgroups.ARCHIVE, url=server.url + "5975967", sha256=sha256(content))
    monkeypatch.setattr(_newsgroups, "ARCHIVE", archive)
    news = fetch_newsgroups("full", progress=False)
    assert [len(news[f"X_{name}"]) for name in ("train", "valid", "test")] == [13_846, 1_000, 4_000]
    assert news.y_train.dtype == np.int64
    assert isinstance(news.X_train[0], str)
    assert np.bincount(news.y_test).min() > 0
    assert "From:" in news.X_train[0]


@pytest.mark.usefixtures("parsed")
def test_tiny_is_balanced_and_held_out_sets_do_not_depend_on_the_subset() -> None:
    full, tiny = fetch_newsgroups("full"), fetch_newsgroups("tiny")
    assert np.bincount(tiny.y_train).tolist() == [100] * 20
    assert tiny.X_test.tolist() == full.X_test.tolist()
    assert set(tiny.X_train) <= set(full.X_train)


@pytest.mark.usefixtures("parsed")
def test_labels_follow_the_messages(messages: list[tuple[str, str]]) -> None:
    news = fetch_newsgroups("tiny")
    groups_of: dict[str, set[str]] = {}
    for group, text in messages:
        groups_of.setdefault(text, set()).add(group)
    pairs = zip(news.X_train, news.y_train, strict=True)
    assert all(news.target_names[label] in groups_of[text] for text, label in pairs)


@pytest.mark.usefixtures("parsed")
def test_seeds() -> None:
    first, second, other = (fetch_newsgroups("tiny", random_state=seed) for seed in (0, 0, 1))
    assert first.X_train.tolist() == second.X_train.tolist()
    assert set(first.X_train) != set(other.X_train)
    assert set(first.X_test) != set(other.X_test)


@pytest.mark.usefixtures("parsed")
def test_categories_choose_from_the_same_splits() -> None:
    everything = fetch_newsgroups("tiny")
    two = fetch_newsgroups("tiny", categories=["sci.space", "rec.autos"])
    assert two.target_names == ["rec.autos", "sci.space"]
    assert np.bincount(two.y_train).tolist() == [100, 100]
    for name in ("train", "valid", "test"):
        number = everything.target_names.index("sci.space")
        chosen = everything[f"X_{name}"][everything[f"y_{name}"] == number].tolist()
        assert two[f"X_{name}"][two[f"y_{name}"] == 1].tolist() == chosen


@pytest.mark.usefixtures("parsed")
def test_parts_are_removed_as_scikit_learn_does() -> None:
    whole = fetch_newsgroups("tiny")
    bare = fetch_newsgroups("tiny", remove=("headers",))
    assert bare.X_train[0] == whole.X_train[0].partition("\n\n")[2]
    assert not any(text.startswith("From:") for text in bare.X_train[:100])
    least = fetch_newsgroups("tiny", remove=("quotes", "footers", "headers"))
    assert sum(map(len, least.X_train)) < sum(map(len, bare.X_train)) < sum(map(len, whole.X_train))
    assert not any(line.startswith(">") for text in least.X_train for line in text.split("\n"))


@pytest.mark.usefixtures("parsed")
@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"subset": "medium"}, "Known: full, tiny"),
        ({"categories": ["sci.spice"]}, "no newsgroup named 'sci.spice'. Did you mean 'sci.space'"),
        ({"categories": []}, "categories is empty"),
        ({"categories": "sci.space"}, r"write categories=\('sci.space',\)"),
        ({"remove": ("header",)}, "Did you mean 'headers'"),
        ({"remove": "headers"}, r"write remove=\('headers',\)"),
    ],
)
def test_wrong_parameters(options: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        fetch_newsgroups(**options)


def pack(members: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in members.items():
            member = tarfile.TarInfo(name)
            content = text.encode("latin1")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def put(data_home: Path, monkeypatch: pytest.MonkeyPatch):
    """Put some bytes where the archive belongs."""

    def write(content: bytes) -> Path:
        path = data_home / "newsgroups" / "20news-bydate.tar.gz"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        monkeypatch.setattr(_newsgroups, "ARCHIVE", replace(_newsgroups.ARCHIVE, sha256=sha256(content)))
        return path

    return write


@pytest.mark.parametrize(
    "content",
    [pack({"README": "x"}), pack({"a": "x" * 9999})[:60], b"no archive"],
    ids=["without messages", "cut off", "no archive"],
)
def test_a_damaged_archive_is_named(put, content: bytes) -> None:
    path = put(content)
    with pytest.raises(DatasetError) as caught:
        fetch_newsgroups()
    assert str(path) in str(caught.value)


def test_an_archive_with_too_few_messages(put) -> None:
    put(pack({f"20news-bydate-train/sci.space/{number}": "Hi" for number in range(9)}))
    with pytest.raises(ValueError, match=r"more than 5000 samples.*there are 9"):
        fetch_newsgroups()


def test_members_outside_the_groups_and_of_any_order_change_nothing(tmp_path: Path) -> None:
    members = {f"20news-bydate-test/sci.space/{number}": f"é{number}" for number in (3, 1, 2)}
    (tmp_path / "a").write_bytes(pack({"../../x": "evil", "20news-bydate-test/../x/1": "evil", **members}))
    assert _newsgroups._read_archive(tmp_path / "a") == [("sci.space", f"é{number}") for number in (1, 2, 3)]


def test_members_may_be_named_from_the_current_folder(tmp_path: Path) -> None:
    """As ``tar czf news.tgz .`` names them."""
    names = [f"20news-bydate-{part}/sci.space/{number}" for number, part in enumerate(("train", "test", "train"))]
    (tmp_path / "plain").write_bytes(pack({name: name for name in names}))
    (tmp_path / "dotted").write_bytes(pack({f"./{name}": name for name in names}))
    found = _newsgroups._read_archive(tmp_path / "dotted")
    assert found == _newsgroups._read_archive(tmp_path / "plain")
    assert len(found) == 3
