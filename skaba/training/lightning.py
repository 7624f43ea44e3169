"""Augmentation in Lightning's ``Trainer``; needs ``pip install "skaba[lightning]"``."""

from __future__ import annotations

from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from torch import nn

from skaba.training._augmentation import Augmentation

# Lightning is published under two names.
_PACKAGE = next((name for name in ("lightning", "pytorch_lightning") if find_spec(name)), None)
_Callback: Any = object if _PACKAGE is None else import_module(_PACKAGE).Callback


class AugmentationCallback(_Callback):
    """Augments the batches that a ``LightningModule`` is trained on.

    It puts the augmented input, and the targets if they change too, into the batch before ``training_step`` gets it;
    with ``layer=`` that layer's output is changed until the batch's backward pass is done. Checkpoints hold the
    augmentation's state.

    Parameters
    ----------
    augmentation : Augmentation
        Made for the ``LightningModule`` that is trained, or for the network in it.
    x, y : int or str, default=0 and 1
        Where the batch holds the input and the targets: ``batch[x]``, ``batch[y]``. Several inputs, which need
        ``layer=``, are given as a list of keys, ``x=["input_ids", "attention_mask"]``. y may be None.
    index, mask : int or str, default=None
        Where the batch holds the samples' numbers for ``free_aba``, and the masks for a penalty. Add the penalty to the
        loss in ``training_step``: ``loss + augmentation.penalty(output)``.

    Examples
    --------
    >>> import lightning  # doctest: +SKIP
    >>> augmentation = Augmentation(module, "mend_aba", random_state=0)  # doctest: +SKIP
    >>> trainer = lightning.Trainer(callbacks=[AugmentationCallback(augmentation)])  # doctest: +SKIP
    >>> trainer.fit(module, loader)  # doctest: +SKIP
    """

    def __init__(self, augmentation: Augmentation, *, x: Any = 0, y: Any = 1, index: Any = None, mask: Any = None):
        if _PACKAGE is None:
            raise ImportError('AugmentationCallback needs Lightning: pip install "skaba[lightning]"')
        self.augmentation = augmentation
        self.places = {"x": x, "y": y, "index": index, "mask": mask}
        self._block: ExitStack | None = None

    def on_train_batch_start(self, trainer: Any, pl_module: nn.Module, batch: Any, batch_idx: int) -> None:
        """Augment a batch."""
        self.augmentation.require_part_of(pl_module)
        given = {name: _read(batch, place) for name, place in self.places.items()}
        self._block = ExitStack()
        changed = self._block.enter_context(self.augmentation(**given))
        for name, new in zip(("x", "y"), changed, strict=True):
            if new is not given[name]:  # at a layer the input is unchanged
                _write(batch, self.places[name], new)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Leave the model as it was."""
        self._leave(None)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Leave the model as it was if its ``on_train_batch_start`` skipped the remaining batches of the epoch."""
        # Lightning does not call on_train_batch_end then. With an error, the block ends without its checks.
        self._leave(InterruptedError("The remaining batches of the epoch were skipped."))

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Leave the model as it was."""
        self._leave(exception)

    def state_dict(self) -> dict[str, Any]:
        """Return the augmentation's state, which Lightning writes into its checkpoints."""
        return self.augmentation.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state that ``state_dict`` returned."""
        self.augmentation.load_state_dict(state_dict)

    def _leave(self, error: BaseException | None) -> None:
        block, self._block = self._block, None
        if block is not None:
            # Without an error the block checks that the layer ran and that the penalty was added to the loss.
            block.__exit__(None if error is None else type(error), error, None)


def _read(batch: Any, place: Any) -> Any:
    if isinstance(place, list):
        return {key: batch[key] for key in place}
    return None if place is None else batch[place]


def _write(batch: Any, place: Any, value: Any) -> None:
    try:
        batch[place] = value
    except TypeError as error:
        raise TypeError(
            f"The batch is a {type(batch).__name__}, which cannot be changed in place: let the DataLoader's "
            "collate_fn return a list or a dict."
        ) from error
