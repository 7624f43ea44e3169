"""The fully convolutional network for time series."""

from __future__ import annotations

from torch import Tensor, nn


class FCN(nn.Module):
    """Fully convolutional network for time series, such as ECGs.

    Three blocks of convolution, batch normalization and ReLU with 128, 256 and
    128 channels and kernels of 8, 5 and 3 time steps, a global average pool, and a
    linear layer (Wang, Yan & Oates 2017, section II.B). The convolutions keep the
    length, so signals may have any length, and it may differ between training and
    prediction.

    Parameters
    ----------
    n_classes : int, default=71
        Number of classes or labels; the network returns one logit per class. The
        default is the number of statements in PTB-XL.
    channels : int, default=12
        Number of channels of the signals, such as the leads of an ECG.

    Attributes
    ----------
    features : torch.nn.Sequential
        The three blocks; the output of ``features.0`` has the shape (n, 128, length).
    pool : torch.nn.Sequential
        The average over all time steps.
    classifier : torch.nn.Linear
        The linear layer from the 128 averages to the logits.

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
        # A module instead of a function, so that attribution methods with rules per layer (LRP, DeepLIFT) see it.
        self.pool = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten())
        self.classifier = nn.Linear(128, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits.

        Parameters
        ----------
        x : torch.Tensor of shape (n, channels, length)
            Floating-point signals.

        Returns
        -------
        logits : torch.Tensor of shape (n, n_classes)
            One logit per class.

        Raises
        ------
        ValueError
            If the signals do not have this shape.
        """
        if x.ndim != 3 or x.shape[1] != self.channels:
            raise ValueError(
                f"Expected signals of shape (n, {self.channels}, length), got {tuple(x.shape)}. Transpose them, or "
                "set channels."
            )
        logits: Tensor = self.classifier(self.pool(self.features(x)))
        return logits


def _block(channels_in: int, channels_out: int, kernel_size: int) -> nn.Sequential:
    """Return a convolution that keeps the length, batch normalization and ReLU."""
    # Pads as padding="same" does, but without its warning about a copy for kernels of even length.
    before = (kernel_size - 1) // 2
    return nn.Sequential(
        nn.ConstantPad1d((before, kernel_size - 1 - before), 0.0),
        nn.Conv1d(channels_in, channels_out, kernel_size),
        nn.BatchNorm1d(channels_out),
        nn.ReLU(),
    )
