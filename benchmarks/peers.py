"""The cost of training with augmentation, compared with other libraries and with loops by hand.

    pip install ".[peers]"    # in an environment of its own: torchattacks holds requests at 2.25
    python benchmarks/peers.py [--epochs 2] [--repetitions 15] [--only erasing] [--json FILE]
    python benchmarks/peers.py --quick

One thread. Two contestants take turns, and the one that goes first changes; each ratio is of two neighbouring
measurements. A peer that is not installed is reported as such.

"training" is timed from a new network to the end of the last epoch, with data loading, for ConvNet on scikit-learn's
digits enlarged to 16 x 16. Network, samples, batch size, epochs, optimizer and loss are the same for all; there is no
validation, and nothing is printed. FGSM training moves every sample of every batch (ART: ``ratio=1``), in evaluation
mode, by the sign of one input gradient. The loop by hand is the leanest that we know. Like torchattacks, it computes
the gradient of the input alone; ART computes those of the parameters as well, and sets up a loader for every batch.

"erasing" sets the most important tenth of each image to 0. On our side, this is ABA above percentile 90 of the true
class's gradient, or of its Grad-CAM map ("by it"). bnnr's ICD, with its explainer Grad-CAM or its default explainer,
sets the tiles above the same percentile to the same value, so that no time goes into a blur or finer tiles. Both get
the images in the form that they work on (floats; bytes, channels last), and both compute maps of these images and of
the network as it is. We always take the whole batch at once. ICD takes it "by batch", as bnnr's trainer passes it, or
"one by one", as the transform of a data set does. ICD can also keep the maps of an earlier epoch on disk: "kept maps"
compares reading them with computing ours anew.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from turns import Function, in_turns

from skaba import ABAClassifier
from skaba.attribution import AttributionMethod, GradCAM, TrueClass
from skaba.augmenters import ABA, AdjustmentSet, Baseline, Percentiles
from skaba.datasets import load_digits
from skaba.modules import ConvNet

BATCH_SIZE = 64
N_ERASED = 16
LR = 0.01
STRENGTH = 0.1


class Contest(NamedTuple):
    """Two contestants, made when their turn comes, because a peer may be missing; and the goal of their ratio."""

    title: str
    first: Callable[[], Function]
    second: Callable[[], Function]
    goal: str = ""


class Data(NamedTuple):
    """Images in [0, 1], enlarged by repeating pixels, and their classes."""

    X: np.ndarray
    y: np.ndarray
    epochs: int


def digits(enlarged: int, n_samples: int, epochs: int = 0) -> Data:
    """Return digits whose sides have 8 pixels times a factor."""
    found = load_digits()
    X = found.X_train[:n_samples].repeat(enlarged, axis=2).repeat(enlarged, axis=3)
    return Data(X, found.y_train[:n_samples], epochs)


# Training ---------------------------------------------------------------------------------------------------


def fit(kind: type, data: Data, **own: Any) -> Function:
    """Return a function that fits a new net, skorch's or ours."""
    shared = {"criterion": nn.CrossEntropyLoss, "lr": LR, "max_epochs": data.epochs, "batch_size": BATCH_SIZE}
    shared |= {"optimizer": torch.optim.SGD, "iterator_train__shuffle": True, "train_split": None, "verbose": 0}
    return lambda: kind(ConvNet, **shared, **own).fit(data.X, data.y)


Attack = Callable[[Tensor, Tensor], Tensor]


def loop(data: Data, make_attack: Callable[[nn.Module], Attack] | None = None) -> Function:
    """Return a function that trains a new network in plain PyTorch, on attacked batches if there is an attack."""

    def train() -> None:
        module, criterion = ConvNet(), nn.CrossEntropyLoss()
        attack = make_attack(module) if make_attack else None
        optimizer = torch.optim.SGD(module.parameters(), lr=LR)
        for x, y in batches(data):
            if attack:
                x = attack(x, y)  # noqa: PLW2901
            optimizer.zero_grad()
            criterion(module(x), y).backward()
            optimizer.step()

    return train


def batches(data: Data) -> Iterator[list[Tensor]]:
    """Yield shuffled batches, epoch after epoch."""
    samples = TensorDataset(torch.as_tensor(data.X), torch.as_tensor(data.y))
    loader = DataLoader(samples, batch_size=BATCH_SIZE, shuffle=True)
    for _ in range(data.epochs):
        yield from loader


def by_hand(module: nn.Module) -> Attack:
    """Return FGSM as one would write it."""

    def attack(x: Tensor, y: Tensor) -> Tensor:
        module.eval()
        leaf = x.requires_grad_()
        gradient = torch.autograd.grad(nn.functional.cross_entropy(module(leaf), y), leaf)[0]
        module.train()
        return x.detach() + STRENGTH * gradient.sign()

    return attack


def torchattacks_loop(data: Data) -> Function:
    """Return a loop with torchattacks' FGSM."""
    import torchattacks  # noqa: PLC0415

    return loop(data, lambda module: torchattacks.FGSM(module, eps=STRENGTH))


def art_trainer(data: Data) -> Function:
    """Return the adversarial trainer of the Adversarial Robustness Toolbox."""
    from art.attacks.evasion import FastGradientMethod  # noqa: PLC0415
    from art.defences.trainer import AdversarialTrainer  # noqa: PLC0415
    from art.estimators.classification import PyTorchClassifier  # noqa: PLC0415

    def train() -> None:
        module = ConvNet()
        optimizer = torch.optim.SGD(module.parameters(), lr=LR)
        about = {"input_shape": data.X.shape[1:], "nb_classes": 10, "device_type": "cpu"}
        classifier = PyTorchClassifier(module, nn.CrossEntropyLoss(), optimizer=optimizer, **about)
        attack = FastGradientMethod(classifier, eps=STRENGTH, batch_size=BATCH_SIZE)
        with redirect_stderr(io.StringIO()):  # its progress bars
            trainer = AdversarialTrainer(classifier, attack, ratio=1.0)
            trainer.fit(data.X, data.y, batch_size=BATCH_SIZE, nb_epochs=data.epochs)

    return train


# Erasing ----------------------------------------------------------------------------------------------------


def our_erasing(data: Data, attribution: AttributionMethod | None = None) -> Function:
    """Return attribution-guided dropout of a batch, by the gradient or another map."""
    top = {"selection": Percentiles(0.9), "adjustments": AdjustmentSet([(0, 1)]), "change": Baseline(0)}
    aba = ABA(attribution, TrueClass(), randomize=False, **top)
    model = ConvNet(channels=3)
    x, y = torch.as_tensor(data.X).repeat(1, 3, 1, 1), torch.as_tensor(data.y)
    return lambda: aba(model, x, y, strength=1, criterion=None, generator=torch.Generator())


def icd_of(explainer: str | None = None, folder: str | None = None) -> Any:
    """Return bnnr's erasing, with its default explainer or another; with a folder it keeps the maps there."""
    from bnnr.icd import ICD  # noqa: PLC0415
    from bnnr.xai_cache import XAICache  # noqa: PLC0415

    logging.getLogger("bnnr").setLevel(logging.ERROR)  # it logs every map that it computes
    warnings.filterwarnings("ignore", "ICD initialized without XAICache", RuntimeWarning)
    model = ConvNet(channels=3)
    own: dict[str, Any] = {"explainer": explainer} if explainer else {}
    if folder:
        own["cache"] = XAICache(folder)
    own |= {"threshold_percentile": 90, "fill_strategy": "solid", "fill_value": 0, "use_cuda": False}
    return ICD(model, [model.features[-2]], **own)  # the last convolution


def by_batch(data: Data, **own: Any) -> Function:
    """Return bnnr's erasing of a batch."""
    erase, images, index = icd_of(**own), as_bytes(data), np.arange(len(data.X))
    return lambda: erase.apply_batch_with_labels(images, data.y, index)


def one_by_one(data: Data, **own: Any) -> Function:
    """Return bnnr's erasing, image by image."""
    erase, images = icd_of(**own), as_bytes(data)
    return lambda: [erase.apply_with_label(image, int(label)) for image, label in zip(images, data.y, strict=True)]


def as_bytes(data: Data) -> np.ndarray:
    """Return the images as bnnr takes them: bytes in three channels, which come last."""
    return (255 * data.X).astype(np.uint8).repeat(3, axis=1).transpose(0, 2, 3, 1)


# Measuring --------------------------------------------------------------------------------------------------


def contests(quick: bool, epochs: int, folder: str) -> list[Contest]:
    """Return all contests."""
    data, images = digits(2, 64 if quick else 512, epochs), digits(4, 4 if quick else N_ERASED)
    plain, ours = partial(fit, NeuralNetClassifier, data), partial(fit, ABAClassifier, data, augmenter="fgsm")
    batch, single, erasing = partial(by_batch, images), partial(one_by_one, images), partial(our_erasing, images)
    by_cam = partial(our_erasing, images, GradCAM())
    return [
        Contest("training: skorch / PyTorch loop", plain, partial(loop, data)),
        Contest("FGSM training: ours / loop by hand", ours, partial(loop, data, by_hand), "<= 1.03"),
        Contest("FGSM training: ours / torchattacks", ours, partial(torchattacks_loop, data)),
        Contest("FGSM training: ours / ART", ours, partial(art_trainer, data), "<= 0.90"),
        Contest("erasing: Grad-CAM, one by one / ours", partial(single, explainer="gradcam"), erasing, ">= 5"),
        Contest("erasing: Grad-CAM, one by one / ours by it", partial(single, explainer="gradcam"), by_cam, ">= 5"),
        Contest("erasing: Grad-CAM, by batch / ours", partial(batch, explainer="gradcam"), erasing, ">= 5"),
        Contest("erasing: Grad-CAM, by batch / ours by it", partial(batch, explainer="gradcam"), by_cam, ">= 5"),
        Contest("erasing: default, by batch / ours", batch, erasing, ">= 50"),
        Contest("erasing: kept maps, by batch / ours", partial(batch, explainer="gradcam", folder=folder), erasing),
    ]


def measure(contest: Contest, repetitions: int) -> np.ndarray | str:
    """Return the ratios of a contest, or why there are none."""
    try:
        contestants = contest.first(), contest.second()
    except ImportError as error:
        return f"not installed ({error})"
    return in_turns(*contestants, repetitions)


def show(contest: Contest, found: np.ndarray | str) -> None:
    """Print a row."""
    if isinstance(found, str):
        print(f"{contest.title:36} {found}")
        return
    print(f"{contest.title:36} {np.median(found):8.2f} {f'{found.min():.2f}-{found.max():.2f}':>15} {contest.goal:>8}")


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--only", default="", help="contests whose title begins so, such as erasing")
    parser.add_argument("--quick", action="store_true", help="few samples, once: to see that it runs")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    repetitions = 1 if arguments.quick else arguments.repetitions
    print(f"1 thread, {repetitions} ratios\n{'':36} {'median':>8} {'range':>15} {'goal':>8}")
    ratios = {}
    with tempfile.TemporaryDirectory() as folder:
        for contest in contests(arguments.quick, arguments.epochs, folder):
            if not contest.title.startswith(arguments.only):
                continue
            ratios[contest.title] = measure(contest, repetitions)
            show(contest, ratios[contest.title])
    if arguments.json:
        arguments.json.write_text(json.dumps(ratios, default=np.ndarray.tolist))


if __name__ == "__main__":
    main()
