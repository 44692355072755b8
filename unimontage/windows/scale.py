"""The scale of a session's channels: median and interquartile range over its windows."""

import math
from collections.abc import Iterable

import numpy as np

MOST_SAMPLES = 200_000
"""Samples of a channel that the scale is estimated from: quartiles of so many lie within 1 % of the true ones."""
SD_OF_IQR = 0.7413
"""Standard deviation of a normal distribution as a share of its interquartile range."""


class ScaleSample:
    """An evenly strided subset of the samples of a session's windows, collected while they pass by.

    Parameters
    ----------
    windows, samples : int
        Windows of the session, and samples of each.
    """

    def __init__(self, windows: int, samples: int) -> None:
        self._stride = (
            math.ceil(windows * samples / MOST_SAMPLES) | 1
        )  # odd: no step in time with mains or a whole second
        self._parts: list[np.ndarray] = []

    def add(self, first: int, windows: np.ndarray) -> None:
        """Take note of consecutive windows.

        Parameters
        ----------
        first : int
            Row of the first of them within the session.
        windows : ndarray, shape (n, C, T)
            Microvolt.
        """
        count, _, samples = windows.shape
        begin = -first * samples % self._stride
        row, time = np.divmod(np.arange(begin, count * samples, self._stride), samples)
        self._parts.append(windows[row, :, time])  # (k, C)

    def scale(self) -> dict[str, list[float]]:
        """``median`` and ``sd`` (0.7413 times the interquartile range) of each channel, microvolt; NaN where one is.

        Raises
        ------
        ValueError
            No window has passed.
        """
        low, median, high = np.percentile(np.concatenate(self._parts), (25, 50, 75), axis=0)  # (C,) each
        return {"median": _brief(median), "sd": _brief(SD_OF_IQR * (high - low))}


def scales(signal: np.ndarray, sessions: np.ndarray) -> dict[str, dict[str, list[float]]]:
    """Scale of each session of windows in memory, as :class:`ScaleSample` gives it.

    Parameters
    ----------
    signal : ndarray, shape (N, C, T)
        Microvolt.
    sessions : ndarray of str, shape (N,)
        Session of each window.
    """
    found = {}
    for session in dict.fromkeys(sessions):
        windows = signal[sessions == session]
        sample = ScaleSample(len(windows), signal.shape[2])
        sample.add(0, windows)
        found[session] = sample.scale()
    return found


def _brief(values: Iterable[float]) -> list[float]:
    """Six digits: the estimate itself is good to two."""
    return [float(f"{value:.6g}") for value in values]
