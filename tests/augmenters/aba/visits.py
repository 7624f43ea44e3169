"""Visits of samples to FreeABA: what one leaves behind, and how the next one is augmented by it."""

import torch

from skaba.augmenters import Batch, CategoryMemory
from skaba.network import FromLayer
from tests.tiny_nets import TextNet, seeded, words


def visit(memory, index, x, generator=None, padding=None):
    """A batch of samples with a memory; with padding it is at an embedding's output."""
    view = None
    if padding is not None:
        view = FromLayer(TextNet(), "embedding", words())
        view.padding = padding
    return Batch(view, x, None, None, generator or seeded(), index=index, memory=memory)


def remembered(aba, gradient, n_samples=0, padding=None):
    """A memory that knows the gradient of the first samples."""
    memory, index = CategoryMemory(n_samples=n_samples), torch.arange(len(gradient))
    memory.prepare(index, gradient, aba.selection.n_categories - 1)
    aba._keep(visit(memory, index, gradient, padding=padding), gradient)
    return memory


def recalled(aba, memory, index, x, strength, generator=None, padding=None):
    """A batch as it is augmented by what is remembered; the batch itself stays as it is."""
    return aba._recall(visit(memory, index, x, generator, padding), strength, x)(x.clone())
