"""Where in which recording each window lies, and how to draw windows by their distance in time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Nights:
    """Consecutive epochs of several recordings, with gaps where epochs were left out.

    Parameters
    ----------
    recording : ndarray of int, shape (N,)
        Recording of each window, ascending.
    epoch : ndarray of int, shape (N,)
        Place of each window in time, counted in epochs from the beginning of its recording; strictly ascending within
        a recording. A jump of more than one is a gap.

    Raises
    ------
    ValueError
        If they are not in order.
    """

    recording: np.ndarray
    epoch: np.ndarray
    _key: np.ndarray = field(init=False, repr=False)
    _lowest: int = field(init=False, repr=False)
    _stride: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.recording.shape != self.epoch.shape or self.recording.ndim != 1:
            raise ValueError(f"recordings {self.recording.shape} and epochs {self.epoch.shape} differ in shape")
        lowest = int(self.epoch.min(initial=0))
        stride = int(self.epoch.max(initial=0)) - lowest + 2  # one place beyond the last epoch of any recording
        key = self.recording.astype(np.int64) * stride + (self.epoch.astype(np.int64) - lowest)
        if (np.diff(self.recording) < 0).any() or (np.diff(key) <= 0).any():
            raise ValueError("windows are not in the order of recording and epoch, or one stands twice")
        for name, value in (("_key", key), ("_lowest", lowest), ("_stride", stride)):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.epoch)

    def whole(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First row of each row's recording, and the row after its last; shape (n,) each."""
        recording = self.recording[rows]
        return np.searchsorted(self.recording, recording), np.searchsorted(self.recording, recording, side="right")

    def reach(self, rows: np.ndarray, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the same recording within a distance in time.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
            Rows to count from.
        first, last : int
            Smallest and largest distance in epochs, both included; negative is earlier.

        Returns
        -------
        start, stop : ndarray of int, shape (n,)
            The first such row, and the row after the last; equal where there is none.
        """
        base = self._key[rows] - (self.epoch[rows] - self._lowest)  # the recording's own zero
        place = self.epoch[rows].astype(np.int64) - self._lowest
        earliest, after = (np.clip(place + shift, 0, self._stride - 1) for shift in (first, last + 1))
        return np.searchsorted(self._key, base + earliest), np.searchsorted(self._key, base + after)


def draw_row(rng: np.random.Generator, *spans: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Draw one row from each union of spans.

    Parameters
    ----------
    rng : Generator
        Source of chance.
    *spans : tuple of ndarray
        Start and stop, shape (n,) each; spans of one union do not overlap, some may be empty and not all.

    Returns
    -------
    ndarray of int, shape (n,)
        Every row of a union is as likely as every other.
    """
    starts = np.stack([start for start, _ in spans])  # (S, n)
    lengths = np.stack([np.maximum(stop - start, 0) for start, stop in spans])  # (S, n)
    ends = lengths.cumsum(axis=0)
    lot = rng.integers(ends[-1])  # (n,): which row, counted through the spans
    span = (lot >= ends).sum(axis=0)  # (n,)
    which = (span, np.arange(len(lot)))
    return starts[which] + lot - (ends - lengths)[which]
