"""Synthetic messages as word ids, on which a network overfits as it does on few real texts."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval

from skaba.datasets._subsets import Plan, RandomState, cut, to_bunch
from skaba.datasets._synthetic import balanced, check_parameters

DESCR = """\
Synthetic messages about invented topics, as word ids, and invented word vectors, by skaba.datasets.make_message_ids.
They say nothing about any language.
"""


def make_message_ids(
    n_samples: int = 4000,
    *,
    n_topics: int = 6,
    n_words: int = 200,
    length: int = 50,
    share: float = 0.25,
    mixed: float = 0.15,
    dimension: int = 32,
    noise: float = 2.0,
    random_state: RandomState = 0,
) -> Bunch:
    """Make synthetic messages of word ids about a few topics, and word vectors. They say nothing about any language.

    Each word of a message is a word of its topic, a word of another topic, or a common word. Frequencies of words
    follow Zipf's law, so many words of the test set are rare in a small training set. Their vectors
    still tell the topic, with noise.

    Parameters
    ----------
    n_samples : int, default=4000
        Number of messages. A quarter each are validation and test samples.
    n_topics : int, default=6
        Number of classes, at least 2. All topics are equally frequent.
    n_words : int, default=200
        Number of words of each topic. There are as many common words.
    length : int, default=50
        Largest number of words in a message. Lengths are uniform from half of it; shorter messages are padded with 0.
    share : float, default=0.25
        Expected share of words of the message's topic.
    mixed : float, default=0.15
        Expected share of words of other topics. The other words are common.
    dimension : int, default=32
        Length of the word vectors.
    noise : float, default=2.0
        Standard deviation of the word vectors around the centre of their topic. Centres are drawn from a standard
        normal distribution; the centre of common words is zero.
    random_state : int, numpy.random.Generator or None, default=0
        Determines messages, vectors and splits.

    Returns
    -------
    sklearn.utils.Bunch
        ``X_train``, ``X_valid``, ``X_test``: word ids, int64 ndarrays of shape (n, length). ``y_train``, ``y_valid``,
        ``y_test``: topics, int64. ``target_names``: list of str. ``vectors``: float32 ndarray with one row per word id,
        the first for padding. ``words``: list of str, the name of each word id, empty for padding. ``DESCR``: str.

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        If a parameter has a type or value that is not allowed.
    ValueError
        If ``share`` and ``mixed`` add up to more than 1.

    See Also
    --------
    make_messages : Messages as strings, for the whole way from texts to predictions.

    Examples
    --------
    >>> from skaba.datasets import make_message_ids
    >>> messages = make_message_ids(400, random_state=0)
    >>> messages.X_train.shape, messages.X_test.shape, messages.vectors.shape
    ((200, 50), (100, 50), (1401, 32))
    >>> messages.target_names[messages.y_train[0]], [messages.words[word] for word in messages.X_train[0, :3]]
    ('topic 3', ['topic3-173', 'topic3-159', 'topic0-0'])
    """
    counts = {"n_samples": (n_samples, 4), "n_topics": (n_topics, 2), "n_words": (n_words, 1)}
    counts |= {"length": (length, 1), "dimension": (dimension, 1)}
    check_parameters(
        "make_message_ids",
        **{name: (value, [Interval(Integral, low, None, closed="left")]) for name, (value, low) in counts.items()},
        share=(share, [Interval(Real, 0, 1, closed="both")]),
        mixed=(mixed, [Interval(Real, 0, 1, closed="both")]),
        noise=(noise, [Interval(Real, 0, None, closed="left")]),
    )
    if share + mixed > 1:
        raise ValueError(f"share={share} and mixed={mixed} must not add up to more than 1.")
    generator = np.random.default_rng(random_state)
    y = balanced(n_samples, n_topics, generator)
    groups = _groups(y, n_topics, length, (share, mixed), generator)
    X = 1 + groups * n_words + _ranks(groups.shape, n_words, generator)
    n_in_message = generator.integers((length + 1) // 2, length, size=n_samples, endpoint=True)
    X[np.arange(length) >= n_in_message[:, None]] = 0
    vectors = _vectors(n_topics, n_words, dimension, noise, generator)
    plan = Plan("make_message_ids", {"full": None}, n_samples // 4, n_samples // 4)
    splits = {part: (X[index], y[index]) for part, index in cut(y, plan, "full", generator).items()}
    topics = [f"topic {topic}" for topic in range(n_topics)]
    return to_bunch(splits, topics, DESCR, vectors=vectors, words=_names(n_topics, n_words))


def _groups(
    y: NDArray[np.int64], n_topics: int, length: int, shares: tuple[float, float], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Draw the group of each word: 0 for common words, 1 + topic for others."""
    share, mixed = shares
    shape = (len(y), length)
    other = (y[:, None] + generator.integers(1, n_topics, size=shape)) % n_topics
    drawn = generator.uniform(size=shape)
    return np.where(drawn < share, 1 + y[:, None], np.where(drawn < share + mixed, 1 + other, 0))


def _ranks(shape: tuple[int, ...], n_words: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw words of a group by Zipf's law: the word of rank r is drawn with a probability proportional to 1 / r."""
    weights = 1 / np.arange(1, n_words + 1)
    return generator.choice(n_words, size=shape, p=weights / weights.sum())


def _vectors(
    n_topics: int, n_words: int, dimension: int, noise: float, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Draw the vectors around one centre per group, after a row of zeros for padding."""
    centres = generator.standard_normal((1 + n_topics, dimension))
    centres[0] = 0
    words = np.repeat(centres, n_words, axis=0)
    words += noise * generator.standard_normal(words.shape)
    return np.concatenate([np.zeros((1, dimension)), words]).astype(np.float32)


def _names(n_topics: int, n_words: int) -> list[str]:
    groups = ["common", *(f"topic{topic}" for topic in range(n_topics))]
    return ["", *(f"{group}-{rank}" for group in groups for rank in range(n_words))]
