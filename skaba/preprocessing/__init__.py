"""scikit-learn transformers that turn texts and signals into inputs of a network."""

from skaba.preprocessing._ecg_scaler import ECGScaler
from skaba.preprocessing._word_sequences import WordSequences

__all__ = ["ECGScaler", "WordSequences"]
