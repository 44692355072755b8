"""Distances to centres: one deterministic function, and a matrix product that only says which of them to compute."""

import numpy as np
from numba import njit, prange

TILE, CENTRES = 128, 512  # windows and centres of one matrix product: its result stays in a core's cache
LANES = 64  # products compared side by side


@njit(cache=True)
def squared_distance(a: np.ndarray, b: np.ndarray) -> np.float32:
    """Squared Euclidean distance of two float32 vectors, summed in order: the same bits on any machine."""
    total = np.float32(0)
    for t in range(a.shape[0]):
        difference = a[t] - b[t]
        total += difference * difference
    return total


@njit(cache=True, parallel=True)
def first_distances(latents: np.ndarray, allowed: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Squared distance of every allowed window (N, d) to a centre (d,); -1 for the others; shape (N,)."""
    found = np.full(len(latents), np.float32(-1))
    for i in prange(len(latents)):
        if allowed[i]:
            found[i] = squared_distance(latents[i], centre)
    return found


def slack_of(d: int) -> tuple[float, float]:
    """How far a squared distance by matrix product may lie from :func:`squared_distance`.

    Parameters
    ----------
    d : int
        Dimensions.

    Returns
    -------
    tuple of float
        ``relative`` and ``absolute``: the two differ by at most ``relative * (|x|^2 + |c|^2) + absolute``, where x and
        c are the vectors with a common one taken off, in float32.

    Notes
    -----
    Let u = 2^-24, g(m) = m u / (1 - m u), S = |x| + |c|, and D the squared distance in exact arithmetic. By the error
    bounds of Higham 2002, sections 3.1 and 3.5: summed in order, D comes out wrong by at most g(d + 2) D, and
    D <= S^2 (1 + u)^2. Taking the common vector off moves each of the two by at most u of its length, so D by at most
    (2 u + u^2) S^2. In |x|^2 + |c|^2 - 2 x.c the lengths, their sum and the difference are wrong by 3 u S^2, and the
    product, in any order and with or without fused steps, by 2 g(d) |x| |c| <= g(d) S^2 / 2. Together that is
    (1.5 d + 7) u S^2 to first order, and S^2 <= 2 (|x|^2 + |c|^2). The factor below is larger by (d + 18) u, far more
    than the terms of higher order. The absolute part covers products below the normal range.
    """
    return 4 * (d + 8) * 2.0**-24, (d + 8) * 2.0**-120


@njit(cache=True, parallel=True)
def refresh(latents, mean, windows, centres, shifted, norm, bound, seen, threshold, slack):
    """Bring bounds up to date, in place, until they are exact or no longer above the threshold.

    Parameters
    ----------
    latents : ndarray of float32, shape (N, d)
    mean : ndarray of float32, shape (d,)
        Common vector that the products are taken without.
    windows : ndarray of int64, shape (M,)
        Positions whose bounds are above the threshold.
    centres, shifted, norm : ndarray of float32, shapes (c, d), (c, d), (c,)
        The centres, the same without ``mean``, and the squared lengths of those.
    bound : ndarray of float32, shape (N,)
        Smallest squared distance to the centres seen.
    seen : ndarray of int32, shape (N,)
        How many centres that were, from the first on.
    threshold : float32
    slack : tuple of float
        From :func:`slack_of`.
    """
    largest = norm.max()
    for tile in prange((len(windows) + TILE - 1) // TILE):
        part = windows[tile * TILE : (tile + 1) * TILE].copy()
        x, length = _shift(latents, part, mean)
        product = np.empty(TILE * CENTRES, dtype=np.float32)
        best = np.empty(LANES, dtype=np.float32)
        alive, low = len(part), seen[part].min()
        while alive and low < len(centres):
            high = min(low + CENTRES, len(centres))
            g = product[: alive * (high - low)].reshape(alive, high - low)
            np.dot(x[:alive], shifted[low:high].T, g)
            left = 0
            for r in range(alive):
                i = part[r]
                margin = slack[0] * (length[r] + largest) + slack[1]
                least = _nearest(g[r], norm[low:high], best)
                if length[r] + least - margin < bound[i]:
                    limit = least + 2 * margin  # the nearest is among these: the others are farther than it can be
                    closer = _smallest_distance(latents[i], g[r], norm[low:high], centres[low:high], best, limit)
                    bound[i] = min(bound[i], closer)
                seen[i] = high
                if bound[i] > threshold:
                    part[left], length[left] = i, length[r]
                    x[left] = x[r]
                    left += 1
            alive, low = left, high


@njit(cache=True)
def _shift(latents, windows, mean):
    """Rows without the mean, (n, d), and their squared lengths in float64, (n,)."""
    x = np.empty((len(windows), latents.shape[1]), dtype=np.float32)
    length = np.zeros(len(windows), dtype=np.float64)
    for r in range(len(windows)):
        for t in range(latents.shape[1]):
            x[r, t] = latents[windows[r], t] - mean[t]
            length[r] += np.float64(x[r, t]) ** 2
    return x, length


@njit(cache=True)
def _nearest(g, norm, best):
    """Least of |c|^2 - 2 x.c, from products g and squared lengths, both (c,); into ``best``, that of each lane."""
    best[:] = np.inf
    whole = len(g) // LANES * LANES
    for first in range(0, whole, LANES):
        for lane in range(LANES):
            value = norm[first + lane] - np.float32(2) * g[first + lane]
            best[lane] = value if value < best[lane] else best[lane]
    for j in range(whole, len(g)):
        best[j - whole] = min(best[j - whole], norm[j] - np.float32(2) * g[j])
    return np.float64(best.min())


@njit(cache=True)
def _smallest_distance(latent, g, norm, centres, best, limit):
    """Smallest exact squared distance to the centres for which |c|^2 - 2 x.c is within the limit."""
    smallest = np.float32(np.inf)
    for lane in range(LANES):
        if best[lane] <= limit:
            for j in range(lane, len(g), LANES):
                if norm[j] - np.float32(2) * g[j] <= limit:
                    smallest = min(smallest, squared_distance(latent, centres[j]))
    return smallest
