"""E5: one method with changes to it or to its network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skaba import attribution
from skaba._validation import unknown_name
from skaba.experiment._arms import AUTO, PLAIN, RANDOM_MAP, Arm, Augmented
from skaba.experiment._fits import check_keywords
from skaba.experiment.kinds._benchmark import Benchmark

VARIANT = "{}, {}"
CHANGES = ("k", "layer", "attribution", "module")
"""What a variant may change: classes of the target, the layer, the attribution method, parameters of the network."""


@dataclass(frozen=True, kw_only=True)
class Variants(Benchmark):
    """A benchmark with variants of one method, each tuned as the method is.

    A variant that changes the network is compared with plain training of the same network.

    Parameters
    ----------
    varied : str
        The method.
    variants : dict of str to dict
        What changes, by the name of the variant: ``k``; ``layer``; ``attribution``, a table with the ``name`` of a
        class in ``skaba.attribution`` and its parameters; ``module``, a table with parameters of the network.
    """

    varied: str
    variants: dict[str, Any] = field(default_factory=dict)

    kind = "variants"

    def rules(self) -> dict[str, bool]:
        """Return the rules of a benchmark, and those of variants."""
        taken = {VARIANT.format(self.varied, name) for name in self.variants}
        return super().rules() | {
            "methods must hold the varied one": self.varied in self.methods and self.varied != PLAIN,
            "each of [variants] must be a table": all(isinstance(own, dict) for own in self.variants.values()),
            "a variant may be called neither auto nor random map": not taken
            & {AUTO.format(self.varied), RANDOM_MAP.format(self.varied)},
        }

    def differing(self, recorded: Mapping[str, Any]) -> list[str]:
        """Return the settings that differ; variants may be added or left out, but not be changed."""
        there = recorded.get("variants", {})
        changed = [name for name, own in self.variants.items() if there.get(name, own) != own]
        others = {name: value for name, value in recorded.items() if name != "variants"}
        return super().differing(others | {"variants": self.variants}) + (["variants"] if changed else [])

    def arms(self) -> list[Arm]:
        """Return the arms of the benchmark, then the variants, each after plain training of its own network."""
        arms = {arm.name: arm for arm in super().arms()}
        for name, changes in self.variants.items():
            for key in changes:
                if key not in CHANGES:
                    raise ValueError(unknown_name(f"change of the variant {name}", key, CHANGES))
            network = {f"module__{key}": value for key, value in changes.get("module", {}).items()}
            plain, variant = Arm(self._plain(changes), settings=network), self._variant(name, changes, network)
            arms |= {plain.name: plain, variant.name: variant}
        return list(arms.values())

    def _variant(self, name: str, changes: Mapping[str, Any], network: Mapping[str, Any]) -> Arm:
        augmenter = self.augmenter(self.varied, changes.get("k", self.k))
        if "attribution" in changes:
            augmenter.set_params(attribution=_method(dict(changes["attribution"])))
        layer = {"layer": changes["layer"]} if "layer" in changes else {}
        return Augmented(VARIANT.format(self.varied, name), tuple(self.strengths), {**network, **layer}, augmenter)

    def _plain(self, changes: Mapping[str, Any]) -> str:
        """Return the name of plain training of a variant's network, which variants with this network share."""
        networks = {VARIANT.format(PLAIN, name): own.get("module") for name, own in self.variants.items()}
        return next(name for name, own in {PLAIN: None, **networks}.items() if own == changes.get("module"))

    def others(self, name: str) -> dict[str, str]:
        """Return the arms that an arm is compared with: variants with the method, and with their plain training."""
        for variant, changes in self.variants.items():
            if name == VARIANT.format(self.varied, variant):
                return {"plain": self._plain(changes), "its method": self.varied}
        return super().others(name)


def _method(changes: dict[str, Any]) -> Any:
    name = changes.pop("name", None)
    if name not in attribution.METHODS:
        raise ValueError(unknown_name("attribution method", str(name), attribution.METHODS))
    check_keywords(f"parameter of the attribution method {name}", attribution.METHODS[name], changes, set())
    return attribution.METHODS[name](**changes)
