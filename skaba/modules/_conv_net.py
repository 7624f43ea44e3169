"""A small convolutional network for small images."""

from __future__ import annotations

from torch import Tensor, nn

from skaba.modules._initialize import he_normal


class ConvNet(nn.Module):
    """Small convolutional network for images of 8x8 to 32x32 pixels.

    Two stages of two 3x3 convolutions with a max pool between them, then an average
    pool to 2x2 and a linear layer. With the default parameters it has about
    67,000 weights and trains on a CPU.

    Parameters
    ----------
    n_classes : int, default=10
        Number of classes; the network returns one logit per class.
    channels : int, default=1
        Number of channels of the images: 1 for grey images, 3 for colour images.
    width : int, default=32
        Number of channels of the first stage; the second stage has twice as many.
    batch_norm : bool, default=False
        Whether each convolution is followed by batch normalization.
    dropout : float, default=0.0
        Probability that an input of the linear layer is dropped.

    Attributes
    ----------
    features : torch.nn.Sequential
        The convolutions and the max pool. Without batch normalization,
        ``features.3`` is the end of the first stage; its output has the shape
        (n, ``width``, image height, image width).
    classifier : torch.nn.Sequential
        The average pool and the linear layer.

    Notes
    -----
    The weights are initialised as in He et al. (2015); the network then learns much
    faster than from PyTorch's default initialisation.

    Examples
    --------
    >>> import torch
    >>> from skaba.modules import ConvNet
    >>> ConvNet(n_classes=10)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        n_classes: int = 10,
        channels: int = 1,
        width: int = 32,
        batch_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.features = nn.Sequential(
            *_convolution(channels, width, batch_norm),
            *_convolution(width, width, batch_norm),
            nn.MaxPool2d(2),
            *_convolution(width, 2 * width, batch_norm),
            *_convolution(2 * width, 2 * width, batch_norm),
        )
        self.classifier = nn.Sequential(
            # A pool to 2x2 keeps some spatial information, which digits need; a pool to 1x1 would not.
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(2 * width * 4, n_classes),
        )
        self.apply(he_normal)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits.

        Parameters
        ----------
        x : torch.Tensor of shape (n, channels, height, width)
            Floating-point images of at least 2x2 pixels.

        Returns
        -------
        logits : torch.Tensor of shape (n, n_classes)
            One logit per class.

        Raises
        ------
        ValueError
            If the images do not have this shape.
        """
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise ValueError(
                f"Expected images of shape (n, {self.channels}, height, width), got {tuple(x.shape)}. Add the channel "
                "axis, X[:, None] for grey images, or set channels."
            )
        logits: Tensor = self.classifier(self.features(x))
        return logits


def _convolution(channels_in: int, channels_out: int, batch_norm: bool) -> list[nn.Module]:
    """Return a 3x3 convolution that keeps the size of the image, with batch normalization and ReLU."""
    layers: list[nn.Module] = [nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1)]
    if batch_norm:
        layers.append(nn.BatchNorm2d(channels_out))
    # Each ReLU is a module of its own and not in place: methods such as DeepLIFT put hooks on every ReLU.
    return [*layers, nn.ReLU()]
