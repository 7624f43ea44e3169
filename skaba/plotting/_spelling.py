"""The words behind word ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sklearn.model_selection._search import BaseSearchCV  # scikit-learn has no public base class of its searches
from sklearn.pipeline import Pipeline

from skaba.plotting._checks import Array
from skaba.preprocessing import WordSequences

_SLACK = 3  # characters by which a token may start later than expected, where the tokeniser shortened punctuation


def spelled(words: WordSequences | Sequence[str], ids: Array, padding: int | None) -> Array:
    """Return the words of ids, empty where there is padding.

    Parameters
    ----------
    words : WordSequences or sequence of str
        What made the ids, or a sequence whose entry i is the word of id i.
    ids : ndarray of int of shape (n, length)
    padding : int or None
        The id of padding.

    Returns
    -------
    ndarray of str of shape (n, length)

    Raises
    ------
    ValueError
        If an id has no word.
    """
    if isinstance(words, WordSequences):
        words = ["", "<unknown>", *words.vectors.index_to_key]  # ids 0 and 1 have no vector
    if ids.min() < 0 or ids.max() >= len(words):
        raise ValueError(
            f"X holds word ids from {ids.min()} to {ids.max()}, but words only those from 0 to {len(words) - 1}. "
            "Give the words that X was made with."
        )
    return np.array([["" if id_ == padding else str(words[id_]) for id_ in row] for row in ids])


def word_step(estimator: Any, X: Any) -> tuple[WordSequences, Any] | None:
    """Return the step of a pipeline that turns texts into word ids, and the texts that it takes.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : array-like
        As the estimator takes it.

    Returns
    -------
    tuple of (WordSequences, texts), or None if there is no such step
    """
    if isinstance(estimator, BaseSearchCV):
        return word_step(estimator.best_estimator_, X)
    if not isinstance(estimator, Pipeline):
        return None
    for index, (_, step) in enumerate(estimator.steps):
        if isinstance(step, (WordSequences, Pipeline)):
            texts = estimator[:index].transform(X) if index else X
            return (step, texts) if isinstance(step, WordSequences) else word_step(step, texts)
    return None


def words_as_written(words: WordSequences, texts: Iterable[str], length: int) -> Array:
    """Return the words of texts as they are written there, empty where there is padding.

    Parameters
    ----------
    words : WordSequences
        It splits the texts into words.
    texts : iterable of str
    length : int
        The number of words that a text is cut or padded to.

    Returns
    -------
    ndarray of str of shape (n, length)
    """
    rows = [_as_written(text, words.tokenize(text)[:length]) for text in texts]
    return np.array([row + [""] * (length - len(row)) for row in rows])


def _as_written(text: str, tokens: list[str]) -> list[str]:
    """Return tokens with the capitals of the text; tokens that are not found there stay in lower case."""
    lower = text.lower()
    if len(lower) != len(text):  # some letters, such as the Turkish dotted capital I, become two
        return tokens
    found, position = [], 0
    for token in tokens:
        while position < len(text) and text[position].isspace():
            position += 1
        start = lower.find(token, position, position + len(token) + _SLACK)
        if start >= 0:
            position = start
        found.append(text[position : position + len(token)] if start >= 0 else token)
        position += len(token)
    return found
