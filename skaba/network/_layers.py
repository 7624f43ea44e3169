"""A network seen from one of its layers: the forward hooks behind ``layer=``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from skaba._validation import unknown_name
from skaba.network._asking import Model, View, asking, gradient_of, logits_of, values_of
from skaba.network._roots import rooted
from skaba.network._tensors import repeat


class _Reached(BaseException):
    """Carries a layer's output out of a forward pass that need not continue.

    It is a signal, not an error, so it must pass every ``except Exception`` in the network.
    """


class FromLayer(View):
    """The part of a network that follows one layer: hidden features in, logits out.

    Augmenters and attribution methods call it like any other model, so they work at an
    embedding's or a convolution's output without special code.

    Parameters
    ----------
    module : nn.Module
        The whole network.
    layer : str
        The submodule's name, as in ``module.named_modules()``. It must return one tensor
        and be called once in a forward pass.
    inputs : Tensor, mapping or sequence of Tensors
        The batch for the whole network; the first axis is that of the samples.
    arguments : mapping, default=None
        Further keyword arguments of the forward pass.

    Attributes
    ----------
    padding : bool Tensor or None
        True where a word is padding. Known if the layer is an ``nn.Embedding`` with a ``padding_idx``, after
        ``features()``, ``gradient()`` or a pass inside ``changed()``.

    Examples
    --------
    >>> import torch
    >>> from skaba.network import FromLayer
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    >>> x = torch.randn(5, 3)
    >>> view = FromLayer(net, "1", x)
    >>> torch.equal(view(view.features()), net(x))
    True
    """

    def __init__(self, module: nn.Module, layer: str, inputs: Any, arguments: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.module = module
        self.layer = layer
        self.inputs = inputs
        self.arguments = dict(arguments or {})
        self.padding: Tensor | None = None

    @property
    def n_samples(self) -> int:
        """Number of samples in the batch."""
        return count(self.inputs)

    @property
    def device(self) -> torch.device:
        """Device of the batch."""
        inputs = self.inputs.values() if isinstance(self.inputs, Mapping) else self.inputs
        return cast(Tensor, inputs if isinstance(inputs, Tensor) else next(iter(inputs))).device

    def features(self, mode: str = "eval", generator: torch.Generator | None = None) -> Tensor:
        """Return the layer's output for the inputs; the forward pass ends there.

        Parameters
        ----------
        mode : {"eval", "train"}, default="eval"
            The mode in which the layers up to there run, without leaving a trace; see :func:`asking`.
        generator : torch.Generator on the CPU, default=None
            Decides what these layers draw at random; needed in "train".

        Returns
        -------
        Tensor of shape (n, ...)
            Detached.

        Raises
        ------
        ValueError
            If the layer does not exist, is never reached, or returns no tensor.
        """

        def leave(layer: nn.Module, args: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
            self._note_padding(layer, args, named)
            raise _Reached(output)

        layer = find_layer(self.module, self.layer)
        try:
            with asking(self.module, mode, generator), torch.no_grad(), _hooked(layer, leave):
                call(self.module, self._copied_inputs(), self.arguments)
        except _Reached as reached:
            return self._checked(reached.args[0])
        raise self._miscalled(0)

    def forward(self, hidden: Tensor) -> Any:
        """Run the network with the layer's output replaced.

        Parameters
        ----------
        hidden : Tensor of shape (m * n, ...)
            Features of the n inputs, or of m variants of them, one batch after the other.

        Returns
        -------
        object
            The network's output, with m * n rows.
        """
        calls: list[None] = []

        def replace(layer: nn.Module, args: tuple[Any, ...], named: dict[str, Any], output: Any) -> Tensor:
            calls.append(None)
            return hidden

        variants = len(hidden) // self.n_samples
        inputs = _each(self.inputs, lambda x: repeat(x, variants)) if variants > 1 else self._copied_inputs()
        with _hooked(find_layer(self.module, self.layer), replace):
            output = call(self.module, inputs, self.arguments)
        self._check_calls(len(calls))
        return output

    def gradient(self, score: Callable[[Tensor], Tensor], create_graph: bool = False) -> Tensor:
        """Differentiate the sum of the samples' scores with respect to the layer's output, in one pass.

        The pass that computes the output goes on to the logits, so that nothing is computed or stored twice.

        Parameters
        ----------
        score : callable
            Takes the logits and returns one value per sample, shape (n,).
        create_graph : bool, default=False
            Keep the gradient in the graph of all the network's parameters, also of those before the layer.

        Returns
        -------
        Tensor of the output's shape

        Raises
        ------
        ValueError
            If the layer does not exist, is not called exactly once or returns no tensor, or if it has no gradient.
        """
        edges: list[Any] = []

        def note(layer: nn.Module, args: tuple[Any, ...], named: dict[str, Any], output: Any) -> Tensor:
            self._note_padding(layer, args, named)
            source = self._checked(output)
            # Unless the graph is kept, it starts here: no gradients of the layers before are stored or computed.
            if not (create_graph and source.requires_grad):
                source = rooted(source.detach())
            edges.append(get_gradient_edge(source))  # the output as it is now: the next layers may work in place
            return source

        with torch.enable_grad(), _hooked(find_layer(self.module, self.layer), note):
            values = values_of(score, logits_of(call(self.module, self._copied_inputs(), self.arguments)))
        self._check_calls(len(edges))
        return gradient_of(values, edges[0], create_graph)

    def _copied_inputs(self) -> Any:
        # The network may work in place on its inputs, or on a view of them that the layer returns.
        return _each(self.inputs, torch.clone)

    def _check_calls(self, calls: int) -> None:
        if calls != 1:
            raise self._miscalled(calls)

    def _miscalled(self, calls: int) -> ValueError:
        if calls == 0:
            return ValueError(f"The forward pass never reaches layer={self.layer!r}; choose another layer.")
        return ValueError(f"layer={self.layer!r} is called {calls} times in a forward pass, not once.")

    def _checked(self, output: Any) -> Tensor:
        if isinstance(output, Tensor) and output.is_floating_point():
            return output
        raise ValueError(
            f"layer={self.layer!r} returns {_describe(output)}; augmentation needs one floating-point "
            "tensor. Choose a layer that returns one."
        )

    def rows(self, index: Tensor) -> FromLayer:
        """Return the same network for some of the samples.

        Parameters
        ----------
        index : int64 Tensor of shape (m,)

        Returns
        -------
        FromLayer
        """

        def pick(x: Tensor) -> Tensor:
            return x.index_select(0, index.to(x.device))

        module = cast(nn.Module, rows_of(self.module, index))  # itself a view, if views are nested
        view = FromLayer(module, self.layer, _each(self.inputs, pick), self.arguments)
        view.padding = None if self.padding is None else pick(self.padding)
        return view

    @contextmanager
    def changed(self, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
        """Replace the layer's output by a function of it, in every forward pass inside the block.

        Parameters
        ----------
        change : callable
            Takes the output and returns a tensor of its shape. Gradients flow through it to the layers before.

        Raises
        ------
        ValueError
            If the layer returns no tensor, or is not called exactly once in a pass.
        """
        # One number per pass that is running. torch.utils.checkpoint runs a block again during the backward pass, and
        # so calls the layer when no pass is running.
        calls: list[int] = []

        def put(layer: nn.Module, args: tuple[Any, ...], named: dict[str, Any], output: Any) -> Tensor:
            if calls:
                calls[-1] += 1
            self._note_padding(layer, args, named)
            return change(self._checked(output))

        def leave(module: nn.Module, args: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
            self._check_calls(calls.pop())

        def enter(module: nn.Module, args: tuple[Any, ...]) -> None:
            calls.append(0)

        entered = self.module.register_forward_pre_hook(enter)
        try:
            with _hooked(find_layer(self.module, self.layer), put), _hooked(self.module, leave):
                yield
        finally:
            entered.remove()

    def writable(self, output: Tensor) -> Tensor:
        """Return the layer's output, or a copy of it, as a tensor that may be written into.

        Parameters
        ----------
        output : Tensor

        Returns
        -------
        Tensor of the output's shape
            The output itself if the layer is an ``nn.Embedding``, whose output is a new tensor that its backward pass
            does not need, and if no hook of the user's can have replaced it. Otherwise a copy.
        """
        layer = find_layer(self.module, self.layer)
        # A hook of the user's may return a tensor that is kept elsewhere, or that autograd needs.
        foreign = any(getattr(hook, "__module__", "") != __name__ for hook in layer._forward_hooks.values())
        return output if type(layer) is nn.Embedding and not foreign else output.clone()

    def without_padding(self, change: Tensor) -> Tensor:
        """Return a change of the layer's output that is zero where there is padding.

        Parameters
        ----------
        change : Tensor of the output's shape
            May be written into.

        Returns
        -------
        Tensor of the output's shape
        """
        if self.padding is None:
            return change
        # nonzero waits for the device: https://pytorch.org/docs/stable/generated/torch.nonzero.html
        if change.device.type != "cpu":
            return change.masked_fill(self.padding.unsqueeze(-1), 0)
        rows = self.padding.flatten().nonzero().squeeze(1)
        return change.contiguous().flatten(0, -2).index_fill_(0, rows, 0).view_as(change) if len(rows) else change

    def _note_padding(self, layer: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        # The word ids may be given by position or by name.
        if isinstance(layer, nn.Embedding) and layer.padding_idx is not None:
            self.padding = next(iter((*args, *named.values()))) == layer.padding_idx


class WithArguments(View):
    """A network with fixed keyword arguments, so that it can be called with x alone."""

    def __init__(self, module: nn.Module, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.module = module
        self.arguments = arguments

    def forward(self, x: Tensor) -> Any:
        """Run the network.

        Parameters
        ----------
        x : Tensor of shape (n, ...)

        Returns
        -------
        object
            The network's output.
        """
        return self.module(x, **self.arguments)


def find_layer(module: nn.Module, name: str) -> nn.Module:
    """Return a submodule by name, or raise a ValueError that names the most similar one."""
    if name:
        try:
            return module.get_submodule(name)
        except AttributeError:  # torch's message does not tell which names exist
            pass
    raise ValueError(unknown_name("layer", name, (known for known, _ in module.named_modules() if known)))


def within(model: Model, layer: str, x: Tensor) -> FromLayer:
    """Return the part of a model that follows a layer, for the batch x.

    Parameters
    ----------
    model : nn.Module
        A network or a view of one.
    layer : str
        The submodule's name in the network, also if the model is a view.
    x : Tensor of shape (n, ...)
        The input of ``model``.

    Returns
    -------
    FromLayer
    """
    # named_modules() of a view starts at the view, where the network is called "module".
    prefix = ""
    inner = model
    while isinstance(inner, View):
        prefix += "module."
        inner = inner.module
    if not isinstance(inner, nn.Module):
        raise TypeError(f"layer={layer!r} needs an nn.Module, got a {type(model).__name__}.")
    find_layer(inner, layer)
    return FromLayer(cast(nn.Module, model), prefix + layer, x)


def rows_of(model: Model, index: Tensor) -> Model:
    """Return the model for some samples of a batch: a view with their inputs, or any other model unchanged."""
    return model.rows(index) if isinstance(model, FromLayer) else model


def channel_axis_of(model: Model) -> int:
    """Return the axis of x that holds channels: the last one at an embedding's output, else axis 1."""
    if isinstance(model, FromLayer) and isinstance(find_layer(model.module, model.layer), nn.Embedding):
        return -1
    return 1


def call(module: nn.Module, inputs: Any, arguments: Mapping[str, Any]) -> Any:
    """Call a module as skorch does: a mapping as keyword arguments, anything else as one argument."""
    if isinstance(inputs, Mapping):
        return module(**inputs, **arguments)
    return module(inputs, **arguments)


def count(inputs: Any) -> int:
    """Return the number of samples in a batch of inputs."""
    if isinstance(inputs, Mapping):
        return len(next(iter(inputs.values())))
    return len(inputs[0]) if isinstance(inputs, (list, tuple)) else len(inputs)


def _each(inputs: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(inputs, Mapping):
        return {name: change(value) for name, value in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        return [change(value) for value in inputs]
    return change(inputs)


@contextmanager
def _hooked(layer: nn.Module, hook: Callable[..., Any]) -> Iterator[None]:
    handle = layer.register_forward_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _describe(output: Any) -> str:
    return f"a tensor of {output.dtype}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
