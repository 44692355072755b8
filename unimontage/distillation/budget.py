"""How many windows a fraction stands for."""

import math
from fractions import Fraction

import numpy as np

from unimontage.errors import UserError


def share(fraction: float, total: int) -> int:
    """Floor of ``fraction * total``, with the fraction as it is written: 0.29 of 100 is 29, and 28 in floats."""
    return math.floor(Fraction(repr(float(fraction))) * total)


def budget(fraction: float, total: int) -> int:
    """Number of windows to keep.

    Parameters
    ----------
    fraction : float
        Share to keep, above 0 and up to 1.
    total : int
        Windows before the outliers were removed.

    Returns
    -------
    int
        floor(fraction * total), at least 1: as in EEG-DLite, a share of all windows, not of the rest.

    Raises
    ------
    UserError
        The fraction is out of range, or there are no windows.
    """
    if not 0 < fraction <= 1:
        raise UserError(
            f"fraction: {fraction:g}",
            expected="the share of windows to keep, above 0 and up to 1",
            mend="fraction: 0.05",
        )
    if total < 1:
        raise UserError("no windows to select from", mend="check the datasets and the length of the windows")
    return max(1, share(fraction, total))


def divide(n: int, sizes: np.ndarray) -> np.ndarray:
    """Divide n among groups in proportion to their sizes, by largest remainder; of equal ones the first.

    Parameters
    ----------
    n : int
        At most the sum of the sizes.
    sizes : ndarray of int, shape (G,)

    Returns
    -------
    ndarray of int64, shape (G,)
        No group gets more than its size; the sum is n.
    """
    sizes = np.asarray(sizes, dtype=np.int64)
    parts, remainder = np.divmod(n * sizes, sizes.sum())
    parts[np.argsort(-remainder, kind="stable")[: n - parts.sum()]] += 1
    return parts
