"""VGG networks for small images."""

from __future__ import annotations

from torch import Tensor, nn

from skaba.modules._initialize import he_normal

# A max pool in a configuration; the other numbers are the channels of a 3x3 convolution.
_MAX_POOL = 0

# Table 1 of Simonyan & Zisserman, without the fifth pool, which differs between the two classes.
_CONFIGURATION_A = (64, _MAX_POOL, 128, _MAX_POOL, 256, 256, _MAX_POOL, 512, 512, _MAX_POOL, 512, 512)
_CONFIGURATION_D = (
    *(64, 64, _MAX_POOL),
    *(128, 128, _MAX_POOL),
    *(256, 256, 256, _MAX_POOL),
    *(512, 512, 512, _MAX_POOL),
    *(512, 512, 512),
)
# The factor by which the four pools before the fifth reduce height and width.
_REDUCTION = 16


class VGG11(nn.Module):
    """VGG with 11 layers (configuration A), by default for MNIST.

    So that the network suits images of 28x28, the fifth pool is an average pool,
    and the fully connected layers are smaller than the original 4096.

    Parameters
    ----------
    n_classes : int, default=10
        Number of classes; the network returns one logit per class.
    channels : int, default=1
        Number of channels of the images.
    image_size : int, default=28
        Height and width of the images in pixels, at least 16.
    batch_norm : bool, default=False
        Whether each convolution is followed by batch normalization.
    hidden : int, default=512
        Size of the two hidden fully connected layers.
    dropout : float, default=0.5
        Probability that an output of a hidden fully connected layer is dropped.

    Attributes
    ----------
    features : torch.nn.Sequential
        The convolutions and the five pools.
    classifier : torch.nn.Sequential
        The three fully connected layers.

    Raises
    ------
    ValueError
        If ``image_size`` is below 16, or images have another shape.

    Notes
    -----
    The weights are initialised as in He et al. (2015). With PyTorch's default
    initialisation and without batch normalization, networks of this depth hardly
    begin to learn.

    References
    ----------
    K. Simonyan, A. Zisserman. Very deep convolutional networks for large-scale
    image recognition. ICLR 2015. Table 1.

    K. He, X. Zhang, S. Ren, J. Sun. Delving deep into rectifiers. ICCV 2015. Section 2.2.

    Examples
    --------
    >>> import torch
    >>> from skaba.modules import VGG11
    >>> VGG11()(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        n_classes: int = 10,
        channels: int = 1,
        *,
        image_size: int = 28,
        batch_norm: bool = False,
        hidden: int = 512,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        side = _last_side(image_size)
        self.image_size = image_size
        self.features = _features(_CONFIGURATION_A, channels, batch_norm, nn.AdaptiveAvgPool2d(side))
        self.classifier = _classifier(512 * side**2, hidden, n_classes, dropout)
        self.apply(he_normal)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits.

        Parameters
        ----------
        x : torch.Tensor of shape (n, channels, image_size, image_size)
            Floating-point images.

        Returns
        -------
        logits : torch.Tensor of shape (n, n_classes)
            One logit per class.
        """
        _check_images(x, self.image_size)
        logits: Tensor = self.classifier(self.features(x))
        return logits


class VGG16(nn.Module):
    """VGG with 16 layers (configuration D), by default for CIFAR10.

    Parameters
    ----------
    n_classes : int, default=10
        Number of classes; the network returns one logit per class.
    channels : int, default=3
        Number of channels of the images.
    image_size : int, default=32
        Height and width of the images in pixels, at least 16.
    batch_norm : bool, default=False
        Whether each convolution is followed by batch normalization.
    hidden : int, default=4096
        Size of the two hidden fully connected layers.
    dropout : float, default=0.5
        Probability that an output of a hidden fully connected layer is dropped.

    Attributes
    ----------
    features : torch.nn.Sequential
        The convolutions and the five pools.
    classifier : torch.nn.Sequential
        The three fully connected layers.

    Raises
    ------
    ValueError
        If ``image_size`` is below 16, or images have another shape.

    See Also
    --------
    VGG11 : The smaller configuration, with the references and a note on initialisation.

    Examples
    --------
    >>> import torch
    >>> from skaba.modules import VGG16
    >>> VGG16(hidden=256)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        n_classes: int = 10,
        channels: int = 3,
        *,
        image_size: int = 32,
        batch_norm: bool = False,
        hidden: int = 4096,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        side = _last_side(image_size)
        self.image_size = image_size
        # Rounding up lets feature maps of 1x1 pass, which is their size for images below 32 pixels.
        self.features = _features(_CONFIGURATION_D, channels, batch_norm, nn.MaxPool2d(2, ceil_mode=True))
        self.classifier = _classifier(512 * side**2, hidden, n_classes, dropout)
        self.apply(he_normal)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits.

        Parameters
        ----------
        x : torch.Tensor of shape (n, channels, image_size, image_size)
            Floating-point images.

        Returns
        -------
        logits : torch.Tensor of shape (n, n_classes)
            One logit per class.
        """
        _check_images(x, self.image_size)
        logits: Tensor = self.classifier(self.features(x))
        return logits


def _features(configuration: tuple[int, ...], channels: int, batch_norm: bool, last_pool: nn.Module) -> nn.Sequential:
    """Build the convolutional part of a configuration."""
    layers: list[nn.Module] = []
    for out in configuration:
        if out == _MAX_POOL:
            layers.append(nn.MaxPool2d(2))
            continue
        layers.append(nn.Conv2d(channels, out, kernel_size=3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(out))
        layers.append(nn.ReLU())
        channels = out
    return nn.Sequential(*layers, last_pool)


def _classifier(inputs: int, hidden: int, n_classes: int, dropout: float) -> nn.Sequential:
    """Build the fully connected part."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, n_classes),
    )


def _last_side(image_size: int) -> int:
    """Return the height and width after the fifth pool."""
    if image_size < _REDUCTION:
        raise ValueError(
            f"image_size must be at least {_REDUCTION}, got {image_size}: four pools halve the image before "
            "the fifth. Enlarge the images, or use skaba.modules.ConvNet."
        )
    return (image_size // _REDUCTION + 1) // 2


def _check_images(x: Tensor, image_size: int) -> None:
    if x.ndim == 4 and x.shape[2:] == (image_size, image_size):
        return
    raise ValueError(
        f"Expected images of shape (n, channels, {image_size}, {image_size}), got {tuple(x.shape)}. "
        "Reshape them, or set image_size."
    )
