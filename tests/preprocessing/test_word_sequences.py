import tarfile
import unicodedata
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gensim.models import KeyedVectors, Word2Vec
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skaba.modules import TextCNN
from skaba.preprocessing import WordSequences
from skaba.preprocessing._word_sequences import _PIECE

WORDS = ["i", "do", "n't", "know", "'s", "it", "well-known", "u.s.", ".", "--", "don't-know", "'ll", "he"]


def make_vectors(words=WORDS, dimension=3):
    vectors = KeyedVectors(vector_size=dimension)
    values = np.random.default_rng(0).normal(size=(len(words), dimension)).astype(np.float32)
    vectors.add_vectors(list(words), values)
    return vectors


VECTORS = make_vectors()


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("I don't know.", ["i", "do", "n't", "know", "."]),
        ("It's he'll", ["it", "'s", "he", "'ll"]),
        ("It\u2019s \u201cit\u201d", ["it", "'s", '"', "it", '"']),
        ("Couldn't've", ["could", "n't", "'ve"]),
        ("well-known", ["well-known"]),
        ("Well-Known's", ["well-known", "'s"]),
        ("know-it-all's", ["know", "-", "it", "-", "all", "'s"]),
        ("don't-know", ["don't-know"]),
        ("don't-be-evil", ["do", "n't", "-", "be", "-", "evil"]),
        ("the U.S. and e.g. this", ["the", "u.s.", "and", "e", ".", "g", ".", "this"]),
        ("3.14 1,000 12:30, 5", ["3.14", "1,000", "12:30", ",", "5"]),
        ("1990s 3d", ["1990s", "3d"]),
        ("end.Next", ["end", ".", "next"]),
        ("wait..... what-- -----", ["wait", "...", "what", "--", "--"]),
        ("a_b @x (y)!?", ["a", "_", "b", "@", "x", "(", "y", ")", "!", "?"]),
        ("``it''", ["``", "it", "''"]),
        ("o'clock 'it'", ["o'clock", "'", "it", "'"]),
        ("Ünïcödé 日本", ["ünïcödé", "日本"]),
        (" \t\n", []),
    ],
)
def test_tokenises_as_glove_expects(text, tokens):
    assert WordSequences(VECTORS).tokenize(text) == tokens


MARKED = ["हिन्दी", "மொழி", "মানুষ", "ਪੰਜਾਬੀ", "น้ำ", "ශ්‍රී", "می‌خواهم", "שָׁלוֹם", "x̄", "𑄌𑄋𑄴𑄟"]


@pytest.mark.parametrize("word", MARKED)
def test_combining_marks_belong_to_their_word(word):
    words = WordSequences(make_vectors(MARKED), length=3)
    assert words.tokenize(f"({word}, {word}-{word}. {word}'s!") == [
        *("(", word, ",", word, "-", word, ".", word, "'s", "!")
    ]
    assert words.fit([word]).coverage_ == 1


@pytest.mark.parametrize("written", ["café", "café", "Café", "CAFÉ"])
@pytest.mark.parametrize("known", [["café"], ["café"], ["café", "café"]])
def test_an_accent_may_be_written_in_two_ways(written, known):
    """A word is looked up as it is written, then in the other spelling."""
    words = WordSequences(make_vectors([*known, "noir"]), length=1)
    (token,) = words.tokenize(written)
    assert token == (written.lower() if written.lower() in known else known[0])
    assert words.fit([written]).coverage_ == 1
    assert words.tokenize(f"{written}'s {written}-noir") == [token, "'s", token, "-", "noir"]


def test_unknown_words_are_counted_once_however_they_are_written():
    words = WordSequences(VECTORS).fit(["i", "café café é.a."])
    assert words.unknown_words_ == [("café", 2), ("é", 1), ("a", 1)]


def test_a_letter_without_a_composed_form_is_found():
    """U+0958 is written as two characters in every normal form, but vectors may hold it as one."""
    assert WordSequences(make_vectors(["क़"])).tokenize("क़") == ["क़"]
    assert WordSequences(make_vectors(["क़"])).tokenize("क़") == ["क़"]


def test_emoji_are_found_with_any_variation_selector():
    assert WordSequences(VECTORS).tokenize("❤️ 1️⃣")[::2] == ["❤", "1", "⃣"]


def test_words_with_a_vector_stay_whole():
    assert WordSequences(make_vectors(["don't", "it's"])).tokenize("Don't it's I'm") == [
        "don't",
        "it's",
        "i",
        "'m",
    ]


@given(text=st.text())
def test_tokens_keep_every_letter_and_hold_no_space(text):
    tokens = WordSequences(VECTORS).tokenize(text)
    assert all(token and not any(c.isspace() for c in token) for token in tokens)
    assert [letter for token in tokens for letter in letters_of(token)] == letters_of(text.lower())


def letters_of(text):
    """Return letters and digits without accents: whether these are characters of their own is a matter of spelling."""
    return [c for c in unicodedata.normalize("NFD", text) if c.isalnum()]


@given(words=st.lists(st.sampled_from(WORDS)))
def test_known_words_are_tokens_of_their_own(words):
    assert WordSequences(VECTORS).tokenize(" ".join(words)) == words


@given(text=st.text() | st.text("ab's.-n't 1,`\"_"))
def test_tokenising_tokens_changes_nothing(text):
    words = WordSequences(VECTORS)
    tokens = words.tokenize(text)
    assert words.tokenize(" ".join(tokens)) == tokens


def test_many_parts_do_not_exhaust_the_stack():
    words = WordSequences(VECTORS)
    assert len(words.tokenize("-".join(["a"] * 5000))) == 9999
    assert words.tokenize("a" + "'s" * 5000) == ["a", *["'s"] * 5000]


@given(
    texts=st.lists(st.lists(st.sampled_from([*WORDS, "skaba"])), min_size=1),
    length=st.integers(1, 8),
)
def test_ids_are_cut_and_padded_at_the_end(texts, length):
    transformer = WordSequences(VECTORS, length=length).fit(["i"])
    word_ids = transformer.transform([" ".join(words) for words in texts])
    assert word_ids.dtype == np.int64
    assert word_ids.shape == (len(texts), length)
    names = ["", "skaba", *WORDS]
    for row, words in zip(word_ids, texts, strict=True):
        assert [names[i] for i in row] == (words + [""] * length)[:length]


def test_embedding_matrix_matches_the_ids():
    matrix = WordSequences(VECTORS).embedding_matrix()
    assert matrix.dtype == np.float32
    assert not matrix[0].any()
    np.testing.assert_allclose(matrix[1], VECTORS.vectors.mean(axis=0), rtol=1e-6)
    transformer = WordSequences(VECTORS, length=1).fit(["i"])
    for word in WORDS:
        (word_id,) = transformer.transform([word])[0]
        np.testing.assert_array_equal(matrix[word_id], VECTORS[word])


def test_ids_and_matrix_fit_the_network():
    words = WordSequences(VECTORS, length=30)
    word_ids = torch.from_numpy(words.fit_transform(["I know.", "It's well-known"]))
    model = TextCNN(words.embedding_matrix(), n_classes=2)
    embedded = model.embedding(word_ids)
    assert embedded.shape == (2, 30, 3)
    assert not embedded[0, 3:].any()
    assert model(word_ids).shape == (2, 2)


def test_fit_reports_on_the_training_texts():
    words = WordSequences(VECTORS, length=3).fit(["I know skaba, skaba", "it", "Petrograd it's"])
    assert words.coverage_ == pytest.approx(5 / 9)
    assert words.unknown_words_ == [("skaba", 2), (",", 1), ("petrograd", 1)]
    assert words.cut_share_ == pytest.approx(1 / 3)
    assert words.n_texts_ == 3
    assert words.report(n_words=1).splitlines() == [
        "3 texts, 9 tokens: 55.6% of them have a vector.",
        "Cut to 3 tokens: 33.3% of the texts.",
        "Most common unknown words: skaba (2).",
    ]


def test_report_says_when_every_word_is_known():
    assert "unknown words: none." in WordSequences(VECTORS).fit(["I know"]).report()


def test_a_text_without_known_words_is_fine():
    words = WordSequences(VECTORS, length=2).fit(["i know", "zzz", ""])
    np.testing.assert_array_equal(words.transform(["zzz", ""]), [[1, 0], [0, 0]])


@pytest.mark.parametrize("texts", [["zzz yyy", "xxx"], [""]])
def test_texts_without_any_known_word_are_an_error(texts):
    with pytest.raises(ValueError, match=r"None of the \d tokens.*vectors with \['i', 'do'.*Give vectors"):
        WordSequences(VECTORS).fit(texts)


@pytest.mark.parametrize("method", ["fit", "transform"])
@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("one text", TypeError, r"got str\. Put a single text into a list"),
        (b"bytes", TypeError, "got bytes"),
        (None, TypeError, "got NoneType"),
        (["text", b"bytes"], TypeError, "item 1 is bytes"),
        ([np.nan], TypeError, "item 0 is float.*missing texts by ''"),
        (np.array([["a", "b"]]), TypeError, "item 0 is ndarray"),
        ([], ValueError, "no texts"),
    ],
)
def test_anything_but_a_sequence_of_str_is_an_error(method, X, error, message):
    with pytest.raises(error, match=message):
        getattr(WordSequences(VECTORS).fit(["i"]), method)(X)


@pytest.mark.parametrize("container", [list, tuple, np.array, lambda texts: np.array(texts, dtype=object)])
def test_takes_any_sequence_of_str(container):
    texts = ["i know", "it"]
    words = WordSequences(VECTORS, length=2)
    np.testing.assert_array_equal(words.fit_transform(container(texts)), words.fit_transform(texts))


@pytest.mark.parametrize("length", [0, -1, 2.5, "1000"])
def test_length_below_one_is_an_error(length):
    with pytest.raises(ValueError, match="'length' parameter of WordSequences must be an int"):
        WordSequences(VECTORS, length=length).fit(["i"])


@pytest.mark.parametrize("vectors", [None, {"i": [1.0]}, "glove.txt", SimpleNamespace(wv=3)])
def test_vectors_of_another_type_are_an_error(vectors):
    with pytest.raises(ValueError, match=r"must be a gensim\.models\.KeyedVectors.*read_vectors"):
        WordSequences(vectors).fit(["i"])


def test_vectors_without_words_are_an_error():
    with pytest.raises(ValueError, match="Got empty ones instead"):
        WordSequences(KeyedVectors(vector_size=3)).embedding_matrix()


def test_a_word2vec_model_gets_a_hint():
    model = Word2Vec([["i", "know"]], vector_size=2, min_count=1, workers=1)
    with pytest.raises(ValueError, match=r"Got 'Word2Vec' instead\. Give its attribute \.wv\."):
        WordSequences(model).tokenize("i")
    assert WordSequences(model.wv).tokenize("i") == ["i"]


def test_tokenize_takes_one_text():
    with pytest.raises(TypeError, match="got list"):
        WordSequences(VECTORS).tokenize(["i"])


def test_needs_fit():
    with pytest.raises(NotFittedError):
        WordSequences(VECTORS).transform(["i"])


def test_clones_share_the_vectors():
    words = WordSequences(VECTORS, length=7).fit(["i"])
    copy = clone(Pipeline([("words", words)])).named_steps["words"]
    assert copy is not words
    assert copy.vectors is VECTORS
    assert copy.length == 7
    assert not hasattr(copy, "coverage_")


class CountsWord(ClassifierMixin, BaseEstimator):
    """Tells texts with the third word from others, if strong enough."""

    def __init__(self, strength=0.0):
        self.strength = strength

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return ((X == 5).any(axis=1) & (self.strength > 0.5)).astype(int)


def test_works_in_a_pipeline_under_a_grid_search():
    texts, y = ["I know", "I do"] * 6, [1, 0] * 6
    pipeline = Pipeline([("words", WordSequences(VECTORS, length=4)), ("clf", CountsWord())])
    search = GridSearchCV(pipeline, {"clf__strength": [0.0, 1.0], "words__length": [1, 4]}, cv=2)
    search.fit(texts, y)
    assert search.best_params_ == {"clf__strength": 1.0, "words__length": 4}
    assert search.score(texts, y) == 1.0


def test_knows_most_words_of_real_messages(real_data):
    path = real_data / "vectors" / "newsgroups-w2v-100d.txt.gz"
    vectors = KeyedVectors.load_word2vec_format(path, no_header=True, limit=10_000)
    texts = []
    with tarfile.open(real_data / "newsgroups" / "20news-bydate.tar.gz") as archive:
        for member in archive:
            if member.isfile():
                texts.append(archive.extractfile(member).read().decode("latin1"))
            if len(texts) == 200:
                break
    words = WordSequences(vectors).fit(texts)
    # These vectors hold no punctuation, which is a third of the tokens in messages.
    letters = [word for word, _ in words.unknown_words_[:30] if word.isalpha()]
    assert 0.5 < words.coverage_ < 0.9
    assert len(letters) < 15
    word_ids = words.transform(texts)
    assert word_ids.shape == (200, 1000)
    assert (word_ids > 1).any(axis=1).all()
    assert word_ids.max() < len(words.embedding_matrix())


def test_knows_punctuation_and_contractions_of_glove(real_data):
    path = real_data / "vectors" / "glove.6B.50d.first2445.txt.gz"
    vectors = KeyedVectors.load_word2vec_format(path, no_header=True, unicode_errors="replace")
    words = WordSequences(vectors).fit(["He said: \"I don't know\" -- it's the U.S. (again), isn't it? Yes, 3.5%..."])
    assert words.coverage_ > 0.9
    # Vectors of words that the tokeniser never returns are useless.
    pieces = [word for word in vectors.index_to_key[:500] if _PIECE.fullmatch(word)]
    assert len(pieces) > 480
