"""Names of outputs: which output of the network belongs to a column of y."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    # For the type checker only: the net follows the mixin in the bases.
    from skaba.estimators._net import AugmentedNet as _Net
else:
    _Net = object


class NamedTargets(_Net):
    """Keeps the names of y's columns, for tasks that have one output per column."""

    target_names_: Any = None

    def _check_fit(
        self, X: Any, y: Any, fit_params: dict[str, Any], *, relearn: bool, classes: Any = None
    ) -> tuple[Any, Any]:
        if relearn:
            self.target_names_ = column_names(y)
        return super()._check_fit(X, y, fit_params, relearn=relearn, classes=classes)

    def _read_targets(self, y: Any) -> np.ndarray:
        names = column_names(y)
        if names is not None and self.target_names_ is not None and not np.array_equal(names, self.target_names_):
            raise ValueError(
                f"y has the columns {_listed(names)}, but fit saw {_listed(self.target_names_)}. They must be the "
                "same, in the same order."
            )
        return super()._read_targets(y)

    def _named_outputs(self) -> dict[Any, int]:
        numbers = {index: index for index in range(self._n_outputs())}
        names = [] if self.target_names_ is None else self.target_names_.tolist()
        named = {name: index for index, name in enumerate(names)}
        # If names are integers, an integer is a name and not a position.
        return named if any(isinstance(name, int) for name in named) else {**numbers, **named}


def column_names(y: Any) -> np.ndarray | None:
    """Return the names of a data frame's columns if all are strings, or integers other than 0, 1, ...; else None.

    Raises
    ------
    ValueError
        If two columns have the same name.
    """
    columns = getattr(y, "columns", None)
    names = [] if columns is None else columns.tolist()
    of_one_kind = any(all(isinstance(name, kind) for name in names) for kind in (str, int))
    # 0, 1, ... are the names that pandas gives columns by default.
    if not of_one_kind or names == list(range(len(names))):
        return None
    if len(set(names)) < len(names):
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"y has several columns named {_listed(repeated)}; give each column a different name.")
    return np.array(names, dtype=object)


def _listed(names: Any) -> str:
    return ", ".join(map(str, names))
