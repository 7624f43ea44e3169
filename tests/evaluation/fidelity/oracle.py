"""Perturbation curves by plain loops, for comparison."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

Score = Callable[[np.ndarray], np.ndarray]


def polynomial(X: np.ndarray) -> np.ndarray:
    """Three scores a sample; a row's do not depend, not by a bit, on which rows are asked about beside it."""
    flat = np.ascontiguousarray(X).reshape(len(X), -1)
    weights = np.random.default_rng(7).normal(size=(3, flat.shape[1]))
    return np.stack([np.sum(flat * w + 0.1 * np.abs(flat * w) * flat, axis=1) for w in weights], axis=1)


def samples(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def unit_of(place: tuple[int, ...], shape: tuple[int, ...], unit: str, window: int) -> tuple[int, ...]:
    """Name the unit of one value of a sample, whose first axis holds channels if there are several axes."""
    if len(shape) == 1:
        return place
    spatial = tuple(index // window for index in place[1:])
    return spatial if unit == "position" else (place[0], *spatial)


def units(shape: tuple[int, ...], unit: str, window: int) -> dict[tuple[int, ...], list[tuple[int, ...]]]:
    """Return the places of each unit."""
    found: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for place in itertools.product(*map(range, shape)):
        found.setdefault(unit_of(place, shape, unit, window), []).append(place)
    return found


def loop(
    score: Score,
    X: np.ndarray,
    maps: np.ndarray,
    shares: Any,
    *,
    most: bool,
    unit: str = "position",
    window: int = 1,
    reduction: str = "sum",
    fill: Any = 0.0,
) -> np.ndarray:
    """Return the curves of all samples, one row asked about at a time; fill is a number or an array of X's shape."""
    fills = np.broadcast_to(fill, X.shape)
    curves = []
    for x, map_, filled in zip(X, maps, fills, strict=True):
        places = units(x.shape, unit, window)
        value = {
            name: sum(abs(map_[p]) if reduction == "abs" else map_[p] for p in inside)
            for name, inside in places.items()
        }
        order = sorted(places, key=lambda name: -value[name] if most else value[name])
        target = score(x[None])[0].argmax()
        curve = []
        for share in shares:
            changed = x.copy()
            for name in order[: int(share / 100 * len(order) + 0.5)]:
                for place in places[name]:
                    changed[place] = filled[place]
            curve.append(score(changed[None])[0, target])
        curves.append(curve)
    return np.array(curves)
