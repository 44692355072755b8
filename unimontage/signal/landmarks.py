"""Landmarks of a signal: what a shifted, amplified or re-referenced copy of it still has.

The spread over channels at each sample (global field power) does not change with the reference, and a gain only scales
it. Its peaks come at irregular distances; a run of twelve distances, each with whether the next peak is higher, names a
place in a recording as a fingerprint names a finger. A few runs are kept for each window: those whose hash is smallest,
which are the same wherever the cut between windows lies.
"""

import numpy as np

RUN = 12
"""Distances in a landmark: about half a second of EEG."""
KEPT = 8
"""Landmarks of a window, at most."""
KINDS = 4
"""Different distances that a run must have: those of a mains hum or of a flat line are alike everywhere."""
PRIME, SPREAD = np.uint64(0x100000001B3), np.uint64(0x9E3779B97F4A7C15)


def landmarks(window: np.ndarray) -> np.ndarray:
    """Landmarks of a window.

    Parameters
    ----------
    window : ndarray, shape (C, T)
        Any unit; NaN in channels that the recording lacks. A single channel is taken as it is, without a reference.

    Returns
    -------
    ndarray of uint64
        At most `KEPT`, ascending; fewer, or none, for a window that is short, smooth or regular.
    """
    held = window[~np.isnan(window[:, 0])]
    power = held.var(axis=0) if len(held) > 1 else held.sum(axis=0)  # (T,)
    peaks = np.flatnonzero((power[1:-1] > power[:-2]) & (power[1:-1] >= power[2:])) + 1
    if len(peaks) <= RUN:
        return np.empty(0, dtype=np.uint64)
    distances = np.diff(peaks)
    code = (2 * distances + (np.diff(power[peaks]) > 0)).astype(np.uint64)
    runs = np.lib.stride_tricks.sliding_window_view(code, RUN)  # (R, RUN)
    ordered = np.sort(np.lib.stride_tricks.sliding_window_view(distances, RUN), axis=1)
    irregular = (np.diff(ordered, axis=1) > 0).sum(axis=1) + 1 >= KINDS
    return np.unique(_mixed(runs[irregular]))[:KEPT]


def _mixed(runs: np.ndarray) -> np.ndarray:
    """64 bits for each run; runs that differ anywhere differ everywhere."""
    hashed = np.zeros(len(runs), dtype=np.uint64)
    for code in runs.T:
        hashed = (hashed ^ code) * PRIME
        hashed = (hashed ^ (hashed >> np.uint64(29))) * SPREAD
    return hashed ^ (hashed >> np.uint64(32))
