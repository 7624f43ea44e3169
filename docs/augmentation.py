"""Draw the README's picture: digits, what the network looks at, and the digits that it is trained on instead.

python docs/augmentation.py
"""

from pathlib import Path

import torch

from skaba import ABAClassifier
from skaba.datasets import load_digits
from skaba.modules import ConvNet
from skaba.plotting import AugmentationDisplay

digits = load_digits("tiny")
clf = ABAClassifier(
    ConvNet,
    augmenter="mend_aba",
    strength=0.5,
    optimizer=torch.optim.Adam,
    lr=0.003,
    max_epochs=30,
    batch_size=50,
    iterator_train__shuffle=False,
    train_split=None,
    random_state=0,
    verbose=0,
)
clf.fit(digits.X_train, digits.y_train)
display = AugmentationDisplay.from_estimator(clf, digits.X_train, digits.y_train, n_samples=3)
display.figure_.savefig(Path(__file__).with_suffix(".png"), dpi=90)
