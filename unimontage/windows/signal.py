"""Windows as 16-bit numbers, each channel of each window in steps of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

MOST = 32767
"""Largest of the numbers: a channel's largest value in a window is so many steps."""


@dataclass(frozen=True, eq=False)
class StoredSignal:
    """An array (N, C, T) of float32 in microvolt, of which only what is indexed is read and made.

    The first two axes can be indexed, together or the first alone, in every way that numpy knows.

    Attributes
    ----------
    numbers : ndarray, shape (N, C, T), int16
        Samples, in steps.
    step_uv : ndarray, shape (N, C), float32
        Microvolt a step; NaN where a recording lacks the channel.
    """

    numbers: np.ndarray
    step_uv: np.ndarray

    dtype = np.dtype(np.float32)
    ndim = 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """Windows, channels and samples."""
        return self.numbers.shape

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.numbers)

    def __getitem__(self, where: Any) -> np.ndarray:
        """What lies there, in microvolt."""
        if isinstance(where, np.ndarray) and where.dtype.kind == "i" and where.ndim == 1:
            return _whole(self.numbers, self.step_uv, where)
        return restored(self.numbers[where], self.step_uv[where])

    def __array__(self, dtype: type | None = None, copy: bool | None = None) -> np.ndarray:
        """All of it, in memory."""
        return self[:].astype(dtype or np.float32, copy=False)


def rounded(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round the samples of each window and channel to 65,535 levels around zero that just hold the largest.

    Parameters
    ----------
    windows : ndarray, shape (n, C, T)
        Microvolt. A channel that a recording lacks is NaN throughout.

    Returns
    -------
    numbers : ndarray, shape (n, C, T), int16
    step_uv : ndarray, shape (n, C), float32
        No sample is moved by more than half a step. The step is 0 where all samples are 0, NaN where all are NaN.

    Raises
    ------
    ValueError
        A channel is NaN in places, or infinite.
    """
    windows = np.ascontiguousarray(windows, dtype=np.float32)
    largest = np.abs(windows).max(axis=2, initial=0)  # (n, C); NaN where any sample is
    odd = ~np.isfinite(largest)
    if odd.any() and not np.isnan(windows[odd]).all():
        raise ValueError("a sample is not finite in a channel that is not missing")
    step = largest / np.float32(MOST)
    divisor = np.where((step > 0) & ~odd, step, np.float32(1))[..., None]
    numbers = np.rint(np.nan_to_num(windows, nan=0.0) / divisor)
    return np.clip(numbers, -MOST, MOST, out=numbers).astype("<i2"), step.astype("<f4")  # tiny steps are inexact


def restored(numbers: np.ndarray, step_uv: np.ndarray) -> np.ndarray:
    """Microvolt (..., T), float32, of numbers (..., T) and their steps (...)."""
    return np.multiply(numbers, step_uv[..., None], dtype=np.float32)


def _whole(numbers: np.ndarray, step_uv: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Whole windows as :func:`restored` gives them, in one pass over the memory, while other threads go on."""
    rows = np.where(rows < 0, rows + len(numbers), rows)
    if len(rows) and not 0 <= rows.min() <= rows.max() < len(numbers):
        raise IndexError(f"rows {rows.min()}..{rows.max()} of {len(numbers)} windows")
    out = np.empty((len(rows), *numbers.shape[1:]), dtype=np.float32)
    _compiled()(np.asarray(numbers), np.asarray(step_uv), rows, out)
    return out


@cache
def _compiled() -> Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]:
    from numba import njit  # a third of a second, which jobs that read tables alone need not wait for

    @njit(cache=True, nogil=True)
    def gather(numbers: np.ndarray, step_uv: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
        for i in range(len(rows)):
            row = rows[i]
            for channel in range(numbers.shape[1]):
                step = step_uv[row, channel]
                for time in range(numbers.shape[2]):
                    out[i, channel, time] = numbers[row, channel, time] * step

    return gather
