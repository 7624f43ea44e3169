"""The only module that calls captum, an optional library of attribution methods."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from skaba.attribution._checking import BoundTarget, score_on
from skaba.attribution._method import AttributionMethod
from skaba.attribution._targets import Score
from skaba.network import Model, answer, broadcast, draw_seed, rows_of, values_of

# captum warns that it sets hooks, which are removed with the copy of the network that has them, and that Lime and
# KernelShap fit one model per sample, which their docstrings say.
_EXPECTED_WARNINGS = r"\s*Setting (forward, )?backward hooks|You are providing multiple inputs"


class Scored(nn.Module):
    """The module that captum explains: it returns the target's value for any of the batch's rows, in any order.

    captum repeats, interleaves and slices the rows, and with them ``index``, an additional argument of the forward
    pass, so each row keeps its target and its hidden inputs. captum sees no weights, and no submodules except the
    layers that it may change.
    """

    def __init__(self, model: Model, score: Score, index: Tensor, layers: Sequence[nn.Module] = ()) -> None:
        super().__init__()
        # nn.Module does not register what is in a tuple. captum walks through all submodules, so without this it would
        # also set hooks on the layers that it must not change.
        self._hidden = (model,)
        self.score = score
        self.index = index
        self.layers = tuple(layers)

    @property
    def model(self) -> Model:
        """The network."""
        return self._hidden[0]

    def children(self) -> Iterator[nn.Module]:
        """Yield the layers that captum may change."""
        yield from self.layers

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Return the values, shape (m,), of rows x that belong to the samples in index."""
        return self.value(answer(rows_of(self.model, index), x), self._score_of(index))

    def value(self, logits: Tensor, score: Score) -> Tensor:
        """Return what captum differentiates: the score itself."""
        return values_of(score, logits)

    def _score_of(self, index: Tensor) -> Score:
        if hasattr(self.score, "rows"):
            return self.score.rows(index)
        # A plain score is one value per row in the batch's order; in any other order it would be silently wrong.
        if torch.equal(index, self.index.repeat(len(index) // len(self.index))):
            return self.score
        raise TypeError(
            f"The target's score is a {type(self.score).__name__} without rows(index), and the method runs the "
            "samples in another order. Return an object with rows(index) from the target."
        )


class ThroughCaptum(AttributionMethod):
    """Base class of methods that captum computes: needs ``pip install "skaba[attribution]"``.

    captum does not keep the graph of its maps, so none of these methods is differentiable.
    """

    def _attribute(self, model: Model, x: Tensor, target: BoundTarget, generator: torch.Generator | None) -> Tensor:
        scored = self._scored(model, x, target)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", _EXPECTED_WARNINGS)
            # captum sets requires_grad and .grad of its input, so it gets a copy.
            map_ = self._explain(scored, x.clone().requires_grad_(), generator)
        return map_.detach().to(x.dtype)

    def _check_consistency(self) -> None:
        """Raise an ImportError before any work if captum is missing."""
        captum()

    def _scored(self, model: Model, x: Tensor, target: BoundTarget) -> Scored:
        return Scored(model, score_on(target, model, x), torch.arange(len(x), device=x.device))

    @abstractmethod
    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Compute the map of x, a leaf, with one of ``captum.attr``'s classes."""

    @staticmethod
    def _run(name: str, scored: Scored, x: Tensor, *settings: Any, **arguments: Any) -> Tensor:
        """Run one of ``captum.attr``'s classes; the settings are for its constructor."""
        method = getattr(captum(), name)(scored, *settings)
        map_: Tensor = method.attribute(x, additional_forward_args=(scored.index,), **arguments)
        return map_


def captum(module: str = "attr") -> ModuleType:
    """Import one of captum's modules, or raise an ImportError that says how to install it."""
    try:
        return import_module(f"captum.{module}")
    except ImportError as error:
        raise ImportError('This attribution method needs captum: pip install "skaba[attribution]"') from error


@contextmanager
def seeded(generator: torch.Generator) -> Iterator[None]:
    """Seed the global random states, from which captum draws; ``asking`` restores torch's, this block NumPy's."""
    seed = draw_seed(generator)
    state = np.random.get_state()  # GradientShap draws the points on its paths with NumPy
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


def spread(baseline: float | ArrayLike, x: Tensor) -> float | Tensor:
    """Return a baseline in captum's form: a number, or a tensor of x's shape."""
    if isinstance(baseline, (int, float)):
        return float(baseline)
    return broadcast("baseline", baseline, x).expand_as(x)
