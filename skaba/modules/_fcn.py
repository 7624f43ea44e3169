"""The fully convolutional network for time series."""

from __future__ import annotations

from torch import Tensor, nn


class FCN(nn.Module):
    """Fully convolutional network for time series, such as ECGs.

    Three blocks of convolution, batch normalization and ReLU with 128, 256 and
    128 channels and kernels of 8, 5 and 3 samples, a global average pool, and a
    linear layer (Wang, Yan & Oates 2017, section II.B). Convolutions keep the
    number of samples, so signals of any length will do, and the length may
    differ between training and prediction.

    Parameters
    ----------
    n_classes : int, default=71
        Number of outputs. The default is the number of statements in PTB-XL.
    channels : int, default=12
        Channels of the signal, such as the leads of an ECG.

    Attributes
    ----------
    features : torch.nn.Sequential
        The three blocks; ``features.0`` gives (n, 128, samples).
    pool : torch.nn.Sequential
        The average over all samples.
    classifier : torch.nn.Linear
        From the 128 averages to the logits.

    References
    ----------
    Z. Wang, W. Yan, T. Oates. Time series classification from scratch with deep
    neural networks: a strong baseline. IJCNN 2017.

    Examples
    --------
    >>> import torch
    >>> from skaba.modules import FCN
    >>> FCN(n_classes=71, channels=12)(torch.zeros(2, 12, 250)).shape
    torch.Size([2, 71])
    """

    def __init__(self, n_classes: int = 71, channels: int = 12) -> None:
        super().__init__()
        self.channels = channels
        self.features = nn.Sequential(
            _block(channels, 128, kernel_size=8),
            _block(128, 256, kernel_size=5),
            _block(256, 128, kernel_size=3),
        )
        # As a module, so that attribution methods with rules for layers know it.
        self.pool = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten())
        self.classifier = nn.Linear(128, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits.

        Parameters
        ----------
        x : torch.Tensor of shape (n, channels, samples)
            Floating-point signals.

        Returns
        -------
        logits : torch.Tensor of shape (n, n_classes)
        """
        if x.ndim != 3 or x.shape[1] != self.channels:
            raise ValueError(
                f"Expected signals of shape (n, {self.channels}, samples), got {tuple(x.shape)}. Transpose them, or "
                "set channels."
            )
        logits: Tensor = self.classifier(self.pool(self.features(x)))
        return logits


def _block(channels_in: int, channels_out: int, kernel_size: int) -> nn.Sequential:
    """Convolution that keeps the number of samples, batch normalization, ReLU."""
    # The same as padding="same", which warns about a copy for kernels of even length.
    before = (kernel_size - 1) // 2
    return nn.Sequential(
        nn.ConstantPad1d((before, kernel_size - 1 - before), 0.0),
        nn.Conv1d(channels_in, channels_out, kernel_size),
        nn.BatchNorm1d(channels_out),
        nn.ReLU(),
    )
