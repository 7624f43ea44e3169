"""The operations of a forward pass, and a copy of the network whose layers may be changed."""

from __future__ import annotations

import copy
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from skaba.network._asking import Model, View, answer, unreached, unwrapped

Kinds = tuple[type[nn.Module], ...]


def operations(names: str) -> frozenset[str]:
    """Return a set of autograd's operations, in lower case."""
    return frozenset(names.split())


# Names of autograd nodes in lower case, without "Backward0", such as "ReshapeAliasBackward0". torch adds nodes between
# releases; an unknown one is refused by the methods that check, so a missing name costs an error, not a wrong map.
RESHAPING = operations(
    "accumulategrad alias asstrided cat clone constantpadnd copybackwards expand flip gather index indexselect permute "
    "repeat reshapealias roll select slice split splitwithsizes squeeze stack t tocopy transpose unbind unfold "
    "unsafesplit unsafeview unsqueeze view"
)
"""Operations that move values and change none."""


class Call(NamedTuple):
    """A module that the forward pass called; ``reached`` if its output depends on x."""

    name: str
    module: nn.Module
    reached: bool


class Step(NamedTuple):
    """An operation on the way from x to the logits, and the innermost module that runs it.

    ``operation`` is autograd's name in lower case; ``operands`` is the number of operands that depend on x.
    """

    operation: str
    operands: int
    name: str
    module: nn.Module


class Structure(NamedTuple):
    """The calls of modules, in order, and the operations of a forward pass."""

    calls: list[Call]
    steps: list[Step]

    def calls_of(self, kinds: Kinds) -> list[Call]:
        """Return the calls of modules of exactly these types."""
        return [call for call in self.calls if type(call.module) in kinds]

    def outside(self, kinds: Kinds) -> list[Step]:
        """Return the steps that are not run by a module of exactly these types."""
        return [step for step in self.steps if type(step.module) not in kinds]


def copied_network(model: Model) -> nn.Module:
    """Return a copy of a network whose hooks, attributes, flags and rules may be changed.

    The parameters of the copy share the memory of the weights but require no gradient, so in its forward pass only
    values that depend on x have a gradient. Activations no longer work in place. The inputs of a view are shared.

    Raises
    ------
    TypeError
        If the model is not an ``nn.Module``, is scripted, or cannot be copied.
    """
    model = unwrapped(model)
    if not isinstance(model, nn.Module):
        raise TypeError(f"The method changes the layers of an nn.Module, got a {type(model).__name__}.")
    # deepcopy takes what is in the memo as already copied, so weights take no memory twice. It also refuses tensors
    # that are not leaves, which modules may hold as attributes or buffers.
    memo: dict[int, Any] = {}
    for module in model.modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise TypeError("The method changes layers, which is impossible in a scripted module; pass the original.")
        memo.update(_shared(module))
    try:
        network: nn.Module = copy.deepcopy(model, memo)
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"The method works on a copy of the network, and copy.deepcopy fails: {error}") from error
    if hasattr(network, "_original_forward"):  # accelerate wraps it in mixed precision, which rounds too coarsely here
        network.forward = network._original_forward  # type: ignore[assignment]
    # captum sets hooks on a layer's input and on its output, so these must be two tensors.
    for module in network.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]
    return network


def _shared(module: nn.Module) -> dict[int, Any]:
    """Return deepcopy's memo for a module: what the copy holds in place of each tensor and array."""
    parameters = {id(weight): nn.Parameter(weight.data, False) for weight in module.parameters(recurse=False)}
    tensors = [*module.buffers(recurse=False), *_tensors(_held(module))]
    held = [vars(module).get(name) for name in ("inputs", "arguments")] if isinstance(module, View) else []
    held += [value for value in _held(module) if isinstance(value, np.ndarray)]
    return {**{id(tensor): tensor.detach() for tensor in tensors}, **parameters, **{id(each): each for each in held}}


def _held(module: nn.Module) -> list[Any]:
    """Return a module's attributes other than its parameters, buffers and submodules."""
    return [value for name, value in vars(module).items() if name not in ("_parameters", "_buffers", "_modules")]


def observe(network: nn.Module, x: Tensor) -> tuple[Tensor, Structure]:
    """Run a network and record the operations of its forward pass on the way from x to the logits.

    Parameters
    ----------
    network : nn.Module
        A copy by :func:`copied_network`, whose parameters require no gradient.
    x : Tensor of shape (n, ...)

    Returns
    -------
    logits : Tensor of shape (n, n_outputs), detached
    structure : Structure

    Raises
    ------
    ValueError
        If the logits do not depend on x in a way that can be differentiated.
    """
    calls: list[Call] = []
    owners: dict[Node, tuple[str, nn.Module]] = {}
    inner = network
    while isinstance(inner, View):
        inner = inner.module

    def note(name: str, module: nn.Module, args: Any, named: Any, output: Any) -> None:
        calls.append(Call(name, module, any(tensor.requires_grad for tensor in _tensors(output))))
        for node in _nodes(_tensors(output), _tensors((args, named))):
            owners.setdefault(node, (name, module))  # hooks of inner modules run first, so the innermost owns the node

    with ExitStack() as hooks, torch.enable_grad():
        for name, module in inner.named_modules():
            hooks.callback(module.register_forward_hook(partial(note, name), with_kwargs=True).remove)
        logits = answer(network, x.detach().requires_grad_())
    if logits.grad_fn is None:
        raise unreached()
    steps = [_step(node, *owners.get(node, ("", inner))) for node in _nodes([logits], [])]
    return logits.detach(), Structure(calls, steps)


def _step(node: Node, name: str, module: nn.Module) -> Step:
    # Names are such as "torch::autograd::AccumulateGrad" or "ReluBackward0".
    operation = re.sub(r"Backward\d*$", "", node.name().rpartition("::")[2]).lower()
    return Step(operation, sum(before is not None for before, _ in node.next_functions), name, module)


def _nodes(results: Iterable[Tensor], stops: Iterable[Tensor]) -> Iterator[Node]:
    """Yield the nodes of autograd's graph from the results back to the stops, without those of the stops."""
    # Not recursive: a graph may be deeper than Python's stack.
    seen = {tensor.grad_fn for tensor in stops}
    pending = [tensor.grad_fn for tensor in results]
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        pending += [before for before, _ in node.next_functions]


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, Mapping):
        yield from _tensors(list(values.values()))
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _tensors(value)


def separated(calls: Iterable[Call]) -> list[nn.Module]:
    """Return one module per call whose output depends on x, so that its hooks see only this call.

    A module that is called several times is replaced by as many copies, which take turns. Each gets a copy of
    its input: otherwise the hooks of two layers on one tensor would see each other's changes, and a branch that starts
    at this tensor would be changed too. The user's backward hooks are removed, because they would see the method's
    gradients.
    """
    # captum keeps one input and one output per module: https://github.com/meta-pytorch/captum/issues/578
    reached = defaultdict(list)
    for call in calls:
        reached[call.module].append(call.reached)
    layers = []
    for module, each in reached.items():
        module._backward_hooks.clear()
        module._backward_pre_hooks.clear()
        copies = [module] if len(each) == 1 else _in_turn(module, len(each))
        layers += [layer for layer, is_reached in zip(copies, each, strict=True) if is_reached]
    for layer in layers:
        layer.register_forward_pre_hook(_copy_inputs)
    return layers


def _copy_inputs(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(arg.clone() if isinstance(arg, Tensor) else arg for arg in args)


def _in_turn(module: nn.Module, times: int) -> list[nn.Module]:
    copies = [copied_network(module) for _ in range(times)]
    turn = itertools.cycle(copies)

    def forward(*args: Any, **named: Any) -> Any:
        return next(turn)(*args, **named)

    module.forward = forward
    module._forward_hooks.clear()  # the copies run them
    module._forward_pre_hooks.clear()
    return copies


def described_steps(steps: Iterable[Step]) -> str:
    """Return a readable list of operations and the modules that run them, for error messages."""
    places = sorted({f"{step.operation} in {type(step.module).__name__} {step.name!r}" for step in steps})
    return ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")
