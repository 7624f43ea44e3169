"""From texts to sequences of word ids, for pre-trained word vectors."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval, InvalidParameterError
from sklearn.utils.validation import check_is_fitted

from skaba._validation import validate_parameters

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

_PADDING = 0
_UNKNOWN = 1
_FIRST_WORD = 2


def _marks(first: int, last: int) -> str:
    """Return the combining marks in a range of code points, except the variation selectors of emoji."""
    points = (chr(point) for point in range(first, last + 1) if not 0xFE00 <= point <= 0xFE0F)
    return "".join(mark for mark in points if unicodedata.category(mark) in ("Mn", "Mc"))


# Python's \w does not match combining marks, which are vowels in the scripts of India and tones in Thai. The lookahead
# saves time: without it, each character would be searched for among the marks beyond U+FFFF.
_MARK = rf"(?:[{_marks(0x300, 0xFFFF)}]|(?=[\U00010000-\U0001FFFF])[{_marks(0x10000, 0x1FFFF)}])"
_LETTER = rf"[^\W\d_]{_MARK}*"
# Inside a word, the zero-width joiner and non-joiner decide which letters are drawn as one.
_WORD = rf"[^\W_]+(?:(?:{_MARK}|[\u200c\u200d](?=[^\W_]))[^\W_]*)*"

# The pieces of a text: clitics that stand alone, as in texts that were tokenised before; initialisms ("u.s."); words
# and numbers with the marks that may stand inside them ("don't", "well-known", "3.14", "12:30"); punctuation that is
# one token in GloVe; and any other single mark.
_PIECE = re.compile(
    rf"""(?<!\S)'(?:s|m|d|re|ve|ll)(?!\w|{_MARK})
      | (?:{_LETTER}\.){{2,}}
      | {_WORD} (?: (?: ['-] | (?<=\d)[.,:](?=\d) ) {_WORD} )*
      | \.{{2,}} | -{{2,}} | `` | ''
      | [^\w\s] | _""",
    re.VERBOSE,
)
_CLITIC = re.compile(r"(.+?)(n't|'(?:s|m|d|re|ve|ll))")
_HYPHEN = re.compile("(-)")
_INITIAL = re.compile(rf"{_LETTER}|\.")
_SAME_MARKS = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})


class WordSequences(TransformerMixin, BaseEstimator):
    """Turn texts into padded sequences of word ids.

    Each text is split into tokens in the same way as the corpus of the GloVe
    vectors, each token is replaced by an id, and the sequence is cut or padded at its
    end to ``length`` ids: 0 is padding, 1 is any unknown word, and 2 + i is the word
    of row i of ``vectors``.

    Parameters
    ----------
    vectors : gensim.models.KeyedVectors
        Word vectors of lower-case words, such as GloVe's. Clones of the
        transformer share them, because copies may take gigabytes.
    length : int, default=1000
        Number of ids that each text is cut or padded to.

    Attributes
    ----------
    coverage_ : float
        Share of the tokens in the training texts that have a vector, from 0 to 1.
    unknown_words_ : list of tuple (str, int)
        Tokens in the training texts that have no vector, with the number of their
        occurrences, the most common first.
    cut_share_ : float
        Share of the training texts that are longer than ``length``, from 0 to 1.
    n_texts_ : int
        Number of training texts.

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        If a parameter is not allowed.
    TypeError
        If the texts are not a sequence of str, or are a single str.
    ValueError
        If there are no texts, or no training text has a known word.

    Notes
    -----
    GloVe's corpus was lower-cased and tokenised by the Stanford tokeniser
    (Pennington et al. 2014, section 4.2). Regular expressions approximate it here:

    * Words, numbers and punctuation marks are separate tokens. Contractions are
      split ("don't" into "do" and "n't", "it's" into "it" and "'s"), initialisms are
      kept ("u.s.").
    * Words with an apostrophe or a hyphen that have a vector are kept whole, which
      suits vectors that were trained on other tokens. Hyphenated words and
      initialisms without a vector are split ("skaba-like" into "skaba", "-" and
      "like").
    * Combining marks are part of the word. In texts and in vectors, a letter with an
      accent may be one character or two: if a word has no vector as it is written, its
      composed form (Unicode's NFC) is looked up, then its decomposed form (NFD).
    * Not supported: abbreviations ("mr." gives "mr" and "."), mail and web
      addresses as one token, fractions, the Penn names of brackets ("-lrb-"), and
      scripts without spaces between words, such as Thai; split such texts into words
      first.

    References
    ----------
    J. Pennington, R. Socher, C. Manning. GloVe: global vectors for word
    representation. EMNLP 2014.

    Examples
    --------
    >>> from gensim.models import KeyedVectors
    >>> from skaba.preprocessing import WordSequences
    >>> vectors = KeyedVectors(vector_size=2)
    >>> vectors.add_vectors(["i", "do", "n't", "know"], [[1, 0], [0, 1], [1, 1], [2, 2]])
    >>> words = WordSequences(vectors, length=6)
    >>> words.fit_transform(["I don't know skaba", "Know!"])
    array([[2, 3, 4, 5, 1, 0],
           [5, 1, 0, 0, 0, 0]])
    >>> print(words.report())
    2 texts, 7 tokens: 71.4% of them have a vector.
    Cut to 6 tokens: 0.0% of the texts.
    Most common unknown words: skaba (1), ! (1).
    >>> words.embedding_matrix()
    array([[0., 0.],
           [1., 1.],
           [1., 0.],
           [0., 1.],
           [1., 1.],
           [2., 2.]], dtype=float32)
    """

    _parameter_constraints = {  # noqa: RUF012, as scikit-learn declares it
        "vectors": "no_validation",  # _check_consistency checks them, so that gensim is imported when it is needed
        "length": [Interval(Integral, 1, None, closed="left")],
    }

    coverage_: float
    unknown_words_: list[tuple[str, int]]
    cut_share_: float
    n_texts_: int

    def __init__(self, vectors: KeyedVectors, length: int = 1000) -> None:
        self.vectors = vectors
        self.length = length

    def fit(self, X: Sequence[str], y: Any = None) -> WordSequences:
        """Check the parameters, and compute how well the vectors cover the training texts.

        Parameters
        ----------
        X : sequence of str
            Training texts.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : WordSequences
        """
        validate_parameters(self)
        texts = _check_texts(X)
        splits = _Splits(self.vectors.key_to_index)
        counts: Counter[str] = Counter()
        n_cut = 0
        for text in texts:
            tokens = splits.tokens(text)
            counts.update(tokens)
            n_cut += len(tokens) > self.length
        self._describe(counts, texts)
        self.cut_share_ = n_cut / len(texts)
        return self

    def transform(self, X: Sequence[str]) -> NDArray[np.int64]:
        """Turn texts into word ids.

        Parameters
        ----------
        X : sequence of str
            Texts. A text without known words becomes 1s and padding.

        Returns
        -------
        word_ids : ndarray of shape (n, length), int64
        """
        check_is_fitted(self)
        texts = _check_texts(X)
        splits = _Splits(self.vectors.key_to_index)
        rows = self.vectors.key_to_index
        # _FIRST_WORD is added to all rows below, which turns this one into _UNKNOWN.
        unknown = _UNKNOWN - _FIRST_WORD
        word_ids = np.full((len(texts), self.length), _PADDING, dtype=np.int64)
        for i, text in enumerate(texts):
            tokens = splits.tokens(text)[: self.length]
            word_ids[i, : len(tokens)] = [rows.get(token, unknown) for token in tokens]
            word_ids[i, : len(tokens)] += _FIRST_WORD
        return word_ids

    def embedding_matrix(self) -> NDArray[np.float32]:
        """Return the vectors by word id, as :class:`skaba.modules.TextCNN` takes them.

        The transformer does not have to be fitted.

        Returns
        -------
        matrix : ndarray of shape (n_words + 2, dimension), float32
            Row 0 (padding) is zero, row 1 (unknown words) is the mean of all
            vectors, and the vectors follow.
        """
        validate_parameters(self)
        vectors = np.asarray(self.vectors.vectors, dtype=np.float32)
        matrix = np.empty((len(vectors) + _FIRST_WORD, vectors.shape[1]), dtype=np.float32)
        matrix[_PADDING] = 0.0
        matrix[_UNKNOWN] = vectors.mean(axis=0, dtype=np.float64)
        matrix[_FIRST_WORD:] = vectors
        return matrix

    def tokenize(self, text: str) -> list[str]:
        """Split one text into tokens, without cutting it to ``length``.

        The transformer does not have to be fitted.

        Parameters
        ----------
        text : str
            The text.

        Returns
        -------
        tokens : list of str
            Lower-case tokens, including tokens without a vector.
        """
        validate_parameters(self)
        if not isinstance(text, str):
            raise TypeError(f"text must be a str, got {type(text).__name__}.")
        return _Splits(self.vectors.key_to_index).tokens(text)

    def report(self, n_words: int = 10) -> str:
        """Describe in a few lines how well the vectors cover the training texts.

        Parameters
        ----------
        n_words : int, default=10
            Number of unknown words to list.

        Returns
        -------
        report : str
        """
        check_is_fitted(self)
        unknown = ", ".join(f"{word} ({count})" for word, count in self.unknown_words_[:n_words])
        return (
            f"{self.n_texts_} texts, {self._n_tokens} tokens: {self.coverage_:.1%} of them have a vector.\n"
            f"Cut to {self.length} tokens: {self.cut_share_:.1%} of the texts.\n"
            f"Most common unknown words: {unknown or 'none'}."
        )

    def _describe(self, counts: Counter[str], texts: list[str]) -> None:
        """Set the fitted attributes from the number of occurrences of each token."""
        known = self.vectors.key_to_index
        n_tokens = counts.total()
        unknown_words = [(word, count) for word, count in counts.most_common() if word not in known]
        n_known = n_tokens - sum(count for _, count in unknown_words)
        if n_known == 0:
            raise ValueError(
                f"None of the {n_tokens} tokens of the {len(texts)} texts has a vector; the first text "
                f"starts with {texts[0][:40]!r}, the vectors with {self.vectors.index_to_key[:5]}. Most "
                "likely the vectors are for another language or for words with capitals, or the texts are "
                "empty. Give vectors of lower-case words in the language of the texts."
            )
        self.coverage_ = n_known / n_tokens
        self.unknown_words_ = unknown_words
        self.n_texts_ = len(texts)
        self._n_tokens = n_tokens

    def _check_consistency(self) -> None:
        """Check the vectors; called by validate_parameters."""
        # Imported here, because it takes a second; a user who has vectors has imported it already.
        from gensim.models import KeyedVectors  # noqa: PLC0415

        if isinstance(self.vectors, KeyedVectors) and len(self.vectors) > 0:
            return
        given = "empty ones" if isinstance(self.vectors, KeyedVectors) else repr(type(self.vectors).__name__)
        hint = " Give its attribute .wv." if isinstance(getattr(self.vectors, "wv", None), KeyedVectors) else ""
        raise InvalidParameterError(
            "The 'vectors' parameter of WordSequences must be a gensim.models.KeyedVectors with at least one "
            f"word. Got {given} instead.{hint} skaba.datasets.read_vectors(path) reads GloVe's format."
        )

    def __sklearn_clone__(self) -> WordSequences:
        """Clone without copying the vectors, which are never changed."""
        return type(self)(**self.get_params(deep=False))


class _Splits(dict[str, tuple[str, ...]]):
    """A cache of the tokens of pieces of text, since the same pieces occur many times."""

    def __init__(self, known: Mapping[str, int]) -> None:
        super().__init__()
        self.known = known

    def __missing__(self, piece: str) -> tuple[str, ...]:
        tokens = self[piece] = tuple(map(self._spelling, self._split(piece)))
        return tokens

    def tokens(self, text: str) -> list[str]:
        """Split a text into tokens."""
        pieces = _PIECE.findall(text.translate(_SAME_MARKS).lower())
        return [token for piece in pieces for token in self[piece]]

    def _has(self, word: str) -> bool:
        return self._spelling(word) in self.known

    def _spelling(self, word: str) -> str:
        """Return the Unicode form of a word that has a vector, or else the composed form."""
        if word.isascii() or word in self.known:
            return word
        composed, decomposed = (unicodedata.normalize(form, word) for form in ("NFC", "NFD"))
        if decomposed in self.known and composed not in self.known:
            return decomposed
        return composed if word[0].isalnum() else word

    def _split(self, piece: str) -> tuple[str, ...]:
        if self._has(piece) or len(piece) == 1:
            return (piece,)
        if not piece.strip("-"):
            return ("--",)
        if not piece.strip("."):
            return ("...",)
        if piece.endswith("."):
            return tuple(_INITIAL.findall(piece))  # an initialism without a vector: letters and dots in turn
        stem, *clitics = self._contraction(piece)
        if self._has(stem) or "-" not in stem:
            return (stem, *clitics)
        parts = [token for part in _HYPHEN.split(stem) for token in self._contraction(part)]
        return (*parts, *clitics)

    def _contraction(self, word: str) -> tuple[str, ...]:
        """Split "couldn't've" into "could", "n't", "'ve"; stop when the rest has a vector."""
        clitics: tuple[str, ...] = ()
        while not self._has(word) and (match := _CLITIC.fullmatch(word)):
            word, clitics = match[1], (match[2], *clitics)
        return (word, *clitics)


def _check_texts(X: Sequence[str]) -> list[str]:
    """Return the texts as a list."""
    # Iterating over a data frame or a mapping yields its keys, not texts.
    if isinstance(X, str | bytes | Mapping) or hasattr(X, "columns") or not hasattr(X, "__iter__"):
        hint = " Put a single text into a list: [text]." if isinstance(X, str) else ""
        raise TypeError(f"X must be a sequence of str, got {type(X).__name__}.{hint}")
    texts = list(X)
    if not texts:
        raise ValueError("X holds no texts. Give at least one.")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"X must be a sequence of str, but item {i} is {type(text).__name__}. Decode bytes, and "
                "replace missing texts by ''."
            )
    return texts
