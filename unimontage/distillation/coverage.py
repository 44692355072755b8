"""How well the chosen windows stand for the others."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from unimontage.distillation.nearest import nearest
from unimontage.errors import UserError


@dataclass(frozen=True)
class Coverage:
    """Distances of windows to the nearest chosen one.

    Attributes
    ----------
    radius : float
        The largest: what k-center keeps small.
    mean : float
        The mean over the windows.
    """

    radius: float
    mean: float


def coverage(latents: np.ndarray, index: np.ndarray, kept: np.ndarray | None = None) -> Coverage:
    """Measure how far windows are from the nearest chosen one.

    Parameters
    ----------
    latents : ndarray of float32, shape (N, d)
        In memory or mapped from a file; the space in which selections are compared, the same for all methods.
    index : ndarray of int, shape (n,)
        Positions of the chosen windows.
    kept : ndarray of bool, shape (N,), optional
        Windows that count: those that are no outliers, say. All by default.

    Returns
    -------
    Coverage

    Raises
    ------
    UserError
        Nothing is chosen, or no window counts.
    """
    positions = np.arange(len(latents)) if kept is None else np.flatnonzero(kept)
    if not len(index) or not len(positions):
        raise UserError(f"{len(index)} chosen windows and {len(positions)} to cover", expected="at least one of each")
    centres = np.asarray(latents[index], dtype=np.float32)
    largest, total = 0.0, 0.0
    for row in range(0, len(positions), 65_536):
        _, distance = nearest(latents[positions[row : row + 65_536]], centres)
        largest, total = max(largest, float(distance.max())), total + float(distance.sum())
    return Coverage(largest, total / len(positions))


def kept_shares(index: np.ndarray, groups: np.ndarray) -> pd.DataFrame:
    """Count the chosen windows of every group.

    Parameters
    ----------
    index : ndarray of int, shape (n,)
        Positions of the chosen windows.
    groups : ndarray, shape (N,)
        Dataset, subject, class or recording of every window.

    Returns
    -------
    DataFrame
        A row a group, in order: ``group``, ``windows``, ``chosen``, ``share`` (chosen / windows).
    """
    names, code = np.unique(np.asarray(groups), return_inverse=True)
    windows = np.bincount(code, minlength=len(names))
    chosen = np.bincount(code[index], minlength=len(names))
    return pd.DataFrame({"group": names, "windows": windows, "chosen": chosen, "share": chosen / windows})
