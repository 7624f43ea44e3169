"""Augmentation in transformers' ``Trainer``."""

from __future__ import annotations

from typing import Any

from torch import nn

from skaba.training._augmentation import Augmentation

# The real base is the Trainer that follows the mixin in the bases, so transformers need not be installed.
_Trainer: Any = object


class AugmentedTrainerMixin(_Trainer):
    """Augments the batches that a transformers ``Trainer`` trains on; comes before it in the bases.

    The Trainer's ``label_names`` are the targets, all other columns are the model's inputs. The columns ``index`` (the
    samples' numbers, for ``free_aba``) and ``mask`` (for a penalty) are not passed to the model. Set
    ``TrainingArguments(remove_unused_columns=False)`` to keep them.

    Parameters
    ----------
    *args
        As for the ``Trainer``.
    augmentation : Augmentation
        Made for the model that is trained. Texts need ``layer=``, the name of the word embeddings.
    **kwargs
        As for the ``Trainer``.

    Examples
    --------
    >>> from transformers import Trainer  # doctest: +SKIP
    >>> class AugmentedTrainer(AugmentedTrainerMixin, Trainer):  # doctest: +SKIP
    ...     pass
    >>> augmentation = Augmentation(model, "mend_aba", layer="bert.embeddings.word_embeddings")  # doctest: +SKIP
    >>> AugmentedTrainer(model, args, train_dataset=dataset, augmentation=augmentation).train()  # doctest: +SKIP
    """

    def __init__(self, *args: Any, augmentation: Augmentation, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.augmentation = augmentation

    def training_step(self, model: nn.Module, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Augment a batch and train on it."""
        self.augmentation.require_part_of(model)
        # To the device, where maps are computed. The Trainer does the same later, which then changes nothing.
        batch = dict(self._prepare_inputs(inputs))
        about = {name: batch.pop(name, None) for name in ("index", "mask")}
        labels = {name: batch.pop(name) for name in self.label_names if name in batch}
        x = batch if len(batch) > 1 else next(iter(batch.values()))
        y = next(iter(labels.values())) if len(labels) == 1 else None
        with self.augmentation(x, y, **about) as (x_seen, y_seen):
            batch = batch if x_seen is x else dict.fromkeys(batch, x_seen)
            labels = labels if y_seen is y else dict.fromkeys(labels, y_seen)
            return super().training_step(model, {**batch, **labels}, *args, **kwargs)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None, **kwargs: Any
    ) -> Any:
        """Return the loss, with the penalty added."""
        loss, outputs = super().compute_loss(
            model, inputs, return_outputs=True, num_items_in_batch=num_items_in_batch, **kwargs
        )
        # With this number the loss is already the batch's share of the optimiser step's loss, so the penalty is divided
        # here. Without it the Trainer divides their sum later.
        n_batches = 1 if num_items_in_batch is None else getattr(self, "current_gradient_accumulation_steps", 1)
        loss = loss + self.augmentation.penalty(outputs) / n_batches
        return (loss, outputs) if return_outputs else loss
