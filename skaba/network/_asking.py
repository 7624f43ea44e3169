"""Logits and gradients of a model, computed without leaving a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from skaba._random_state import holding_random_state

Model = Callable[[Tensor], Any]
"""An ``nn.Module``, or any callable that turns a batch into logits."""


class Switch:
    """A global setting of torch that several callers, also in several threads, can switch off at the same time."""

    def __init__(self, get: Callable[[], bool], put: Callable[[bool], Any]) -> None:
        self.get = get
        self.put = put
        self.lock = Lock()
        self.users = 0
        self.before = False

    @contextmanager
    def off(self) -> Iterator[None]:
        """Switch the setting off inside the block; the last user to leave restores it."""
        with self.lock:
            if not self.users:
                self.before = self.get()
                self.put(False)
            self.users += 1
        try:
            yield
        finally:
            with self.lock:
                self.users -= 1
                if not self.users:
                    self.put(self.before)


# Both matter in evaluation mode, the usual mode for maps:
# https://github.com/pytorch/pytorch/issues/15788 (cuDNN) and https://github.com/pytorch/pytorch/issues/128413 (hooks).
_SWITCHES: dict[Switch, tuple[type[nn.Module], ...]] = {
    Switch(lambda: torch.backends.cudnn.enabled, partial(setattr, torch.backends.cudnn, "enabled")): (nn.RNNBase,),
    Switch(torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled): (
        nn.TransformerEncoder,
        nn.TransformerEncoderLayer,
        nn.MultiheadAttention,
    ),
}
"""Shortcuts in torch that attribution cannot use, and the modules that take them."""

# https://github.com/pytorch/pytorch/issues/116350
_FUSED_ATTENTION = tuple(
    Switch(getattr(torch.backends.cuda, f"{kind}_sdp_enabled"), getattr(torch.backends.cuda, f"enable_{kind}_sdp"))
    for kind in ("flash", "mem_efficient", "cudnn")
    if hasattr(torch.backends.cuda, f"enable_{kind}_sdp")
)
"""Attention kernels, on the CPU too, whose gradient torch cannot differentiate again."""


@contextmanager
def without_shortcuts(modules: Iterable[nn.Module], *, fused_attention: bool) -> Iterator[None]:
    """Have modules run without those of torch's shortcuts that attribution cannot use, inside the block.

    Parameters
    ----------
    modules : iterable of nn.Module
        A model's modules.
    fused_attention : bool
        Whether attention may use a kernel whose gradient cannot be differentiated again.
    """
    modules = list(modules)
    with ExitStack() as held:
        for switch, kinds in _SWITCHES.items():
            if any(isinstance(module, kinds) for module in modules):
                held.enter_context(switch.off())
        for switch in () if fused_attention else _FUSED_ATTENTION:
            held.enter_context(switch.off())
        yield


class View(nn.Module):
    """Base class of wrappers around a network, which is kept as ``module``."""

    module: nn.Module


@contextmanager
def asking(
    model: Model, mode: str = "eval", generator: torch.Generator | None = None, create_graph: bool = False
) -> Iterator[None]:
    """Hold a model in one mode inside the block, then leave everything as it was.

    Training flags, torch's global random state and torch's switches for cuDNN and attention kernels are restored, in
    training mode the buffers too.

    Parameters
    ----------
    model : nn.Module or callable
        A callable that is not a module has no flags; only the random state is restored.
    mode : {"eval", "train"}, default="eval"
        In "eval" BatchNorm uses its running statistics and dropout does nothing. In "train" BatchNorm
        normalises by the statistics of the batch and dropout drops. A model that is already in training mode
        keeps the flags of its submodules, so that a BatchNorm layer which you froze in evaluation mode stays
        frozen; any other model is put into training mode by its method ``train``.
    generator : torch.Generator on the CPU, default=None
        In "train", decides what the model draws from torch's global random state, such as dropout's masks.
    create_graph : bool, default=False
        Whether gradients taken inside the block will be differentiated again after it. The model then works on
        copies of its buffers, attention uses the kernel that can be differentiated twice, and gradients are enabled.

    Raises
    ------
    ValueError
        If the mode does not exist. If the mode is "train", also if there is no generator, if a module is scripted, or
        if BatchNorm gets a single sample. With ``create_graph``, also if a module is scripted.

    Notes
    -----
    In "eval" without ``create_graph`` the buffers are not copied, so a module that writes into a buffer even in
    evaluation mode does leave a trace. Recurrent layers run without cuDNN, which refuses to differentiate
    them in evaluation mode. Transformer layers run without torch's fast path: it does not call submodules, so hooks on
    a layer inside would never run, and it packs padded batches into nested tensors, which have other shapes.
    """
    if mode not in ("eval", "train"):
        raise ValueError(f'mode={mode!r} must be "eval" or "train".')
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    training = [module for module in modules if module.training]
    # The stack undoes everything in reverse order, so the flags are restored before the lock is released.
    with ExitStack() as held:
        held.enter_context(holding_random_state())
        random_state = torch.get_rng_state()
        # Reading the state of a GPU would initialize CUDA, which takes seconds and memory.
        cuda_state = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
        held.callback(_set_training, training, True)
        held.callback(_set_random_state, random_state, cuda_state)
        held.enter_context(without_shortcuts(modules, fused_attention=not create_graph))
        if create_graph:
            held.enter_context(torch.enable_grad())
        if create_graph or mode == "train":
            # The second derivative of BatchNorm reads the running statistics. torch does not notice if a training
            # step has updated them in the meantime, and the gradient would be silently wrong.
            held.enter_context(_buffers_aside(modules))
        if mode == "train":
            # train() also sets the flags of modules that were in evaluation mode; only these have to be set back.
            held.callback(_set_training, [module for module in modules if not module.training], False)
            _train(model, generator)
        else:
            _set_training(training, False)
        try:
            yield
        except ValueError as error:
            # torch has no special type for this error.
            if mode == "train" and "more than 1 value per channel" in str(error):
                raise ValueError(
                    'mode="train" lets BatchNorm normalise by the statistics of the batch, which one sample does not '
                    'have: pass more samples, or set mode="eval".'
                ) from error
            raise


def _train(model: Model, generator: torch.Generator | None) -> None:
    """Put a model into training mode, unless it is in it already, and seed its random draws from the generator."""
    if generator is None:
        raise ValueError(
            'mode="train" may draw at random, as dropout does: pass generator=torch.Generator().manual_seed(0).'
        )
    torch.default_generator.manual_seed(seed := draw_seed(generator))
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
    network: Any = model
    # A view's flag says nothing about the network inside, whose train() may freeze some of its layers.
    while isinstance(network, View):
        network = network.module
    if isinstance(network, nn.Module) and not network.training:
        network.train()


def draw_seed(generator: torch.Generator) -> int:
    """Draw a seed for torch's or NumPy's global random state."""
    return int(torch.randint(2**32, (), generator=generator))


@contextmanager
def _buffers_aside(modules: list[nn.Module]) -> Iterator[None]:
    """Let modules work on copies of their buffers, which are thrown away after the block."""
    scripted = next((module for module in modules if isinstance(module, torch.jit.ScriptModule)), None)
    if scripted is not None:
        raise ValueError(
            'A scripted module cannot be attributed with mode="train" or create_graph=True without leaving a trace in '
            "its buffers: pass the original module."
        )
    originals = [(module, dict(module._buffers)) for module in modules if module._buffers]
    copies: dict[int, Tensor] = {}  # a buffer that several modules share has one copy
    try:
        for module, buffers in originals:
            for name, buffer in buffers.items():
                if buffer is not None:
                    module._buffers[name] = copies.setdefault(id(buffer), buffer.clone())
        yield
    finally:
        for module, buffers in originals:
            # Buffers that the module added meanwhile are dropped too.
            module._buffers.clear()
            module._buffers.update(buffers)


def _set_random_state(state: Tensor, cuda_state: list[Tensor] | None) -> None:
    torch.set_rng_state(state)
    if cuda_state is not None:
        torch.cuda.set_rng_state_all(cuda_state)


def _set_training(modules: list[nn.Module], training: bool) -> None:
    # Module.__setattr__ first looks for parameters and submodules. At every training step, that would cost more than
    # everything else in asking(). So the flag is written directly, unless the module stores it elsewhere.
    for module in modules:
        if type(module).__setattr__ is nn.Module.__setattr__:
            vars(module)["training"] = training
        else:  # a scripted module
            module.training = training


def unwrapped(component: Any) -> Any:
    """Return the module inside the wrappers of ``torch.compile`` and of data parallelism.

    Hooks that are added later run only on that module, and a call of it does not wait for other processes.
    Mixed precision, which accelerate puts into a module's ``forward``, stays in force.
    """
    while True:
        if isinstance(component, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            component = component.module
        elif "_orig_mod" in getattr(component, "_modules", ()):
            component = component._orig_mod
        else:
            return component


def first_output(output: Any) -> Tensor:
    """Return the logits of a model's output: its attribute ``logits``, or the first entry of a tuple, as in skorch."""
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
    """Return the logits in a model's output as columns: shape (n,), one output per sample, becomes (n, 1)."""
    logits = first_output(output)
    return logits.unsqueeze(1) if logits.dim() == 1 else logits


def answer(model: Model, x: Tensor) -> Tensor:
    """Return the model's logits for a copy of x, because its first layer may work in place."""
    return logits_of(model(x.clone()))


def input_gradient(model: Model, x: Tensor, score: Callable[[Tensor], Tensor], create_graph: bool = False) -> Tensor:
    """Differentiate the sum of the samples' scores with respect to their input.

    ``torch.autograd.grad`` follows only the path to the input, so no parameter's gradient is computed or accumulated.

    Parameters
    ----------
    model : nn.Module or callable
    x : Tensor of shape (n, ...)
    score : callable
        Takes the logits and returns one value per sample, shape (n,).
    create_graph : bool, default=False
        Keep the gradient in the graph of the model's parameters, and of x if it requires a gradient.

    Returns
    -------
    Tensor of x's shape

    Raises
    ------
    ValueError
        If the input has no gradient.
    """
    leaf = x if create_graph and x.requires_grad else x.detach().requires_grad_()
    with torch.enable_grad():
        return gradient_of(values_of(score, answer(model, leaf)), leaf, create_graph)


def values_of(score: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """Return a target's score of logits, one value per row.

    Raises
    ------
    ValueError
        If the score returns anything else.
    """
    values = score(logits)
    if isinstance(values, Tensor) and values.shape == logits.shape[:1]:
        return values
    got = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else f"a {type(values).__name__}"
    raise ValueError(
        f"The target's score returned {got} for logits of shape {tuple(logits.shape)}; it must return a tensor with "
        f"one value per row, shape ({len(logits)},)."
    )


def gradient_of(values: Tensor, source: Any, create_graph: bool = False) -> Tensor:
    """Differentiate the sum of values with respect to a tensor from which they were computed.

    With ``create_graph=True``, a penalty on attributions can take its map from the forward pass of the training step,
    without a second pass.

    Parameters
    ----------
    values : Tensor
        For example one logit or one loss per sample.
    source : Tensor or torch.autograd.graph.GradientEdge
        For example the input, or a layer's output, of the pass that computed the values.
    create_graph : bool, default=False
        Keep the graph, so that the gradient can be differentiated and the values can be used for further gradients.
        Without it, torch frees the graph of the values.

    Returns
    -------
    Tensor of the source's shape

    Raises
    ------
    ValueError
        If the values were not computed from the source, or not in a way that can be differentiated.

    Examples
    --------
    A training step that keeps the loss's gradient away from the first feature, with one forward pass.

    >>> import torch
    >>> from skaba.network import gradient_of
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    >>> x, y = torch.randn(5, 3, requires_grad=True), torch.tensor([0, 1, 1, 0, 1])
    >>> losses = torch.nn.functional.cross_entropy(net(x), y, reduction="none")
    >>> map_ = gradient_of(losses, x, create_graph=True)
    >>> (losses.mean() + 10 * map_[:, 0].square().mean()).backward()
    >>> net[0].weight.grad.shape
    torch.Size([8, 3])
    """
    gradients: tuple[Tensor | None, ...] = (None,)
    if values.requires_grad:
        gradients = torch.autograd.grad(
            values, source, torch.ones_like(values), create_graph=create_graph, allow_unused=True
        )
    if gradients[0] is None:
        raise unreached()
    return gradients[0]


def unreached() -> ValueError:
    """Return the error for a network that passes no gradient back to its input."""
    return ValueError(
        "The target's gradient does not reach the input: a part of the network runs under no_grad, detaches "
        "its input or is not differentiable. Use a layer after that part, with layer='...'."
    )
