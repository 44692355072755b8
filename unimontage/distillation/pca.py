"""Principal components of raw windows, the latents of a selection that trains no compressor."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from unimontage.errors import UserError

ROWS = 512  # windows at a time
Windows = Callable[[np.ndarray], np.ndarray]  # positions (n,) to windows (n, C, T)


def components(windows: Windows, positions: np.ndarray, count: int = 32) -> np.ndarray:
    """Project flattened windows on the directions of largest variance.

    Parameters
    ----------
    windows : callable
        Windows (n, C, T) at positions (n,).
    positions : ndarray of int, shape (N,)
        Which of them.
    count : int
        Components; fewer where there are fewer windows or samples.

    Returns
    -------
    ndarray of float32, shape (N, count)

    Raises
    ------
    UserError
        A window holds values that are not finite.

    Notes
    -----
    The rival of the same name in EEG-DLite: microvolt as it is, 512 windows at a time.
    """
    from sklearn.decomposition import IncrementalPCA

    parts = _parts(len(positions), count)
    count = min(count, len(positions), windows(positions[:1]).size)
    model = IncrementalPCA(n_components=count)
    for part in parts:
        model.partial_fit(_flat(windows, positions[part]))
    found = [model.transform(_flat(windows, positions[part])) for part in parts]
    return np.concatenate(found).astype(np.float32)


def read(windows: Windows, positions: np.ndarray) -> np.ndarray:
    """Windows (n, C, T) at positions (n,).

    Raises
    ------
    UserError
        One holds values that are not finite.
    """
    found = windows(positions)
    finite = np.isfinite(found).all(axis=(1, 2))
    if not finite.all():
        raise UserError(
            f"window {positions[int(np.argmin(finite))]} holds values that are not finite",
            expected="windows of channels that all recordings have",
            mend="select within each montage, or leave the channel out",
        )
    return found


def _flat(windows: Windows, positions: np.ndarray) -> np.ndarray:
    return read(windows, positions).reshape(len(positions), -1)  # (n, C * T)


def _parts(n: int, least: int) -> list[slice]:
    """Slices of ROWS; a rest that is smaller than the number of components goes to the one before."""
    edges = [*range(0, n, ROWS), n]
    if len(edges) > 2 and edges[-1] - edges[-2] < least:
        del edges[-2]
    return [slice(low, high) for low, high in pairwise(edges)]
