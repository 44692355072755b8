"""Euclidean alignment: give every group of windows the same average covariance."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from unimontage.errors import UserError
from unimontage.signal.normalise import chosen_rows, chunks, group_codes


def recentring_matrices(
    signal: np.ndarray, index: np.ndarray | None, groups: np.ndarray, *, floor: float = 1e-6
) -> dict[Hashable, np.ndarray]:
    """Inverse square root of each group's mean covariance.

    Parameters
    ----------
    signal : ndarray or memmap, shape (N, C, T)
        All windows; read in chunks.
    index : ndarray, shape (M,) of int or (N,) of bool, or None
        The windows to learn from; None for all. No label is used.
    groups : ndarray, shape (N,)
        Group of every window of ``signal`` (say, its subject and session).
    floor : float
        Smallest eigenvalue, as a share of the mean one. An average reference or an interpolated channel makes the
        covariance singular; without a floor its empty directions would be blown up to unit variance.

    Returns
    -------
    dict of ndarray, shape (C, C), float64
        Symmetric positive definite, one for each group found in ``index``.

    Raises
    ------
    UserError
        If there is no window, or a group's covariance is zero or not finite.

    Notes
    -----
    He & Wu 2020, eq. 10 to 13, with the covariance divided by T, so that aligned channels have unit variance.
    Windows are taken as they are: a high-passed signal has no mean worth removing.
    """
    rows = chosen_rows(signal, index, groups)
    names, code = np.unique(np.asarray(groups)[rows], return_inverse=True)
    channels, samples = signal.shape[1:]
    total = np.zeros((len(names), channels, channels))
    for place, block in chunks(signal, rows):
        for group in np.unique(code[place]):
            side_by_side = block[code[place] == group].astype(np.float64).swapaxes(0, 1).reshape(channels, -1)
            total[group] += side_by_side @ side_by_side.T
    covariance = total / (samples * np.bincount(code)[:, None, None])  # (groups, C, C)
    return {name: _inverse_root(covariance[g], floor, name) for g, name in enumerate(names.tolist())}


def _inverse_root(covariance: np.ndarray, floor: float, group: Hashable) -> np.ndarray:
    """``R^-1/2`` of a covariance (C, C) through its eigenvalues, none below ``floor`` times their mean."""
    scale = np.trace(covariance) / len(covariance)
    if not (np.isfinite(scale) and scale > 0):
        raise UserError(
            f"the covariance of '{group}' is zero or not finite (mean variance {scale:g})",
            expected="a varying, finite signal",
            mend="leave the recording out",
        )
    values, vectors = np.linalg.eigh(covariance)
    return (vectors / np.sqrt(np.maximum(values, floor * scale))) @ vectors.T


def recentre(signal: np.ndarray, matrices: dict[Hashable, np.ndarray], groups: np.ndarray) -> np.ndarray:
    """Multiply every window by its group's matrix.

    Parameters
    ----------
    signal : ndarray, shape (M, C, T)
        Any windows.
    matrices : dict of ndarray, shape (C, C)
        From :func:`recentring_matrices`.
    groups : ndarray, shape (M,)
        Their groups.

    Returns
    -------
    ndarray, shape (M, C, T), float32
        Over the windows the matrices come from, the mean covariance is the identity.

    Raises
    ------
    UserError
        If a group has no matrix.
    """
    code = group_codes(groups, tuple(matrices), "recentring matrix")
    out = np.empty(signal.shape, dtype=np.float32)
    for g, matrix in enumerate(matrices.values()):
        of_group = code == g
        out[of_group] = matrix.astype(np.float32) @ np.asarray(signal[of_group], dtype=np.float32)
    return out
