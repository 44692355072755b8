"""Some windows of a pool, in an order of their own, left on disk until they are indexed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from unimontage.signal.normalise import Scale, scaled
from unimontage.windows.pool import WindowPool


@dataclass(frozen=True)
class WindowView:
    """An array (N, C, T) of float32 along whose first axis one can index; nothing is read before.

    Attributes
    ----------
    pool : WindowPool
        Where the windows are.
    positions : ndarray of int, shape (N,)
        Which of them, in which order.
    scale : pair of ndarray, shape (N, C), or None
        Median and robust deviation that windows are scaled by when they are read; None leaves them in microvolt.
    """

    pool: WindowPool
    positions: np.ndarray
    scale: Scale | None = None

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.positions)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Windows (n, C, T) of some rows."""
        x = self.pool.windows(self.positions[rows])
        return x if self.scale is None else scaled(x, *(values[rows] for values in self.scale))

    def __array__(self, dtype: type | None = None, copy: bool | None = None) -> np.ndarray:
        """All windows, in memory."""
        return self[:].astype(dtype or np.float32, copy=False)

    def take(self, rows: np.ndarray, axis: Literal[0] = 0) -> WindowView:
        """Some of the windows, still unread; called as that of an array."""
        scale = None if self.scale is None else (self.scale[0][rows], self.scale[1][rows])
        return WindowView(self.pool, self.positions[rows], scale)

    def scaled_by(self, scale: Scale) -> WindowView:
        """The same windows, scaled when they are read."""
        return replace(self, scale=scale)
