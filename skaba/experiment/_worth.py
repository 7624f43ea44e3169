"""The worth of augmentation for a user's own file: the work of ``skaba worth``."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaba import ABAClassifier, ABAMultiLabelClassifier
from skaba._own_code import on_path, own_function
from skaba.evaluation import Worth, worth
from skaba.experiment._arrays import OwnArrays, read_arrays
from skaba.modules import FCN, MLP, ConvNet

TABLE, PICTURE = "worth.md", "worth.png"


@dataclass(frozen=True)
class Network:
    """A network and how it is trained.

    Parameters
    ----------
    module : str, default=None
        ``"module:function"`` or ``"module:Class"``. It gets ``n_classes`` if it has such a parameter. By default
        ConvNet for images, FCN for series, and MLP for tables, which are then scaled to unit variance.
    layer : str, default=None
        The embedding, if the samples are word ids.
    epochs, lr, batch_size
        As ``max_epochs``, ``lr`` and ``batch_size`` of :class:`skaba.ABAClassifier`.
    """

    module: str | None = None
    layer: str | None = None
    epochs: int = 100
    lr: float = 1e-3
    batch_size: int = 32

    def estimator(self, data: OwnArrays) -> Any:
        """Return an unfitted estimator for the samples of a file.

        Parameters
        ----------
        data : OwnArrays

        Returns
        -------
        estimator

        Raises
        ------
        ValueError
            If the network cannot be imported, or there is no default for these samples.
        """
        module, parameters = (
            self._default(data.X) if self.module is None else (own_function(self.module, "a network"), {})
        )
        taken = inspect.signature(module).parameters
        if "n_classes" in taken:
            parameters = {**parameters, "n_classes": len(data.target_names)}
        kind: Any = ABAMultiLabelClassifier if data.y.ndim == 2 else ABAClassifier
        net = kind(
            module,
            **{f"module__{name}": value for name, value in parameters.items()},
            layer=self.layer,
            max_epochs=self.epochs,
            lr=self.lr,
            batch_size=self.batch_size,
            verbose=0,
        )
        return make_pipeline(StandardScaler(), net) if module is MLP else net

    def _default(self, X: Any) -> tuple[Any, dict[str, int]]:
        if self.layer is not None or X.ndim not in (2, 3, 4):
            raise ValueError(
                f"There is no default network for samples of shape {X.shape[1:]}"
                f"{' that are word ids' if self.layer else ''}: give yours with --module my_nets:Net."
            )
        if X.ndim == 2:
            return MLP, {"n_features": X.shape[1]}
        return ConvNet if X.ndim == 4 else FCN, {"channels": X.shape[1]}


def worth_of_file(file: Path, network: Network, **settings: Any) -> Worth:
    """Measure whether augmentation is worth it for the samples of a ``.npz`` file.

    Parameters
    ----------
    file : Path
        It holds ``X`` and ``y``, as :func:`read_arrays` takes them.
    network : Network
    **settings
        As for :func:`skaba.evaluation.worth`.

    Returns
    -------
    Worth

    Raises
    ------
    TypeError, ValueError
        If the file, the network or a setting does not fit.
    """
    data = read_arrays(file, word_ids=network.layer is not None)
    # Processes that fit at the same time import the network too.
    with on_path(Path.cwd()):
        return worth(network.estimator(data), data.X, data.y, **settings)


def write_worth(found: Worth, folder: Path) -> None:
    """Write the table and the picture into a folder.

    Parameters
    ----------
    found : Worth
    folder : Path
        Made if it does not exist.
    """
    from skaba.plotting import WorthDisplay  # noqa: PLC0415 (heavy; only who plots should pay for it)

    folder.mkdir(parents=True, exist_ok=True)
    (folder / TABLE).write_text(found.table() + "\n", encoding="utf-8")
    WorthDisplay.from_results(found).figure_.savefig(folder / PICTURE, dpi=150)
