"""Windows of a recording: where they lie, their samples, and a fingerprint of what they hold."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from unimontage.errors import UserError
from unimontage.signal.landmarks import landmarks

PLACE = ("trial", "onset_s", "duration_s")
"""Columns of a trial table that say which trial and where; all others are labels."""
RESOLUTION_UV = 0.01
"""Amplitude to which contents are compared; below the step of every amplifier and above the rounding of float32."""

DIGITS = 16
"""Of a digest, before the landmarks."""
STILL = "0" * DIGITS
"""Digest of a window in which nothing moves: a flat line of one recording is no copy of another's."""
LACKING = -(2.0**62)
"""Level that stands for NaN in a digest, far from that of any voltage."""


def cut(
    trials: pd.DataFrame,
    sfreq_hz: float,
    length_s: float,
    step_s: float,
    *,
    start_s: float = 0.0,
    stop_s: float | None = None,
    last_s: float | None = None,
    samples_total: int,
    where: str,
) -> pd.DataFrame:
    """Lay windows into trials; none crosses the end of its trial.

    Parameters
    ----------
    trials : DataFrame
        ``trial``, ``onset_s`` (from the first sample of the recording), ``duration_s``, then label columns.
    sfreq_hz, samples_total : float, int
        Rate and length of the signal that is to be cut.
    length_s, step_s : float
        Length of a window, and distance between the starts of two; both whole numbers of samples.
    start_s, stop_s, last_s : float, optional
        Part of a trial to use: from ``start_s`` after its onset to ``stop_s`` after it or the trial's end, and of
        that only the last ``last_s`` seconds, or all where there are fewer.
    where : str
        What the recording is called in an error.

    Returns
    -------
    DataFrame
        A row a window: ``trial``, ``k`` (from 0 within the trial), ``start_s`` (within the trial), ``start_sample``
        (within the signal), then the trial's labels. In the order of trials and time.

    Raises
    ------
    UserError
        No trials, one outside the signal or shorter than a window, or a length of no whole number of samples.
    """
    if trials.empty:
        raise UserError(f"{where}: no trials", expected="at least one trial in the recording")
    length, step = (_samples(s, sfreq_hz, key, where) for s, key in ((length_s, "length_s"), (step_s, "step_s")))
    onset, start, stop = _usable(trials, sfreq_hz, samples_total, start_s, stop_s, last_s, where)  # (trials,) each
    first = _nearest(start * sfreq_hz)
    counts = (_nearest(stop * sfreq_hz) - first - length) // step + 1
    _check_long_enough(trials, counts, stop - start, length_s, where)
    row = np.repeat(np.arange(len(trials)), counts)  # (N,) the trial of each window
    k = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = {"k": k, "start_s": np.round((start - onset)[row] + k * step / sfreq_hz, 9)}
    place["start_sample"] = first[row] + k * step
    columns = {name: trials[name].to_numpy()[row] for name in trials.columns if name not in PLACE}
    return pd.DataFrame({"trial": trials["trial"].to_numpy()[row]} | place | columns)


def gather(data: np.ndarray, start_samples: np.ndarray, length: int) -> np.ndarray:
    """Copy windows out of a signal.

    Parameters
    ----------
    data : ndarray, shape (C, S)
        Signal.
    start_samples : ndarray, shape (N,)
        First sample of each window.
    length : int
        Samples of a window.

    Returns
    -------
    ndarray, shape (N, C, length)
        Contiguous, of the type of ``data``.

    Raises
    ------
    ValueError
        A window begins before the signal or ends after it.
    """
    starts = np.asarray(start_samples, dtype=np.int64)
    if len(starts) and (starts.min() < 0 or starts.max() + length > data.shape[1]):
        raise ValueError(f"windows of {length} samples at {starts.min()}..{starts.max()} in {data.shape[1]} samples")
    if not len(starts):
        return np.empty((0, len(data), length), dtype=data.dtype)
    views = np.lib.stride_tricks.sliding_window_view(data, length, axis=1)  # (C, S - length + 1, length), no copy
    return np.ascontiguousarray(views.transpose(1, 0, 2)[starts])


def digests(signal: np.ndarray) -> np.ndarray:
    """Fingerprint of each window's content, equal for windows that agree to 0.01 microvolt, and its landmarks.

    Parameters
    ----------
    signal : ndarray, shape (N, C, T)
        Microvolt; NaN in channels that the recording lacks.

    Returns
    -------
    ndarray of str, shape (N,)
        16 hexadecimal digits: 64 bits, so two of a million different windows collide with probability 3e-8. Then, as
        many for each, the window's `unimontage.signal.landmarks`, which `marks_of` reads.
    """
    # A hash reads its bytes one after the other: there is no batched form, and the loop costs no more than the hash.
    return np.array([_digest(window) for window in signal], dtype="U")


def marks_of(digests: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks in the digests of windows, and the position of the digest that each is from, shapes (M,)."""
    marks = [digest[DIGITS:] for digest in digests]
    counts = np.array([len(text) // DIGITS for text in marks], dtype=np.int64)
    return np.frombuffer(bytes.fromhex("".join(marks)), dtype=">u8"), np.repeat(np.arange(len(marks)), counts)


def _digest(window: np.ndarray) -> str:
    levels = np.rint(window.astype(np.float64) / RESOLUTION_UV)
    if np.array_equal(levels, np.broadcast_to(levels[:, :1], levels.shape), equal_nan=True):
        return STILL
    marks = landmarks(levels).astype(">u8").tobytes().hex()
    levels = np.nan_to_num(levels, copy=False, nan=LACKING).astype("<i8")
    return hashlib.blake2b(levels.tobytes(), digest_size=DIGITS // 2).hexdigest() + marks


def _samples(seconds: float, sfreq_hz: float, key: str, where: str) -> int:
    """Seconds as a whole number of samples."""
    exact = seconds * sfreq_hz
    if round(exact) < 1 or abs(exact - round(exact)) > 1e-6:
        nearest = max(1, round(exact)) / sfreq_hz
        raise UserError(
            f"{where}: {key} {seconds:g} s is {exact:g} samples at {sfreq_hz:g} Hz",
            expected="a whole number of samples",
            mend=f"windows: {{{key}: {nearest:.6g}}}, or another resample_hz",
        )
    return round(exact)


def _nearest(samples: np.ndarray) -> np.ndarray:
    """Nearest whole sample, halves always upwards, so that a trial of n samples keeps n wherever it starts."""
    return np.floor(np.round(np.nan_to_num(samples, nan=-1.0), 6) + 0.5).astype(np.int64)


def _usable(
    trials: pd.DataFrame,
    sfreq_hz: float,
    total: int,
    start_s: float,
    stop_s: float | None,
    last_s: float | None,
    where: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Onset of each trial, and start and stop of its usable part; seconds in the recording."""
    onset = trials["onset_s"].to_numpy(dtype=float)
    end = onset + trials["duration_s"].to_numpy(dtype=float)
    first, beyond = _nearest(onset * sfreq_hz), _nearest(end * sfreq_hz)
    outside = (first < 0) | (beyond > total) | (beyond < first)
    if outside.any():
        row = int(np.argmax(outside))
        raise UserError(
            f"{where}: trial {trials['trial'].iloc[row]} lies at {onset[row]:g}..{end[row]:g} s of a recording of "
            f"{total / sfreq_hz:g} s",
            expected="trials inside the recording",
            mend="the file is truncated: copy it again, or leave the subject out with `exclude`",
        )
    stop = end if stop_s is None else np.minimum(end, onset + stop_s)
    start = onset + start_s if last_s is None else np.maximum(onset + start_s, stop - last_s)
    return onset, start, stop


def _check_long_enough(
    trials: pd.DataFrame, counts: np.ndarray, offered_s: np.ndarray, length_s: float, where: str
) -> None:
    if (counts < 1).any():
        row = int(np.argmax(counts < 1))
        offered = max(0.0, float(offered_s[row]))
        raise UserError(
            f"{where}: trial {trials['trial'].iloc[row]} offers {offered:g} s",
            expected=f"at least one window of {length_s:g} s",
            mend=f"windows: {{length_s: ...}} of at most {offered:g} s, or a wider part of the trial "
            "(preprocessing: trial_start_s, trial_stop_s, trial_last_s)",
        )
