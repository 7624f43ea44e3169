"""scikit-learn transformers that turn texts and signals into inputs of a network, and crops of signals."""

from skaba.preprocessing._ecg_scaler import ECGScaler
from skaba.preprocessing._random_crops import RandomCrops
from skaba.preprocessing._word_sequences import WordSequences

__all__ = ["ECGScaler", "RandomCrops", "WordSequences"]
