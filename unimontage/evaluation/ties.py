"""Numbers that should be equal are made equal: 0.7 - 0.6 and 0.8 - 0.7 differ in their last bits, which ranks see."""

import numpy as np


def levelled(values: np.ndarray, digits: int = 12) -> np.ndarray:
    """Values as multiples of the largest size among them, rounded.

    Parameters
    ----------
    values : ndarray
        Differences or scores in any unit; their order and their signs are kept.
    digits : int
        Decimals that are kept, far more than an accuracy over any number of windows has.

    Returns
    -------
    ndarray
        Between -1 and 1; all zero where `values` are.
    """
    values = np.asarray(values, dtype=np.float64)
    largest = np.abs(values).max(initial=0)
    return np.round(values / largest, digits) if largest else np.zeros_like(values)
