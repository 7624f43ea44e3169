"""Synthetic data of the kinds that the papers use: small, quick, and the same on every machine."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

_Floats = NDArray[np.float64]
_Seed = int | np.integer[Any] | np.random.Generator | np.random.RandomState | None

# ECGs -------------------------------------------------------------------------------------------------------

NORMAL, ST_ELEVATION, FIBRILLATION = range(3)

# Phase and width (radians) of the waves are those of McSharry et al. 2003, table 1. The sizes, in mV, follow
# from its a and b: integrated along the circle, the model's equation of motion turns a wave into a Gaussian
# whose peak is proportional to a b^2; here they are scaled to an R wave of 1 mV. "E" (ST elevation) is not
# in the paper.
_WAVES = ("P", "Q", "R", "S", "E", "T")
_PHASE = np.array([-np.pi / 3, -np.pi / 12, 0.0, np.pi / 12, np.pi / 4, np.pi / 2])
_WIDTH = np.array([0.25, 0.1, 0.1, 0.1, 0.3, 0.4])
_SIZE = np.array([0.25, -0.17, 1.0, -0.25, 0.25, 0.4])
# The phases grow with the heart rate, so that the QT interval does not shrink as much as the beat. These are the
# powers of sqrt(beats per minute / 60), as in the authors' program ECGSYN.
_PHASE_POWER = np.array([0.5, 1.0, 0.0, 1.0, 0.75, 0.5])

# The direction of each wave in the body (left, down, back), as unit vectors; negative waves point the other way.
_DIRECTION = np.array(
    [
        [0.60, 0.75, -0.20],
        [0.75, 0.15, 0.60],
        [0.75, 0.60, 0.25],
        [0.35, 0.25, -0.90],
        [0.45, 0.10, -0.90],
        [0.75, 0.50, -0.45],
    ]
)
_DIRECTION /= np.linalg.norm(_DIRECTION, axis=1, keepdims=True)
_FIBRILLATION_DIRECTION = np.array([-0.3, 0.6, -0.75])

# Dower, Machado & Osborne 1980: leads I, II and V1 to V6 from the heart's dipole (left, down, back).
_DOWER = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
# I, II, III, aVR, aVL, aVF, V1 to V6 from the eight measured leads, as an electrocardiograph computes them.
_TWELVE_LEADS = np.zeros((12, 8))
_TWELVE_LEADS[:6, :2] = np.array([[1, 0], [0, 1], [-1, 1], [-0.5, -0.5], [1, -0.5], [-0.5, 1]])
_TWELVE_LEADS[6:, 2:] = np.eye(6)

_SHORTEST_BEAT, _LONGEST_BEAT = 0.35, 2.0
_BREATHS = 0.25  # per second


def make_ecg(
    n_samples: int = 300,
    *,
    n_times: int = 1000,
    sampling_rate: float = 100.0,
    noise: float = 0.05,
    random_state: _Seed = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Make synthetic 12-lead electrocardiograms of three classes. They are not medical data.

    A beat is a sum of waves, which are Gaussian functions of a phase that makes
    one turn per beat (McSharry et al. 2003). The waves move a dipole, which the leads measure. The
    classes are equally frequent and in random order:

    * 0, normal;
    * 1, elevated ST segment and larger T wave, mostly in the leads V1 to V4;
    * 2, no P wave, irregular beats and a fibrillating baseline.

    Parameters
    ----------
    n_samples : int, default=300
        Number of records, at least 1.
    n_times : int, default=1000
        Samples in time of each record, at least 1.
    sampling_rate : float, default=100.0
        Samples per second.
    noise : float, default=0.05
        Standard deviation of the white noise in each measured lead, and the typical
        amplitude of the drifting baseline, in mV. With 0, there is neither.
    random_state : int, numpy Generator, numpy RandomState or None, default=None
        Determines all records; an int gives the same records at each call.

    Returns
    -------
    X : ndarray of shape (n_samples, 12, n_times), float32
        Records in mV; the leads are I, II, III, aVR, aVL, aVF, V1, ..., V6.
    y : ndarray of shape (n_samples,), int64
        Classes.

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        If a parameter has a type or value that is not allowed.

    Notes
    -----
    The paper integrates differential equations. Here the phase has a closed form
    (linear between R peaks), and so have the waves. This is quick, and exact except
    for the slow relaxation of the paper's signal to its baseline. The lengths of
    beats vary with breathing and at random, instead of by the paper's spectrum.
    Noise is added to the eight measured leads, and the others are computed from
    them, so I + III = II and aVR + aVL + aVF = 0, as in real records.

    References
    ----------
    P. McSharry, G. Clifford, L. Tarassenko, L. Smith. A dynamical model for
    generating synthetic electrocardiogram signals. IEEE Trans. Biomed. Eng. 50(3), 2003.

    G. Dower, H. Machado, J. Osborne. On deriving the electrocardiogram from
    vectorcardiographic leads. Clin. Cardiol. 3, 1980.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.datasets import make_ecg
    >>> X, y = make_ecg(30, random_state=0)
    >>> X.shape, np.bincount(y)
    ((30, 12, 1000), array([10, 10, 10]))
    """
    check_parameters(
        "make_ecg",
        n_samples=(n_samples, [Interval(Integral, 1, None, closed="left")]),
        n_times=(n_times, [Interval(Integral, 1, None, closed="left")]),
        sampling_rate=(sampling_rate, [Interval(Real, 0, None, closed="neither")]),
        noise=(noise, [Interval(Real, 0, None, closed="left")]),
    )
    generator = _generator(random_state)
    y = balanced(n_samples, 3, generator)
    times = np.arange(n_times) / sampling_rate
    rates = generator.uniform(55.0, 95.0, size=n_samples)
    phases = _phases(times, rates, y == FIBRILLATION, generator)
    dipole = _dipole(phases, rates, y, generator)
    dipole += _fibrillation(times, y == FIBRILLATION, generator)
    measured = np.einsum("lk,nkt->nlt", _DOWER, dipole)
    measured += noise * _disturbance(times, measured.shape, generator)
    return np.einsum("ml,nlt->nmt", _TWELVE_LEADS, measured, optimize=True).astype(np.float32), y


def _phases(times: _Floats, rates: _Floats, irregular: NDArray[np.bool_], generator: np.random.Generator) -> _Floats:
    """Return the phase of the heart in each record at each time: 0 at the R peaks, in [-pi, pi)."""
    # Enough even if all beats are the shortest and the first began almost a whole beat before time 0.
    n_beats = int(times[-1] / _SHORTEST_BEAT) + 3
    beats = np.arange(n_beats)
    breathing = np.sin(2 * np.pi * (_BREATHS * beats * 60 / rates[:, None] + generator.uniform(size=(rates.size, 1))))
    spread = np.where(irregular, 0.22, 0.02)[:, None] * generator.standard_normal((rates.size, n_beats))
    swing = np.where(irregular, 0.0, 0.03)[:, None] * breathing
    lengths = np.clip(60 / rates[:, None] * np.exp(spread + swing), _SHORTEST_BEAT, _LONGEST_BEAT)
    starts = np.cumsum(lengths, axis=1) - lengths - generator.uniform(size=(rates.size, 1)) * lengths[:, :1]
    turns = np.stack([np.interp(times, start, beats) for start in starts])
    return 2 * np.pi * ((turns + 0.5) % 1.0) - np.pi


def _dipole(phases: _Floats, rates: _Floats, y: NDArray[np.int64], generator: np.random.Generator) -> _Floats:
    """Return the sum of the waves: the heart's dipole (left, down, back) in mV."""
    n = len(y)
    sizes = _SIZE * np.exp(0.15 * generator.standard_normal((n, len(_WAVES))))
    sizes *= np.exp(0.2 * generator.standard_normal((n, 1)))
    sizes[y == FIBRILLATION, _WAVES.index("P")] = 0.0
    sizes[y != ST_ELEVATION, _WAVES.index("E")] = 0.0
    sizes[y == ST_ELEVATION, _WAVES.index("T")] *= 1.5
    stretch = np.sqrt(rates / 60)
    dipole = np.zeros((n, 3, phases.shape[1]))
    for wave in range(len(_WAVES)):
        centre = _PHASE[wave] * stretch ** _PHASE_POWER[wave]
        # The shorter way around the circle, so that a wave continues past the end of a turn.
        distance = np.remainder(phases - centre[:, None] + np.pi, 2 * np.pi) - np.pi
        bump = sizes[:, wave, None] * np.exp(-0.5 * (distance / (_WIDTH[wave] * stretch[:, None])) ** 2)
        direction = _DIRECTION[wave] + 0.1 * generator.standard_normal((n, 3))
        dipole += direction[:, :, None] * bump[:, None, :]
    return dipole


def _fibrillation(times: _Floats, fibrillating: NDArray[np.bool_], generator: np.random.Generator) -> _Floats:
    """Return small, quick waves of the atria, 4 to 9 per second, for the records with fibrillation."""
    n = fibrillating.size
    rate, offset = generator.uniform(4.0, 9.0, size=(n, 1)), generator.uniform(size=(n, 1))
    size = np.where(fibrillating, generator.uniform(0.03, 0.1, size=n), 0.0)[:, None]
    # Their rate drifts, as in patients; a pure sine would be too easy to recognise.
    drift = 0.3 * np.sin(2 * np.pi * (0.4 * times + offset))
    waves = size * np.sin(2 * np.pi * (rate * times + drift + offset))
    return np.asarray(_FIBRILLATION_DIRECTION[:, None] * waves[:, None, :])


def _disturbance(times: _Floats, shape: tuple[int, ...], generator: np.random.Generator) -> _Floats:
    """Return white noise of standard deviation 1 plus a baseline that drifts with breathing, per measured lead."""
    offset = generator.uniform(size=(shape[0], 1, 1))
    height = generator.standard_normal((shape[0], shape[1], 1))
    wander = height * np.sin(2 * np.pi * (_BREATHS * times + offset))
    return np.asarray(wander + generator.standard_normal(shape))


# Messages ---------------------------------------------------------------------------------------------------

_TOPICS = (
    "orbit rocket launch moon satellite shuttle telescope planet crew probe comet gravity",
    "goalie puck rink skater penalty coach playoff league season arena helmet referee",
    "oven recipe flour butter garlic soup pepper kitchen dough sauce onion spoon",
    "keyboard driver monitor memory disk modem printer kernel cable software mouse chip",
    "doctor patient vaccine symptom clinic fever allergy dose therapy virus nurse diagnosis",
    "guitar melody drummer violin chorus concert tempo album singer piano rhythm choir",
)
_TEMPLATES = (
    "I don't know which {} is better: the {} or the {}?",
    "Has anyone seen the new {}? It's about a {}, a {} and {} more.",
    "My {} was fine until {} - then the {} failed!",
    'He said: "the {} isn\'t a {}", but I think {} matters.',
    "We've had {} of these; the {} and the {} aren't worth it.",
    "Thanks for the {} (and the {}), see you at the {}.",
)
_COMMON = (
    "i do n't know which is better the or has anyone seen new it 's about a and more my was fine until "
    "then failed he said but think matters we 've had of these are worth thanks for see you at "
    '. , : ; ? ! - ( ) "'
)
_UNKNOWN_SHARE = 0.1


def make_messages(
    n_samples: int = 200,
    *,
    n_topics: int = 3,
    dimension: int = 16,
    random_state: _Seed = None,
) -> tuple[list[str], NDArray[np.int64], KeyedVectors]:
    """Make short messages about a few topics, and vectors of most of their words.

    A message has one to four template sentences, filled with words of its topic.
    Some of these words are misspelt, so that they have no vector. Vectors of words
    of the same topic are close to each other; those of common words are near zero.
    All vectors are random: they say nothing about English.

    Parameters
    ----------
    n_samples : int, default=200
        Number of messages, at least 1.
    n_topics : int, default=3
        Number of classes, from 1 to 6.
    dimension : int, default=16
        Length of the word vectors, at least 1.
    random_state : int, numpy Generator, numpy RandomState or None, default=None
        Determines all messages and vectors; an int gives the same ones at each call.

    Returns
    -------
    texts : list of str
        Messages.
    y : ndarray of shape (n_samples,), int64
        Topic of each message; all topics are equally frequent.
    vectors : gensim.models.KeyedVectors
        Vectors of lower-case words and punctuation, float32.

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        If a parameter has a type or value that is not allowed.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.datasets import make_messages
    >>> texts, y, vectors = make_messages(60, random_state=0)
    >>> len(texts), np.bincount(y), vectors.vector_size
    (60, array([20, 20, 20]), 16)
    >>> from skaba.preprocessing import WordSequences
    >>> WordSequences(vectors, length=40).fit_transform(texts).shape
    (60, 40)
    """
    check_parameters(
        "make_messages",
        n_samples=(n_samples, [Interval(Integral, 1, None, closed="left")]),
        n_topics=(n_topics, [Interval(Integral, 1, len(_TOPICS), closed="both")]),
        dimension=(dimension, [Interval(Integral, 1, None, closed="left")]),
    )
    generator = _generator(random_state)
    y = balanced(n_samples, n_topics, generator)
    vectors = _word_vectors(n_topics, dimension, generator)
    return [_message(_TOPICS[topic].split(), generator) for topic in y], y, vectors


def _word_vectors(n_topics: int, dimension: int, generator: np.random.Generator) -> KeyedVectors:
    """Draw vectors around one centre per topic, and around zero for common words."""
    from gensim.models import KeyedVectors  # noqa: PLC0415 - importing it takes a second

    groups = [_COMMON.split(), *(topic.split() for topic in _TOPICS[:n_topics])]
    centres = generator.standard_normal((len(groups), dimension))
    centres[0] = 0.0
    words = [word for group in groups for word in group]
    means = np.repeat(centres, [len(group) for group in groups], axis=0)
    vectors = KeyedVectors(vector_size=dimension)
    vectors.add_vectors(words, (means + 0.3 * generator.standard_normal(means.shape)).astype(np.float32))
    return vectors


def _message(words: list[str], generator: np.random.Generator) -> str:
    """Return one to four templates, filled with words."""
    sentences = []
    for template in generator.choice(_TEMPLATES, size=generator.integers(1, 5)):
        chosen = generator.choice(words, size=template.count("{}"))
        misspelt = generator.uniform(size=chosen.size) < _UNKNOWN_SHARE
        sentences.append(template.format(*np.where(misspelt, [word[::-1] for word in chosen], chosen)))
    return " ".join(sentences)


# Both -------------------------------------------------------------------------------------------------------


def _generator(random_state: _Seed) -> np.random.Generator:
    """Return a generator; unlike in scikit-learn, None does not stand for NumPy's global state."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31))
    return np.random.default_rng(random_state)


def balanced(n_samples: int, n_classes: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return equally frequent classes in random order."""
    return generator.permutation(np.arange(n_samples, dtype=np.int64) % n_classes)


def check_parameters(function: str, **parameters: tuple[Any, list[Any]]) -> None:
    """Check the parameters of a function, given as name=(value, constraints)."""
    validate_parameter_constraints(
        {name: allowed for name, (_, allowed) in parameters.items()},
        {name: value for name, (value, _) in parameters.items()},
        caller_name=function,
    )
