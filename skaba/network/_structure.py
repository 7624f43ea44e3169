"""What a forward pass is made of, and a copy of the network whose layers may be changed."""

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

from skaba.network._asking import Model, View, answer, unwrapped

Kinds = tuple[type[nn.Module], ...]


def operations(names: str) -> frozenset[str]:
    """Return a set of autograd's operations, in lower case."""
    return frozenset(names.split())


RESHAPING = operations(
    "accumulategrad alias asstrided cat clone constantpadnd copybackwards expand flip gather index indexselect permute "
    "repeat reshapealias roll select slice split splitwithsizes squeeze stack t tocopy transpose unbind unfold "
    "unsafesplit unsafeview unsqueeze view"
)
"""Operations that move values about and change none."""


class Call(NamedTuple):
    """A module that the forward pass called, in order; ``reached`` if what it returned depends on x."""

    name: str
    module: nn.Module
    reached: bool


class Step(NamedTuple):
    """An operation on the way from x to the logits, and the innermost module that does it.

    ``operation`` is autograd's name in lower case; ``operands`` counts those that depend on x.
    """

    operation: str
    operands: int
    name: str
    module: nn.Module


class Structure(NamedTuple):
    """What ``observe`` saw of a forward pass."""

    calls: list[Call]
    steps: list[Step]

    def calls_of(self, kinds: Kinds) -> list[Call]:
        """Return the calls of modules of exactly these types."""
        return [call for call in self.calls if type(call.module) in kinds]

    def outside(self, kinds: Kinds) -> list[Step]:
        """Return the steps that are not done by a module of exactly these types."""
        return [step for step in self.steps if type(step.module) not in kinds]


def copied_network(model: Model) -> nn.Module:
    """Return a copy of a network that may be changed: hooks, attributes, flags and rules are its own.

    The weights' memory is shared, but under parameters of the copy's own that need no gradient: what
    depends on x is then all that has one. Activations no longer work in place. Inputs that a view
    holds are shared.

    Raises
    ------
    TypeError
        If the model is no ``nn.Module``, is scripted, or cannot be copied.
    """
    model = unwrapped(model)
    if not isinstance(model, nn.Module):
        raise TypeError(f"The method changes the layers of an nn.Module, got a {type(model).__name__}.")
    memo: dict[int, Any] = {}
    for module in model.modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise TypeError("The method changes a network's layers, and a scripted one cannot be; pass the original.")
        memo.update(_shared(module))
    try:
        network: nn.Module = copy.deepcopy(model, memo)
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"The method works on a copy of the network, and copy.deepcopy fails: {error}") from error
    if hasattr(network, "_original_forward"):  # accelerate wraps it in mixed precision, which rounds too much here
        network.forward = network._original_forward  # type: ignore[assignment]
    for module in network.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]
    return network


def _shared(module: nn.Module) -> dict[int, Any]:
    """Return what a copy of a module is to hold in place of its tensors, as deepcopy's memo."""
    own = {id(parameter): nn.Parameter(parameter.data, False) for parameter in module.parameters(recurse=False)}
    tensors = [*module.buffers(recurse=False), *_tensors(_held(module))]
    held = [vars(module).get(name) for name in ("inputs", "arguments")] if isinstance(module, View) else []
    held += [value for value in _held(module) if isinstance(value, np.ndarray)]
    return {**{id(tensor): tensor.detach() for tensor in tensors}, **own, **{id(value): value for value in held}}


def _held(module: nn.Module) -> list[Any]:
    """Return what a module keeps besides its parameters, buffers and submodules."""
    return [value for name, value in vars(module).items() if name not in ("_parameters", "_buffers", "_modules")]


def observe(network: nn.Module, x: Tensor) -> tuple[Tensor, Structure]:
    """Ask a network and note what its forward pass did on the way from x to the logits.

    Parameters
    ----------
    network : nn.Module
        A twin, for its parameters need no gradient.
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
            owners.setdefault(node, (name, module))

    with ExitStack() as hooks, torch.enable_grad():
        for name, module in inner.named_modules():
            hooks.callback(module.register_forward_hook(partial(note, name), with_kwargs=True).remove)
        logits = answer(network, x.detach().requires_grad_())
    if logits.grad_fn is None:
        raise ValueError(
            "The target's gradient does not reach the input: a part of the network runs under no_grad, detaches "
            "its input or is not differentiable. Attribute after that part, with layer='...'."
        )
    steps = [_step(node, *owners.get(node, ("", inner))) for node in _nodes([logits], [])]
    return logits.detach(), Structure(calls, steps)


def _step(node: Node, name: str, module: nn.Module) -> Step:
    operation = re.sub(r"Backward\d*$", "", node.name().rpartition("::")[2]).lower()
    return Step(operation, sum(before is not None for before, _ in node.next_functions), name, module)


def _nodes(results: Iterable[Tensor], stops: Iterable[Tensor]) -> Iterator[Node]:
    """Walk autograd's graph from results back to, and without, what made the stops."""
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
    """Return one module for each call that x reaches, on which hooks see that call alone.

    A module that is called several times becomes as many copies that take turns. Each gets a copy of
    its input, since two layers' hooks on one tensor see each other's changes, and a branch that leaves
    there would be changed with it. Backward hooks of the user's are taken off: they would meet the method's.
    """
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
    module._forward_hooks.clear()  # the copies have them
    module._forward_pre_hooks.clear()
    return copies


def described_steps(steps: Iterable[Step]) -> str:
    """Say for people which operations are meant, and where they are."""
    places = sorted({f"{step.operation} in {type(step.module).__name__} {step.name!r}" for step in steps})
    return ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")
