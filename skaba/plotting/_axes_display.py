"""What all displays with a single Axes have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from skaba.plotting._matplotlib import matplotlib

if TYPE_CHECKING:
    from typing import Self


# Displays are dataclasses with eq=False, because == of arrays has no single truth value, and with repr=False, because
# the repr of their arrays would fill the screen.
class AxesDisplay(ABC):
    """A display that draws into one Axes."""

    def plot(self, ax: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; by default the Axes of a new figure.

        Returns
        -------
        self
            With ``ax_``, ``figure_`` and the display's other fitted attributes.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_ = matplotlib().subplots(figsize=self._size, layout="constrained")[1] if ax is None else ax
        self.figure_ = self.ax_.figure
        self._draw()
        return self

    @property
    @abstractmethod
    def _size(self) -> tuple[float, float]:
        """Width and height of a new figure in inches."""

    @abstractmethod
    def _draw(self) -> None:
        """Draw into ``ax_``."""
