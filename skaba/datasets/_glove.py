"""GloVe word vectors."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from skaba.datasets._download import PathLike, RemoteFile, data_folder, fetch_file, reading
from skaba.datasets._subsets import check_name
from skaba.datasets._vectors import check_limit, parse_vectors

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

ARCHIVES = {
    "6B": RemoteFile(
        "glove.6B.zip",
        "https://nlp.stanford.edu/data/glove.6B.zip",
        "617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
    ),
}
DIMENSIONS = {"6B": (50, 100, 200, 300)}


def fetch_glove(
    name: str = "6B",
    dimension: int = 100,
    limit: int | None = None,
    data_home: PathLike | None = None,
    *,
    progress: bool = True,
) -> KeyedVectors:
    """Load GloVe word vectors, downloaded on first use (862 MB).

    Parameters
    ----------
    name : {"6B"}, default="6B"
        The archive: "6B" has 400,000 lower-case words, trained on Wikipedia 2014 and Gigaword 5.
    dimension : {50, 100, 200, 300}, default=100
        Length of the vectors.
    limit : int, default=None
        Read only the ``limit`` most frequent words. By default all.
    data_home : path-like, default=None
        Where data sets are kept: by default the environment variable ``SKABA_DATA``, else the user's cache.
    progress : bool, default=True
        Show a progress bar during the download.

    Returns
    -------
    gensim.models.KeyedVectors
        Vectors of shape (n_words, dimension), float32.

    Raises
    ------
    ValueError
        If there is no such archive or dimension, or the limit is not positive.
    DatasetError
        If the archive cannot be downloaded, is not the published one, or is damaged.

    References
    ----------
    Pennington, J., Socher, R. and Manning, C. (2014). GloVe: Global Vectors for Word Representation. EMNLP.
    https://nlp.stanford.edu/projects/glove/

    Examples
    --------
    >>> from skaba.datasets import fetch_glove
    >>> vectors = fetch_glove(dimension=100, limit=50_000)  # doctest: +SKIP
    >>> vectors["network"].shape  # doctest: +SKIP
    (100,)
    """
    check_name("GloVe archive", name, ARCHIVES)
    if dimension not in DIMENSIONS[name]:
        raise ValueError(f"GloVe {name} has vectors of length {DIMENSIONS[name]}, not {dimension!r}.")
    check_limit(limit)
    path = fetch_file(ARCHIVES[name], data_folder("glove", data_home), progress=progress)
    member = f"glove.{name}.{dimension}d.txt"
    with reading(path), zipfile.ZipFile(path) as archive, archive.open(member) as lines:
        return parse_vectors(lines, path, limit, "utf-8")
