"""The control for attribution: a method's own maps, shuffled."""

from __future__ import annotations

import torch
from sklearn.base import clone
from torch import Tensor

from skaba.augmenters._aba import ABA
from skaba.augmenters._comparing import words_of


class RandomMapABA(ABA):
    """ABA on shuffled maps: the same changes, but not where the network looks.

    Each sample's map is computed as in the method, and then its entries are permuted at random. So everything that
    does not depend on where a map is high stays as it is: how many features fall into each category, with ties,
    zeros and padding, and how far they move. What a method gains over this control is what attribution is worth.

    All entries of a sample are permuted, over positions and channels; at an embedding's output, over
    words and dimensions. Padding keeps its own entries, since it does not move.

    Parameters
    ----------
    attribution, target, selection, adjustments, change, randomize, share, every, resolution, reuse, renew, store, clip
        As for :class:`ABA`, whose defaults are MendABA's.

    See Also
    --------
    skaba.evaluation.controls : All controls of a fitted estimator.
    GaussianNoise : The control that changes every feature.

    Notes
    -----
    It costs what the method costs, and the draw of a permutation: 20,000 features of a text take about
    0.17 ms per sample on a CPU. Permutations are drawn on the CPU, so that they are the same on every device.

    With ``reuse="epoch"`` (``free_aba``) the categories that are kept are the method's own; they are permuted
    anew whenever they are recalled.

    Examples
    --------
    >>> from skaba.augmenters import RandomMapABA, fast_aba
    >>> RandomMapABA.of(fast_aba()).adjustments
    AdjustmentSet([0, 0, 3, 4, 5, 6, 16, 17])
    """

    @classmethod
    def of(cls, aba: ABA) -> RandomMapABA:
        """Return the control of a method.

        Parameters
        ----------
        aba : ABA
            Left unchanged.

        Returns
        -------
        RandomMapABA
            With copies of all its parameters.

        Raises
        ------
        TypeError
            If it is no ABA.
        """
        if not isinstance(aba, ABA):
            raise TypeError(f"RandomMapABA.of takes an ABA, such as mend_aba(), got {aba!r}.")
        return cls(**{name: clone(getattr(aba, name), safe=False) for name in cls._get_param_names()})

    def _order(self, x: Tensor, padding: Tensor | None, generator: torch.Generator) -> Tensor:
        """Draw from which feature each takes its category: a permutation per sample, in which padding stays."""
        places = torch.arange(x[0].numel())
        order = places.repeat(len(x), 1)
        words = None if padding is None else words_of(padding, x).cpu()
        for row in range(len(x)):
            own = places if words is None else places[words[row]]
            order[row, own] = own[torch.randperm(len(own), generator=generator)]
        return order.to(x.device)
