"""Models of every kind: wrapped, compiled, with several inputs, further arguments and outputs of other types."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skaba.augmenters import GaussianNoise, mend_aba
from skaba.losses import RRR
from skaba.training import Augmentation, network_view
from tests.tiny_nets import TextNet, words
from tests.training.loops import ImageNet, image_batches, same, text_batches, train

CRITERION = nn.CrossEntropyLoss()


def augmentation_of(model: nn.Module, augmenter: Any = "mend_aba", layer: str | None = None, **more: Any) -> Any:
    return Augmentation(model, augmenter, 0.3, layer=layer, criterion=CRITERION, random_state=0, **more)


@pytest.mark.parametrize("augmenter", ["mend_aba", "free_aba"])
@pytest.mark.parametrize("layer", [None, "features.0"])
def test_data_parallel(augmenter: str, layer: str | None) -> None:
    model = ImageNet()
    expected = train(model, image_batches(), augmentation_of(model, augmenter, layer))
    inner = ImageNet()
    wrapped = nn.DataParallel(inner)  # on a CPU it hands on to the module
    train(wrapped, image_batches(), augmentation_of(wrapped, augmenter, layer))
    assert same(inner.state_dict(), expected)


@pytest.mark.parametrize("augmenter", ["mend_aba", "free_aba"])
def test_compiled_at_the_input(augmenter: str) -> None:
    model = ImageNet()
    expected = train(model, image_batches(), augmentation_of(model, augmenter))
    inner = ImageNet()
    compiled = torch.compile(inner, backend="eager")
    train(compiled, image_batches(), augmentation_of(compiled, augmenter))
    for name, value in inner.state_dict().items():
        torch.testing.assert_close(value, expected[name])


class InPlace(ImageNet):
    """Compiled by ``module.compile()``, which wraps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.features.compile(backend="eager")


class Part(ImageNet):
    def __init__(self) -> None:
        super().__init__()
        self.features = torch.compile(self.features, backend="eager")  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (lambda: torch.compile(ImageNet(), backend="eager"), "features.0"),
        (lambda: nn.DataParallel(torch.compile(ImageNet(), backend="eager")), "features.0"),  # type: ignore[arg-type]
        (Part, "features._orig_mod.0"),
        (InPlace, "features.0"),
        (InPlace, "features"),
    ],
    ids=["whole", "wrapped", "part", "in-place", "in-place-itself"],
)
def test_a_layer_inside_a_compiled_module_is_refused(make: Any, layer: str) -> None:
    with pytest.raises(ValueError, match=rf"^layer='{layer}' is inside a compiled module"):
        augmentation_of(make(), layer=layer)


def test_a_compiled_layer_can_be_augmented_from_outside() -> None:
    model, plain = Part(), ImageNet()
    found = train(model, image_batches(), augmentation_of(model, layer="features"))
    expected = train(plain, image_batches(), augmentation_of(plain, layer="features"))
    for name, value in expected.items():
        torch.testing.assert_close(found[name.replace("features.", "features._orig_mod.")], value)


@pytest.mark.parametrize("penalty", [None, RRR()])
@pytest.mark.parametrize("called", ["copy", "compiled", "nothing"])
def test_a_layer_that_does_not_run_in_the_block_is_an_error(called: str, penalty: Any) -> None:
    """Else it would be plain training, without a word."""
    model = ImageNet()
    x, y, _ = image_batches()[0]
    compiled = torch.compile(model, backend="eager")
    compiled(x)
    other = {"copy": deepcopy(model), "compiled": compiled, "nothing": lambda x: torch.zeros(len(x), 3)}[called]
    augmentation = augmentation_of(model, layer="features.0", penalty=penalty)
    mask = torch.arange(36).reshape(6, 6).expand(8, 6, 6) > 3
    with (
        pytest.raises(ValueError, match=r"layer='features.0'( did not run inside the block|; choose another layer)"),
        augmentation(x, y, mask=None if penalty is None else mask) as (x_seen, _),
    ):
        augmentation.penalty(other(x_seen))


class TwoInputs(nn.Module):
    """Word ids and numbers to logits, and a further argument."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.embedding = nn.Embedding(11, 5, padding_idx=0)
        self.output = nn.Linear(5 + 2, 3)

    def forward(self, ids: Tensor, numbers: Tensor, scale: float = 1.0) -> Tensor:
        return self.output(torch.cat([self.embedding(ids).tanh().mean(1), numbers * scale], dim=1))


class Listed(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, both: list[Tensor], **arguments: Any) -> Tensor:
        return self.inner(*both, **arguments)


@pytest.mark.parametrize("augmenter", ["mend_aba", "free_aba", GaussianNoise()], ids=str)
def test_several_inputs_at_a_layer(augmenter: Any) -> None:
    """As a mapping, as a list, and as one input beside an argument: each trains the same net."""
    numbers = torch.randn(8, 2)
    states = []
    for form in ("mapping", "list", "argument"):
        inner = TwoInputs()
        model = Listed(inner) if form == "list" else inner
        layer = "inner.embedding" if form == "list" else "embedding"
        augmentation = augmentation_of(model, augmenter, layer)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for ids, y, index in text_batches() * 2:
            arguments: dict[str, Any] = {"scale": 0.5}
            x: Any = {"mapping": {"ids": ids, "numbers": numbers}, "list": [ids, numbers], "argument": ids}[form]
            if form == "argument":
                arguments["numbers"] = numbers
            with augmentation(x, y, index=index, **arguments) as (x_seen, y_seen):
                assert x_seen is x
                output = model(**x, **arguments) if form == "mapping" else model(x, **arguments)
                CRITERION(output, y_seen).backward()
            optimizer.step()
            optimizer.zero_grad()
        states.append(inner.state_dict())
    assert same(states[0], states[1])
    assert same(states[0], states[2])


def test_further_arguments_reach_the_model_that_draws_maps() -> None:
    class Scaled(ImageNet):
        def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
            return super().forward(x) * scale

    model = Scaled().eval()
    x, y, _ = image_batches()[0]
    with augmentation_of(model)(x, y, scale=-1.0) as (negative, _):
        pass
    with augmentation_of(model)(x, y) as (positive, _):
        pass
    expected = mend_aba()(
        lambda x: model(x, scale=-1.0), x, y, strength=0.3, criterion=None, generator=torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(negative, expected)
    assert not torch.allclose(negative, positive)


@pytest.mark.parametrize("form", ["tuple", "list", "object", "object that starts with a loss"])
@pytest.mark.parametrize("layer", [None, "features.0"])
def test_outputs_of_other_types(form: str, layer: str | None) -> None:
    """Logits are the first entry, or the attribute ``logits``, as in transformers."""

    class Output(tuple):
        @property
        def logits(self) -> Tensor:
            return self[1]

    class Wrapping(ImageNet):
        def forward(self, x: Tensor) -> Any:
            logits = super().forward(x)
            return {
                "tuple": (logits, x),
                "list": [logits, x],
                "object": SimpleNamespace(logits=logits),
                "object that starts with a loss": Output([logits.sum(), logits]),
            }[form]

    model, plain = Wrapping(), ImageNet()
    x, y, _ = image_batches()[0]
    mask = torch.arange(36).reshape(6, 6).expand(8, 6, 6) > 3
    penalties = []
    for each in (model, plain):
        augmentation = augmentation_of(each, layer=layer, penalty=RRR())
        with augmentation(x, y, mask=mask) as (x_seen, _):
            penalties.append(augmentation.penalty(each(x_seen)))
    assert torch.equal(*penalties)
    assert penalties[0] > 0


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ({"x": torch.zeros(2, 4)}, ValueError, "several inputs: name the layer"),
        ([torch.zeros(2, 4)], ValueError, "several inputs: name the layer"),
        (np.zeros((2, 4)), TypeError, r"must be a torch.Tensor, got a numpy.ndarray"),
        (torch.zeros(2, 4, dtype=torch.int64), TypeError, "floating-point"),
    ],
)
def test_batches_that_cannot_be_augmented_at_the_input(x: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message), augmentation_of(nn.Linear(4, 3))(x, torch.zeros(2).long()):
        raise AssertionError("the block must not run")


def test_parameters_that_are_not_allowed() -> None:
    model = TextNet()
    with pytest.raises(TypeError, match=r"model must be an nn.Module, got a function"):
        Augmentation(lambda x: x)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="penalty=3 must be a penalty"):
        Augmentation(model, penalty=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"no layer named 'embeding'. Did you mean 'embedding'"):
        Augmentation(model, layer="embeding")
    with pytest.raises(ValueError, match="mend_abba"):
        Augmentation(model, "mend_abba")
    with pytest.raises(ValueError, match="augmenter=3"):
        Augmentation(model, 3)
    with pytest.raises(ValueError, match="weight"):
        Augmentation(model, penalty=RRR(weight=-1.0))


def test_the_view_of_a_network() -> None:
    model, x = TextNet().eval(), words()
    view = network_view(nn.DataParallel(model), "embedding", x)
    assert torch.equal(view(view.features()), model(x))
    assert network_view(model, None, x) is model
