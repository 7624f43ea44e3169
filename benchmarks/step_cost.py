"""The cost of a training step with augmentation, divided by that of skorch's plain step.

    python benchmarks/step_cost.py [--domains image text ecg] [--batch 32 256] [--repetitions 15] [--json FILE]
    python benchmarks/step_cost.py --device cuda --amp bf16 --compile

Measures three networks whose time goes into convolutions: VGG11 on 1 x 28 x 28, TextCNN on 200 words x 100, FCN on 12
x 1000. On a CPU they run in one thread. Contestants take turns, so that a machine whose speed drifts slows all; each
ratio is of two neighbouring measurements, and the tables give median and range.

"floor" is measured in the same run: one plain step, and one forward pass and input gradient in evaluation mode on as
many samples as the preset attributes (by its own draw). "by count" is the floor if a backward pass costs two forward
passes, of which an input gradient needs one. "selecting" is the time of selection and adjustment alone, as a share of
the step. Peak memory is measured in a separate process, as the growth since before its first step; the part of it
that is in tensors is reported too.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from skorch import NeuralNetClassifier
from skorch.hf import AccelerateMixin
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from skaba import ABAClassifier
from skaba.augmenters import ABA, Batch, preset
from skaba.modules import FCN, VGG11, TextCNN
from skaba.training import FlipRate

# A plain step is 3 forward passes, a map is 2: (3 + 2 * share of attributed samples) / 3.
BY_COUNT = {"challenger": 1.33, "fast_aba": 1.5, "mend_aba": 1.67, "fgsm": 1.67}
OPTIONS = {
    "free_aba": preset("free_aba"),
    "free_aba(renew=1)": preset("free_aba", renew=1),
    "mend_aba(share=0.5)": preset("mend_aba", share=0.5),
    "mend_aba(resolution=0.5)": preset("mend_aba", resolution=0.5),
}
SHORTEST = 0.4
"""Seconds that a measurement takes at least, if 10 steps do."""
SEEDS = 3
STAYING = FlipRate(start=0.1, low=0.1, high=0.1)
"""The rule at a fixed strength, so that both train on the same batches."""
PERIODS = 7
N_CLASSES = 5


class Contestant(NamedTuple):
    """A step, the generator of its draws, which is seeded before each measurement, and the module that it trains."""

    step: Callable[[], Any]
    generator: torch.Generator | None = None
    module: nn.Module | None = None


class Domain(NamedTuple):
    """A network, what it is trained on, and where it is augmented."""

    make: Callable[[], nn.Module]
    batch: tuple[Tensor, Tensor]
    layer: str | None


def domain(name: str, batch_size: int) -> Domain:
    """Return one of the three domains."""
    draw = torch.Generator().manual_seed(0)
    y = torch.randint(N_CLASSES, (batch_size,), generator=draw)
    if name == "image":
        return Domain(lambda: VGG11(N_CLASSES), (torch.rand(batch_size, 1, 28, 28, generator=draw), y), None)
    if name == "text":
        vectors = torch.randn(1000, 100, generator=draw)
        ids = torch.randint(1, 1000, (batch_size, 200), generator=draw)
        return Domain(lambda: TextCNN(n_classes=N_CLASSES, vectors=vectors), (ids, y), "embedding")
    return Domain(lambda: FCN(N_CLASSES), (torch.randn(batch_size, 12, 1000, generator=draw), y), None)


class Setting(NamedTuple):
    """Where and how networks are trained."""

    device: str = "cpu"
    amp: str | None = None
    compiled: bool = False


class AcceleratedNet(AccelerateMixin, NeuralNetClassifier):
    """Plain skorch in mixed precision."""


class AcceleratedABA(AccelerateMixin, ABAClassifier):
    """Augmented in mixed precision."""


def net_of(kind: type, own: Domain, setting: Setting, **parameters: Any) -> Any:
    """Return an initialised net on a module with weights of its own, always the same."""
    torch.manual_seed(0)
    shared = {"module": own.make(), "criterion": nn.CrossEntropyLoss, "compile": setting.compiled}
    shared |= {"optimizer": torch.optim.SGD, "lr": 0}
    if setting.amp:
        from accelerate import Accelerator  # noqa: PLC0415

        kind = AcceleratedABA if issubclass(kind, ABAClassifier) else AcceleratedNet
        shared |= {"accelerator": Accelerator(mixed_precision=setting.amp), "device": None}
    else:
        shared["device"] = setting.device
    net = kind(**{**shared, **parameters}, verbose=0).initialize()
    net.notify("on_train_begin", X=None, y=None)
    if isinstance(net, ABAClassifier):
        net.classes_inferred_ = np.arange(N_CLASSES)
        net.output_checked_ = False
    return net


def plain(own: Domain, setting: Setting) -> Contestant:
    """Return plain skorch's step."""
    net = net_of(NeuralNetClassifier, own, setting)
    return Contestant(lambda: net.train_step(own.batch), module=net.module_)


def augmented(own: Domain, setting: Setting, augmenter: Any, strength: Any = 0.1) -> Contestant:
    """Return our step; for free_aba on batches that carry numbers, as the estimator's iterator makes them."""
    place = {"layer": own.layer, "strength": strength}
    shared = {"random_state": 0, "batch_size": len(own.batch[0])}
    net = net_of(ABAClassifier, own, setting, augmenter=augmenter, **shared, **place)
    batch: Any = own.batch
    if strength and getattr(net.augmenter_, "needs_index", False):
        batch = next(iter(net.get_iterator(torch.utils.data.TensorDataset(*own.batch), training=True)))
    return Contestant(lambda: net.train_step(batch), net.generator_, net.module_)


def loop(own: Domain, setting: Setting) -> Contestant:
    """Return a plain PyTorch loop's step."""
    torch.manual_seed(0)
    module, criterion = own.make().to(setting.device), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(module.parameters(), lr=0)
    x, y = (tensor.to(setting.device) for tensor in own.batch)

    def step() -> None:
        module.train()
        optimizer.zero_grad()
        criterion(module(x), y).backward()
        optimizer.step()

    return Contestant(step)


def floor(own: Domain, setting: Setting, augmenter: ABA) -> Contestant:
    """Return the least that a preset has to do: a plain step, and input gradients of the samples that it moves."""
    net = net_of(NeuralNetClassifier, own, setting)
    module = getattr(net.module_, "_orig_mod", net.module_)
    x = own.batch[0].to(setting.device)
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        moved = int(augmenter.adjustments.draw(len(x), augmenter.selection.n_categories, generator).any(dim=1).sum())
        if augmenter.randomize:  # the draws are those of the preset
            torch.randn(len(x), 1, generator=generator)
        module.eval()
        if moved:
            with leaf_at(module, own.layer, x[:moved]) as (inputs, leaves):
                logits = module(inputs)
                torch.autograd.grad(logits.sum(), leaves[0])
        net.train_step(own.batch)

    return Contestant(step, generator)


@contextmanager
def leaf_at(module: nn.Module, layer: str | None, x: Tensor) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """Make the input, or a layer's output, the leaf that is differentiated by."""
    if layer is None:
        leaf = x.detach().requires_grad_()
        yield leaf, [leaf]
        return
    leaves: list[Tensor] = []

    def cut(layer: nn.Module, args: Any, output: Tensor) -> Tensor:
        leaves[:] = [output.detach().requires_grad_()]
        return leaves[0]

    handle = module.get_submodule(layer).register_forward_hook(cut)
    try:
        yield x, leaves
    finally:
        handle.remove()


def selecting(own: Domain, setting: Setting, augmenter: ABA) -> Contestant:
    """Return what a preset does besides computing maps and training: draw, select, adjust."""
    x = own.batch[0].to(setting.device)
    shape = (*x.shape, 100) if own.layer else x.shape
    features, maps = (torch.randn(shape, device=setting.device) for _ in range(2))
    if own.layer:  # gradients arrive there with the axes of words and dimensions exchanged in memory
        maps = maps.transpose(1, 2).contiguous().transpose(1, 2)
    generator = torch.Generator().manual_seed(0)
    augmenter = clone(augmenter).set_params(attribution=lambda model, x, y, **arguments: maps[: len(x)])
    batch = Batch(None, features, None, None, generator)

    def select() -> None:
        move = augmenter.plan(batch, 0.1).move
        if move is not None:
            move(features)

    return Contestant(select, generator)


def seconds(contestant: Contestant, seed: int, steps: int, device: str) -> float:
    """Time a few steps. Before short steps comes an untimed one, so that the net is in the caches as in training."""
    if steps > 1:
        contestant.step()
    if contestant.generator is not None:
        contestant.generator.manual_seed(seed)
    synchronize(device)
    start = time.perf_counter()
    for _ in range(steps):
        contestant.step()
    synchronize(device)
    return time.perf_counter() - start


def synchronize(device: str) -> None:
    """Wait for a GPU."""
    if device != "cpu":
        torch.cuda.synchronize()


def take_turns(contestants: dict[str, Contestant], repetitions: int, device: str) -> dict[str, np.ndarray]:
    """Time contestants one after the other, again and again, all with the same draws.

    The convolution library prepares each shape at its first use, and each number of attributed samples is another
    shape. Therefore everything that is timed has run before with the same draws.
    """
    longest = max(seconds(contestant, seed, 1, device) for contestant in contestants.values() for seed in range(2))
    steps = max(1, min(10, round(SHORTEST / longest)))
    for seed in range(SEEDS):
        for contestant in contestants.values():
            seconds(contestant, seed, steps, device)
    times = [
        [seconds(contestant, repetition % SEEDS, steps, device) for contestant in contestants.values()]
        for repetition in range(repetitions)
    ]
    return dict(zip(contestants, np.array(times).T, strict=True))


def turns_of_periods(contestants: dict[str, Contestant], device: str) -> np.ndarray:
    """Return ratios of times of as many steps as a rule takes from one look to the next, in turns."""
    times = [
        [seconds(contestant, seed, STAYING.every, device) for contestant in contestants.values()]
        for seed in range(1 + PERIODS)
    ]
    return np.divide(*np.array(times[1:]).T)


def measure(own: Domain, setting: Setting, repetitions: int) -> dict[str, list[float]]:
    """Return all ratios of a domain, by what they compare."""
    base = plain(own, setting)
    found: dict[str, list[float]] = {}

    def add(name: str, ratios: np.ndarray) -> None:
        found[name] = ratios.tolist()
        low, median, high = np.percentile(ratios, [0, 50, 100])
        print(f"  {name:48} {median:6.3f}  ({low:.3f}-{high:.3f})", flush=True)

    def against_plain(name: str, contestant: Contestant) -> None:
        times = take_turns({"it": contestant, "plain": base}, repetitions, setting.device)
        add(f"{name} over plain", times["it"] / times["plain"])

    against_plain("a plain loop", loop(own, setting))
    against_plain("strength=0", augmented(own, setting, "mend_aba", strength=0))
    for name, count in BY_COUNT.items():
        aba = preset(name)
        contestants = {"step": augmented(own, setting, aba), "floor": floor(own, setting, aba), "plain": base}
        contestants["selecting"] = selecting(own, setting, aba)
        times = take_turns(contestants, repetitions, setting.device)
        add(f"{name} over plain (by count {count})", times["step"] / times["plain"])
        add(f"{name}'s floor over plain", times["floor"] / times["plain"])
        add(f"{name} over its floor", times["step"] / times["floor"])
        add(f"{name}: selecting over its step", times["selecting"] / times["step"])
    for name in ("fast_aba", "free_aba"):
        contestants = {"rule": augmented(own, setting, name, STAYING), "number": augmented(own, setting, name)}
        add(f"{name}: a rule over a fixed strength", turns_of_periods(contestants, setting.device))
    for name, augmenter in OPTIONS.items():
        try:
            against_plain(name, augmented(own, setting, augmenter))
        except (RuntimeError, ValueError) as error:
            print(f"  {name:48} does not fit: {str(error).splitlines()[0]}")
    return found


def peak(name: str, batch_size: int, augmenter: Any) -> tuple[float, float]:
    """Return the megabytes that ten steps add to what a process holds at its peak, and those in tensors alone.

    Runs in a process of its own, on Linux. Tensors are activations, gradients and maps; the process adds what the
    convolution library and the allocator keep.
    """
    torch.set_num_threads(1)
    own = domain(name, batch_size)
    contestant = plain(own, Setting()) if augmenter is None else augmented(own, Setting(), augmenter)
    Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
    before = held("VmRSS")
    for _ in range(10):
        contestant.step()
    return held("VmHWM") - before, max(in_tensors(contestant) for _ in range(10))


def in_tensors(contestant: Contestant) -> float:
    """Return the most megabytes that a step holds in tensors, beginning without gradients."""
    contestant.module.zero_grad()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        contestant.step()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    sizes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return float(np.cumsum(sizes).max()) / 1e6


def held(what: str) -> float:
    """Return one of the process's figures of memory, in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def peaks(name: str, batch_size: int) -> dict[str, dict[str, float]]:
    """Return peak memory over plain training's, medians of three processes each."""
    context = multiprocessing.get_context("spawn")
    found = {}
    for label in (None, *BY_COUNT, "free_aba"):
        with context.Pool(1, maxtasksperchild=1) as pool:
            found[label or "plain"] = np.median(
                pool.starmap(peak, [(name, batch_size, label)] * 3, chunksize=1), axis=0
            )
    ratios = {}
    for column, where in enumerate(("process", "tensors")):
        base = found["plain"][column]
        ratios[where] = {label: values[column] / base for label, values in found.items()}
        print(f"  peak memory of {where} over plain ({base:.1f} MB): {shown(ratios[where])}", flush=True)
    return ratios


def shown(ratios: dict[str, float]) -> str:
    """Return ratios in one line."""
    return ", ".join(f"{name} {ratio:.3f}" for name, ratio in ratios.items())


def main() -> None:
    """Measure, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--domains", nargs="+", default=["image", "text", "ecg"], choices=["image", "text", "ecg"])
    parser.add_argument("--batch", nargs="+", type=int, default=[32, 256])
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--amp", choices=["bf16", "fp16"], help="mixed precision, through accelerate")
    parser.add_argument("--compile", action="store_true", help="torch.compile; not with a layer, so not for text")
    parser.add_argument("--no-memory", action="store_true", help="leave peak memory out")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    setting = Setting(arguments.device, arguments.amp, arguments.compile)
    results = {}
    for name in arguments.domains:
        for batch_size in arguments.batch:
            print(f"{name}, batch {batch_size}, {setting.device}: median (range)")
            results[f"{name}, batch {batch_size}"] = measure(domain(name, batch_size), setting, arguments.repetitions)
            if setting.device == "cpu" and not arguments.no_memory:
                results[f"{name}, batch {batch_size}, peak memory"] = peaks(name, batch_size)
    if arguments.json:
        arguments.json.write_text(json.dumps({"setting": setting._asdict(), "ratios": results}))


if __name__ == "__main__":
    main()
