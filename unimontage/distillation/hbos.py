"""Histogram-based outlier scores: a window is odd where its latent falls into thinly filled bins."""

from typing import Literal

import numpy as np
from numba import njit, prange

from unimontage.distillation.budget import share
from unimontage.errors import UserError

ROWS, COLUMNS = 4096, 8  # read at a time
BLOCKS = 64  # parts of all windows that are counted side by side


def hbos_scores(latents: np.ndarray, bins: int | Literal["auto"] = "auto", alpha: float = 0.1) -> np.ndarray:
    """Score windows by how rare their latents are, one dimension at a time.

    Parameters
    ----------
    latents : ndarray of float, shape (N, d)
        In memory or mapped from a file. Standardised here, dimension by dimension; a constant one adds the same to all.
    bins : int or "auto"
        Bins of each histogram; "auto" finds the number for each dimension by penalised likelihood, below sqrt(N).
    alpha : float
        Added to the density, above 0; it limits what an empty bin counts.

    Returns
    -------
    ndarray of float64, shape (N,)
        The higher, the odder: the sum over the dimensions of -log2(density + alpha).

    Raises
    ------
    UserError
        No windows, values that are not finite, fewer than two bins, or ``alpha`` outside 0 to 1.

    Notes
    -----
    Goldstein and Dengel 2012; number of bins by Birgé and Rozenholc 2006. EEG-DLite removes outliers by these scores,
    which are those of pyod's ``HBOS`` on standardised latents. Its tolerance for values outside the bins has no
    counterpart: the histograms are made from the very windows that they score. A dimension is sorted once, so that a
    histogram with any number of bins is a few binary searches, where pyod counts all windows again.
    """
    if bins != "auto" and (not isinstance(bins, int) or bins < 2):
        raise UserError(f"bins: {bins}", expected="auto, or a number from 2 on", mend="bins: auto")
    if not 0 < alpha < 1:
        raise UserError(f"alpha: {alpha:g}", expected="a number between 0 and 1", mend="alpha: 0.1")
    latents = np.ascontiguousarray(latents).view(np.ndarray)
    latents.flags.writeable = False  # as those mapped from a file are: one type to compile for
    mean, deviation = moments(latents)
    if bins == "auto":
        counts, edges = _automatic(latents, mean, deviation)
    else:
        low, high = ((extreme - mean) / deviation for extreme in (latents.min(axis=0), latents.max(axis=0)))
        edges = [_edges(*ends, bins) for ends in zip(low, high, strict=True)]
        counts = np.split(_count(latents, mean, deviation, np.concatenate(edges), bins), latents.shape[1])
    score = [-np.log2(c / np.diff(e) / c.sum() + alpha) for c, e in zip(counts, edges, strict=True)]
    sizes = np.array([len(each) for each in score])
    return _look_up(latents, mean, deviation, np.concatenate(edges), np.concatenate(score), sizes)


def outliers(scores: np.ndarray, tau: float) -> np.ndarray:
    """Mark the oddest windows.

    Parameters
    ----------
    scores : ndarray, shape (N,)
        From :func:`hbos_scores`.
    tau : float
        Share to remove, from 0 to below 1.

    Returns
    -------
    ndarray of bool, shape (N,)
        True for exactly floor(tau N) windows; of equal scores, those of lower position are spared.

    Raises
    ------
    UserError
        ``tau`` is out of range.
    """
    if not 0 <= tau < 1:
        raise UserError(f"tau: {tau:g}", expected="the share of windows to remove, from 0 to below 1", mend="tau: 0.01")
    mask = np.zeros(len(scores), dtype=bool)
    ascending = np.argsort(scores, kind="stable")
    mask[ascending[len(scores) - share(tau, len(scores)) :]] = True
    return mask


def moments(latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of every dimension, two float64 arrays (d,); the deviation of a constant is 1.

    Raises
    ------
    UserError
        No windows, or a value is not finite.
    """
    if latents.ndim != 2 or not latents.size:
        raise UserError(f"latents of shape {latents.shape}", expected="(N, d) with at least one window")
    n, d = latents.shape
    total, squares = np.zeros(d), np.zeros(d)
    for row in range(0, n, ROWS):
        total += latents[row : row + ROWS].sum(axis=0, dtype=np.float64)
    mean = total / n
    if not np.isfinite(mean).all():
        raise UserError(
            f"dimension {int(np.argmin(np.isfinite(mean)))} of the latents holds values that are not finite",
            expected="finite latents",
            mend="train the compressor again; its loss has diverged",
        )
    for row in range(0, n, ROWS):
        squares += np.square(latents[row : row + ROWS] - mean).sum(axis=0)
    deviation = np.sqrt(squares / n)
    return mean, np.where(deviation > 1e-12 * np.maximum(np.abs(mean), 1e-300), deviation, 1.0)


def standardise(latents: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Latents (N, d) with mean 0 and standard deviation 1, as float64."""
    return (latents - mean) / deviation


def _automatic(
    latents: np.ndarray, mean: np.ndarray, deviation: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Counts and edges of the best histogram of every dimension."""
    counts, edges = [], []
    for first in range(0, len(mean), COLUMNS):
        part = slice(first, first + COLUMNS)
        for values in np.ascontiguousarray(standardise(latents[:, part], mean[part], deviation[part]).T):
            values.sort()
            edges.append(_edges(values[0], values[-1], _best_count(values)))
            counts.append(_histogram(values, edges[-1]))
    return counts, edges


def _edges(low: float, high: float, bins: int) -> np.ndarray:
    """Edges of equal bins as numpy's histogram makes them, shape (bins + 1,)."""
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1)


def _histogram(ordered: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How many of the ordered values lie in each bin; a value on an edge counts above it, the largest in the last."""
    below = np.searchsorted(ordered, edges[:-1], side="left")
    return np.diff(np.append(below, len(ordered)))


def _best_count(ordered: np.ndarray) -> int:
    """Number of bins of the highest penalised likelihood, as pyod computes it; the smallest of equals."""
    n = len(ordered)
    most = max(2, int(np.sqrt(n)))
    likelihood = np.empty(most - 1)
    for bins in range(1, most):
        counts = _histogram(ordered, _edges(ordered[0], ordered[-1], bins))
        penalty = bins - 1 + np.power(np.log(bins), 2.5)
        likelihood[bins - 1] = np.sum(counts * np.log(bins * counts / n + 1) - penalty)
    return int(np.argmax(likelihood)) + 1


@njit(cache=True)
def _bin(value, edges, scale):
    """Bin that a value is in or next to: a guess, which the edges correct."""
    return min(max(int((value - edges[0]) * scale), 0), len(edges) - 2)


@njit(cache=True, parallel=True)
def _count(latents, mean, deviation, edges, bins):
    """As :func:`_histogram`, for all dimensions and values in any order; shape (d * bins,)."""
    n, d = latents.shape
    edges = edges.reshape(d, bins + 1)
    counts = np.zeros((BLOCKS, d, bins), dtype=np.int64)
    scale = bins / (edges[:, -1] - edges[:, 0])
    for block in prange(BLOCKS):
        for i in range(block * n // BLOCKS, (block + 1) * n // BLOCKS):
            for t in range(d):
                value = (latents[i, t] - mean[t]) / deviation[t]
                b = _bin(value, edges[t], scale[t])
                while b > 0 and value < edges[t, b]:
                    b -= 1
                while b < bins - 1 and value >= edges[t, b + 1]:
                    b += 1
                counts[block, t, b] += 1
    return counts.sum(axis=0).ravel()


@njit(cache=True, parallel=True)
def _look_up(latents, mean, deviation, edges, score, sizes):
    """Sum of the scores of every window's bins (N,). Here a value on an edge belongs to the bin below, as in pyod."""
    total = np.zeros(len(latents))
    start = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(sizes)))  # of each dimension's scores
    scale = np.empty(len(sizes))
    for t in range(len(sizes)):
        scale[t] = sizes[t] / (edges[start[t + 1] + t] - edges[start[t] + t])
    for i in prange(len(latents)):
        for t in range(len(sizes)):
            value = (latents[i, t] - mean[t]) / deviation[t]
            own = edges[start[t] + t : start[t + 1] + t + 1]
            b = _bin(value, own, scale[t])
            while b > 0 and value <= own[b]:
                b -= 1
            while b < sizes[t] - 1 and value > own[b + 1]:
                b += 1
            total[i] += score[start[t] + b]
    return total
