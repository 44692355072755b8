"""Zero-phase filters and resampling of a recording, stopping where separately recorded pieces were joined."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from unimontage.errors import UserError

if TYPE_CHECKING:
    import mne

HALF_LENGTH = 24
"""Taps of the anti-aliasing filter on either side, at the lower of the two rates: flat up to 0.91 of its Nyquist."""
KAISER_BETA = 6.5
"""Window of the anti-aliasing filter: 65 dB of stop band, 0.06 % of ripple."""
LARGEST_FACTOR = 10_000
"""Rates whose ratio needs larger whole numbers than this are no honest rates (127.97 Hz to 128 Hz)."""


def condition(
    raw: "mne.io.BaseRaw",
    *,
    highpass_hz: float | None,
    lowpass_hz: float | None,
    notch_hz: float | None,
    resample_hz: float | None,
    sfreq_hz: float | None = None,
    where: str = "recording",
) -> "mne.io.BaseRaw":
    """Filter and resample each joined piece of a recording (``mne.concatenate_raws`` marks them), without time shift.

    Parameters
    ----------
    raw : BaseRaw
        The recording, in volt; left as it is.
    highpass_hz, lowpass_hz : float or None
        Edges of the zero-phase FIR filter (Hamming window, 3.3 / transition width seconds long); None: no edge.
    notch_hz : float or None
        Mains frequency to remove.
    resample_hz : float or None
        New rate, by anti-aliased polyphase filtering; None keeps the rate.
    sfreq_hz : float, optional
        Rate that the file must have.
    where : str
        What the recording is called in an error.

    Returns
    -------
    BaseRaw
        A new recording, loaded. Piece p starts at the sample nearest to its time, so joined trials do not drift.

    Raises
    ------
    UserError
        The file has another rate, a filter edge does not fit the rates, or a piece is shorter than the filter.
    """
    rate = float(raw.info["sfreq"])
    _check_rates(rate, highpass_hz, lowpass_hz, notch_hz, resample_hz, sfreq_hz, where)
    joints = piece_starts(raw)
    _check_pieces(np.diff([*joints, raw.n_times]), rate, highpass_hz, lowpass_hz, notch_hz, where)
    out = raw.copy().load_data(verbose="ERROR")
    if highpass_hz is not None or lowpass_hz is not None:
        out.filter(highpass_hz, lowpass_hz, picks="all", fir_design="firwin", phase="zero", verbose="ERROR")
    if notch_hz is not None:
        out.notch_filter(notch_hz, picks="all", fir_design="firwin", phase="zero", verbose="ERROR")
    if resample_hz is None or resample_hz == rate:
        return out
    return _resample(out, joints, float(resample_hz))


def piece_starts(raw: "mne.io.BaseRaw") -> np.ndarray:
    """First samples of the joined pieces, the first piece's 0 included; shape (P,), ascending."""
    edges = [text.upper().startswith("EDGE") for text in raw.annotations.description]
    onsets = raw.annotations.onset[np.array(edges, dtype=bool)] - raw.first_time
    starts = raw.time_as_index(onsets, use_rounding=True) if len(onsets) else np.empty(0, dtype=np.int64)
    return np.unique(np.concatenate([[0], starts[(starts > 0) & (starts < raw.n_times)]])).astype(np.int64)


def resample_pieces(data: np.ndarray, starts: Sequence[int], old_hz: float, new_hz: float) -> np.ndarray:
    """Resample joined pieces each by itself, on one common time axis.

    Parameters
    ----------
    data : ndarray, shape (C, S)
        Signal at ``old_hz``.
    starts : sequence of int
        First sample of each piece, from 0 on.
    old_hz, new_hz : float
        Rates whose ratio is a ratio of whole numbers.

    Returns
    -------
    ndarray, shape (C, round(S * new_hz / old_hz)), float64
        Sample n stands for the time n / new_hz. A piece that starts between two new samples is moved to the nearer
        one, by half a sample at most, and the rounding of one piece is not handed on to the next.
    """
    from scipy.signal import firwin, resample_poly

    ratio = rational(old_hz, new_hz)
    up, down = ratio.numerator, ratio.denominator
    widest = max(up, down)
    taps = firwin(2 * HALF_LENGTH * widest + 1, 1 / widest, window=("kaiser", KAISER_BETA))
    bounds = [*starts, data.shape[1]]
    places = [math.floor(bound * ratio + Fraction(1, 2)) for bound in bounds]
    out = np.empty((len(data), places[-1]))
    # Pieces differ in length, so there is no batched form; an odd extension keeps value and slope at their ends.
    for piece in range(len(starts)):
        new = resample_poly(
            data[:, bounds[piece] : bounds[piece + 1]], up, down, axis=1, window=taps, padtype="antireflect"
        )  # (C, ceil(length * ratio))
        out[:, places[piece] : places[piece + 1]] = new[:, : places[piece + 1] - places[piece]]
    return out


def rational(old_hz: float, new_hz: float, where: str = "recording") -> Fraction:
    """``new_hz / old_hz`` as an exact ratio of whole numbers; UserError where the rates have none."""
    ratio = Fraction(new_hz / old_hz).limit_denominator(LARGEST_FACTOR)
    if ratio.numerator > LARGEST_FACTOR or abs(float(ratio) * old_hz / new_hz - 1) > 1e-9:
        raise UserError(
            f"{where}: {old_hz:g} Hz cannot be resampled to {new_hz:g} Hz",
            expected="rates whose ratio is a ratio of whole numbers",
            mend="choose another resample_hz, or null",
        )
    return ratio


def _resample(raw: "mne.io.BaseRaw", joints: np.ndarray, new_hz: float) -> "mne.io.BaseRaw":
    """The recording at another rate, with its annotations and electrode positions; the date is left behind."""
    import mne

    data = resample_pieces(raw.get_data(), joints, float(raw.info["sfreq"]), new_hz)
    info = mne.create_info(raw.ch_names, new_hz, raw.get_channel_types())
    out = mne.io.RawArray(data, info, verbose="ERROR")
    out.set_montage(raw.get_montage(), verbose="ERROR")
    out.info["bads"] = list(raw.info["bads"])
    onsets = raw.annotations.onset - raw.first_time  # the new recording starts at its own sample 0
    out.set_annotations(mne.Annotations(onsets, raw.annotations.duration, raw.annotations.description), verbose="ERROR")
    return out


def _check_rates(
    rate: float,
    highpass_hz: float | None,
    lowpass_hz: float | None,
    notch_hz: float | None,
    resample_hz: float | None,
    sfreq_hz: float | None,
    where: str,
) -> None:
    if sfreq_hz is not None and not math.isclose(rate, sfreq_hz, rel_tol=1e-6):
        raise UserError(
            f"{where}: the file is sampled at {rate:g} Hz",
            expected=f"{sfreq_hz:g} Hz, the rate of this dataset",
            mend="leave the subject out with `exclude`, or restore the original file",
        )
    if highpass_hz is not None and lowpass_hz is not None and highpass_hz >= lowpass_hz:
        raise UserError(
            f"{where}: highpass_hz {highpass_hz:g} is not below lowpass_hz {lowpass_hz:g}",
            expected="a pass band",
            mend="lower highpass_hz or raise lowpass_hz",
        )
    slowest = min(rate, resample_hz or rate)
    for key, value, ceiling in (
        ("highpass_hz", highpass_hz, slowest / 2),
        ("lowpass_hz", lowpass_hz, slowest / 2),
        ("notch_hz", notch_hz, rate / 2 - 1),  # its own transition must fit below Nyquist
    ):
        if value is not None and value >= ceiling:
            raise UserError(
                f"{where}: {key} {value:g} does not fit a rate of {slowest:g} Hz",
                expected=f"less than {ceiling:g} Hz",
                mend=f"{key}: null, or a lower value" + (", or a higher resample_hz" if slowest < rate else ""),
            )
    if resample_hz is not None:
        rational(rate, resample_hz, where)


def _check_pieces(
    lengths: np.ndarray,
    rate: float,
    highpass_hz: float | None,
    lowpass_hz: float | None,
    notch_hz: float | None,
    where: str,
) -> None:
    """Refuse pieces shorter than a filter: mne would only warn, and the result would be mostly edge."""
    from mne.filter import create_filter

    filters = []
    for key, low, high, width in (
        ("highpass_hz", highpass_hz, None, "auto"),
        ("lowpass_hz", None, lowpass_hz, "auto"),
        ("notch_hz", notch_hz, notch_hz, 0.5),
    ):
        if low is None and high is None:
            continue
        if key == "notch_hz":  # a band stop: the upper edge stands below the lower one
            low, high = notch_hz * (1 + 1 / 400) + width, notch_hz * (1 - 1 / 400) - width
        taps = create_filter(None, rate, low, high, l_trans_bandwidth=width, h_trans_bandwidth=width, verbose="ERROR")
        filters.append((len(taps), key))
    longest, key = max(filters, default=(0, ""))
    short = np.flatnonzero(lengths < longest)
    if len(short):
        piece, seconds = int(short[0]), float(lengths[short].min()) / rate
        raise UserError(
            f"{where}: {len(short)} of {len(lengths)} joined pieces are shorter than the {key} filter "
            f"({longest / rate:.2f} s), first piece {piece + 1}, shortest {seconds:.2f} s",
            expected=f"pieces of at least {longest / rate:.2f} s",
            mend=f"{key}: null" + _higher(key, seconds),
        )


def _higher(key: str, seconds: float) -> str:
    """The highpass that a piece of this length can bear, where it is still a sensible one for EEG."""
    edge = math.ceil(330 / seconds + 1) / 100  # the transition is as wide as the edge: 3.3 / edge seconds of filter
    return f" or {edge:g}" if key == "highpass_hz" and edge <= 2 else ""
