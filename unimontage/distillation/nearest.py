"""Nearest neighbours by brute force, piece by piece."""

import numpy as np

ROWS, COLUMNS = 2048, 8192  # points and centres of one piece


def nearest(points: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the centre next to every point.

    Parameters
    ----------
    points : ndarray of float32, shape (N, d)
        In memory or mapped from a file.
    centres : ndarray of float32, shape (M, d)
        At least one.

    Returns
    -------
    index : ndarray of int64, shape (N,)
        Of the nearest centre; the lowest of equal ones.
    distance : ndarray of float64, shape (N,)
        Euclidean distance to it. It is computed from the difference: the products only say which centre it is.
    """
    mean = centres.mean(axis=0, dtype=np.float64).astype(np.float32)
    shifted = centres - mean  # lengths small, so that the products lose little
    length = np.square(shifted).sum(axis=1)
    index = np.empty(len(points), dtype=np.int64)
    distance = np.empty(len(points))
    for row in range(0, len(points), ROWS):
        x = points[row : row + ROWS]
        best = np.full(len(x), np.inf, dtype=np.float32)
        which = np.zeros(len(x), dtype=np.int64)
        for column in range(0, len(centres), COLUMNS):
            part = slice(column, column + COLUMNS)
            g = length[part] - 2 * ((x - mean) @ shifted[part].T)  # (rows, columns), |c|^2 - 2 x.c
            here = g.argmin(axis=1)
            value = g[np.arange(len(x)), here]
            nearer = value < best
            best[nearer], which[nearer] = value[nearer], column + here[nearer]
        index[row : row + ROWS] = which
        distance[row : row + ROWS] = np.sqrt(np.square(x - centres[which], dtype=np.float64).sum(axis=1))
    return index, distance


def nearest_unique(queries: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find a point of its own for every query: the nearest that no nearer query has taken.

    Parameters
    ----------
    queries : ndarray of float32, shape (n, d)
    points : ndarray of float32, shape (N, d)
        N is at least n.

    Returns
    -------
    index : ndarray of int64, shape (n,)
        Positions of points, all different.
    distance : ndarray of float64, shape (n,)
        From query to point.
    """
    index = np.full(len(queries), -1, dtype=np.int64)
    distance = np.empty(len(queries))
    free = np.arange(len(points))
    waiting = np.arange(len(queries))
    while len(waiting):
        wish, far = nearest(queries[waiting], points[free])
        order = np.lexsort((waiting, far, wish))  # by point, the nearest query first
        _, first = np.unique(wish[order], return_index=True)
        served = order[first]
        index[waiting[served]], distance[waiting[served]] = free[wish[served]], far[served]
        free = np.delete(free, wish[served])
        waiting = np.delete(waiting, served)
    return index, distance
