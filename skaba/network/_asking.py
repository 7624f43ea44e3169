"""Asking a model without leaving a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from skaba._random_state import holding_random_state

Model = Callable[[Tensor], Any]
"""What is asked: an ``nn.Module``, or any callable that turns a batch into logits."""


class Switch:
    """A global setting of torch that several callers, also in several threads, can switch off at the same time."""

    def __init__(self, get: Callable[[], bool], put: Callable[[bool], Any]) -> None:
        self.get = get
        self.put = put
        self.lock = Lock()
        self.askers = 0
        self.before = False

    @contextmanager
    def off(self) -> Iterator[None]:
        """Switch the setting off for the time of the block; the last to leave puts it back."""
        with self.lock:
            if not self.askers:
                self.before = self.get()
                self.put(False)
            self.askers += 1
        try:
            yield
        finally:
            with self.lock:
                self.askers -= 1
                if not self.askers:
                    self.put(self.before)


_SWITCHES: dict[Switch, tuple[type[nn.Module], ...]] = {
    Switch(lambda: torch.backends.cudnn.enabled, partial(setattr, torch.backends.cudnn, "enabled")): (nn.RNNBase,),
    Switch(torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled): (
        nn.TransformerEncoder,
        nn.TransformerEncoderLayer,
        nn.MultiheadAttention,
    ),
}
"""Shortcuts of torch's that attribution cannot go along with, and the modules that take them."""


class View(nn.Module):
    """Base class of wrappers around a network, which is kept as ``module``."""

    module: nn.Module


@contextmanager
def asking(model: Model, mode: str = "eval", generator: torch.Generator | None = None) -> Iterator[None]:
    """Hold a model in one mode for the time of the block, then leave everything as it was.

    Afterwards the training flags, torch's global random state, the switches of cuDNN and of the attention
    fast path and, in training mode, the buffers are put back.

    Parameters
    ----------
    model : nn.Module or callable
        A callable that is no module has no flags; only the random state is kept.
    mode : {"eval", "train"}, default="eval"
        In "eval" BatchNorm uses its running statistics and dropout does nothing. In "train" BatchNorm
        normalises by the statistics of the batch and dropout drops. A model that is in training mode already
        keeps the flags of its submodules, so that a BatchNorm layer which you froze in evaluation mode stays
        frozen; any other is put into training mode by its own ``train()``.
    generator : torch.Generator on the CPU, default=None
        Decides, in "train", what the model draws from torch's global random state, such as dropout's masks.

    Raises
    ------
    ValueError
        If there is no such mode, or the mode is "train" and there is no generator, a module is scripted, or BatchNorm
        is asked about a single sample.

    Notes
    -----
    In "eval" the buffers are not put aside: a module that writes into one even in evaluation mode is the one
    thing that leaves a trace. Recurrent layers run without cuDNN, which refuses to differentiate them in
    evaluation mode. Transformer layers run without torch's fast path: it calls no submodule, so a layer inside
    would never be seen, and it packs padded batches into nested tensors, which have other shapes.
    """
    if mode not in ("eval", "train"):
        raise ValueError(f'mode={mode!r} must be "eval" or "train".')
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    training = [module for module in modules if module.training]
    with ExitStack() as held:
        held.enter_context(holding_random_state())
        random_state = torch.get_rng_state()
        cuda_state = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
        held.callback(_set_training, training, True)
        held.callback(_set_random_state, random_state, cuda_state)
        for switch, kinds in _SWITCHES.items():
            if any(isinstance(module, kinds) for module in modules):
                held.enter_context(switch.off())
        if mode == "train":
            held.callback(_set_training, [module for module in modules if not module.training], False)
            held.enter_context(_buffers_aside(modules))
            _train(model, generator)
        else:
            _set_training(training, False)
        try:
            yield
        except ValueError as error:
            if mode == "train" and "more than 1 value per channel" in str(error):
                raise ValueError(
                    'mode="train" lets BatchNorm normalise by the statistics of the batch, which one sample does not '
                    'have: pass more samples, or set mode="eval".'
                ) from error
            raise


def _train(model: Model, generator: torch.Generator | None) -> None:
    """Put a model into training mode, unless it is, and let the generator decide what it draws."""
    if generator is None:
        raise ValueError(
            'mode="train" may draw at random, as dropout does: pass generator=torch.Generator().manual_seed(0).'
        )
    torch.default_generator.manual_seed(seed := draw_seed(generator))
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
    network: Any = model
    while isinstance(network, View):
        network = network.module
    if isinstance(network, nn.Module) and not network.training:
        network.train()


def draw_seed(generator: torch.Generator) -> int:
    """Draw a seed for torch's or NumPy's global random state."""
    return int(torch.randint(2**32, (), generator=generator))


@contextmanager
def _buffers_aside(modules: list[nn.Module]) -> Iterator[None]:
    """Let modules work on copies of their buffers: whatever they write is lost."""
    scripted = next((module for module in modules if isinstance(module, torch.jit.ScriptModule)), None)
    if scripted is not None:
        raise ValueError('A scripted module cannot be asked in mode="train" without a trace: pass the original.')
    own = [(module, dict(module._buffers)) for module in modules if module._buffers]
    copies: dict[int, Tensor] = {}  # of a buffer that several modules share there is one
    try:
        for module, buffers in own:
            for name, buffer in buffers.items():
                if buffer is not None:
                    module._buffers[name] = copies.setdefault(id(buffer), buffer.clone())
        yield
    finally:
        for module, buffers in own:
            module._buffers.clear()
            module._buffers.update(buffers)


def _set_random_state(state: Tensor, cuda_state: list[Tensor] | None) -> None:
    torch.set_rng_state(state)
    if cuda_state is not None:
        torch.cuda.set_rng_state_all(cuda_state)


def _set_training(modules: list[nn.Module], training: bool) -> None:
    # Straight into the instance where that is all there is to it: Module.__setattr__ looks for
    # parameters and submodules first, which at every step costs more than the rest of asking.
    for module in modules:
        if type(module).__setattr__ is nn.Module.__setattr__:
            vars(module)["training"] = training
        else:  # a scripted module keeps its flag elsewhere
            module.training = training


def unwrapped(component: Any) -> Any:
    """Return the module that ``torch.compile`` or data parallelism wrapped.

    Hooks that come later work on that one alone, and asking it waits for no other process. What
    accelerate puts into a module's ``forward`` (automatic mixed precision) stays in force.
    """
    while True:
        if isinstance(component, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            component = component.module
        elif "_orig_mod" in getattr(component, "_modules", ()):
            component = component._orig_mod
        else:
            return component


def first_output(output: Any) -> Tensor:
    """Return the logits of a model's output: its attribute ``logits``, or of a tuple the first entry, as in skorch."""
    # A transformers model that is given labels returns the loss first.
    logits = getattr(output, "logits", output)
    logits = logits[0] if isinstance(logits, (tuple, list)) else logits
    if isinstance(logits, Tensor):
        return logits
    raise TypeError(
        f"The model returned a {type(output).__name__}; it must return a tensor of logits, (n, n_outputs) or (n,), "
        "a tuple that starts with one, or an object with an attribute .logits. Wrap the model in a module that does."
    )


def logits_of(output: Any) -> Tensor:
    """Return the logits of a model's answer in columns: (n,) stands for one output per sample, (n, 1)."""
    logits = first_output(output)
    return logits.unsqueeze(1) if logits.dim() == 1 else logits


def answer(model: Model, x: Tensor) -> Tensor:
    """Return the model's logits for a copy of x, since its first layer may work in place."""
    return logits_of(model(x.clone()))


def input_gradient(model: Model, x: Tensor, score: Callable[[Tensor], Tensor]) -> Tensor:
    """Differentiate the sum of the samples' scores with respect to their input.

    Parameters
    ----------
    model : nn.Module or callable
    x : Tensor of shape (n, ...)
    score : callable
        Takes the logits and returns one value per sample, shape (n,).

    Returns
    -------
    Tensor of x's shape
        ``torch.autograd.grad`` follows the path to the input alone, so no
        parameter's gradient is computed, let alone accumulated.

    Raises
    ------
    ValueError
        If the input has no gradient.
    """
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        return gradient_of(values_of(score, answer(model, leaf)), leaf)


def values_of(score: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """Return what a target's score makes of logits, one value per row.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    values = score(logits)
    if isinstance(values, Tensor) and values.shape == logits.shape[:1]:
        return values
    got = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else f"a {type(values).__name__}"
    raise ValueError(
        f"The target's score returned {got} for logits of shape {tuple(logits.shape)}; it must return a tensor with "
        f"one value per row, shape ({len(logits)},)."
    )


def gradient_of(values: Tensor, source: Any) -> Tensor:
    """Differentiate the sum of values with respect to a tensor, or to the edge of one, that they were computed from.

    Raises
    ------
    ValueError
        If they were not.
    """
    gradients: tuple[Tensor | None, ...] = (None,)
    if values.requires_grad:
        gradients = torch.autograd.grad(values, source, torch.ones_like(values), allow_unused=True)
    if gradients[0] is None:
        raise unreached()
    return gradients[0]


def unreached() -> ValueError:
    """Return the error for a network through which no gradient comes back to what is asked about."""
    return ValueError(
        "The target's gradient does not reach the input: a part of the network runs under no_grad, detaches "
        "its input or is not differentiable. Augment after that part, with layer='...'."
    )
